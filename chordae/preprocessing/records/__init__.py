"""CMR records from files: JSON, or a spreadsheet with one row a patient and its columns mapped by a file.

What cannot be read of a record is said with it (`ReadRecord.problems`) and never made up; only a file that holds no
record at all is an error.
"""

from chordae.preprocessing.records.mapping import Column, Mapping, load_mapping
from chordae.preprocessing.records.reading import read_records
from chordae.preprocessing.records.result import ReadRecord

__all__ = ["Column", "Mapping", "ReadRecord", "load_mapping", "read_records"]
