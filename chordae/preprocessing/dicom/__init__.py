"""The only package that imports pydicom: DICOM bytes in, plain values and pixels out, and never a patient's name.

`waveforms` for ECGs; `instance` for the headers of images and `pixels` for what they show.
"""

import logging
import warnings
from pathlib import Path

import pydicom.config
from pydicom.data import get_testdata_file

from chordae.preprocessing.dicom.annotations import Annotation, read_annotations
from chordae.preprocessing.dicom.instance import Instance, is_dicom, read_instance
from chordae.preprocessing.dicom.pixels import decode
from chordae.preprocessing.dicom.waveforms import Channel, WaveformGroup, read_waveforms

# Wrong values become our own errors; pydicom's warnings and log would quote them, and they may name a patient.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\b")

MAGIC = b"DICM"
MAGIC_OFFSET = 128

__all__ = [
    "MAGIC",
    "MAGIC_OFFSET",
    "Annotation",
    "Channel",
    "Instance",
    "WaveformGroup",
    "bundled_ecg",
    "bundled_echo",
    "decode",
    "is_dicom",
    "read_annotations",
    "read_instance",
    "read_waveforms",
]


def bundled_ecg() -> Path:
    """The real 12-lead ECG that pydicom ships, for the demonstration and for tests."""
    return Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))


def bundled_echo() -> Path:
    """The real echo loop that pydicom ships: 30 frames of 240 x 320, colour, JPEG."""
    return Path(str(get_testdata_file("examples_ybr_color.dcm", download=False)))
