"""Files that pydicom ships, and datasets as the files that pydicom would write."""

import io
from pathlib import Path

from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SHIPPED = sorted(
    path
    for path in map(Path, get_testdata_files("*.dcm"))
    if path.is_file() and path.parent.name == "test_files" and "DICOMDIR" not in path.name
)


def saved(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
