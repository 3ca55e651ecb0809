"""One recording to one PNG file, for the command line."""

from pathlib import Path

from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically
from chordae.preprocessing.ecg import prepare_ecg
from chordae.preprocessing.ecg.readers import FORMATS


def write_picture(recording: Path, output: Path, layout: str) -> dict[str, object]:
    """Write the picture of a recording, `marcus` or `clinical`, and return its sidecar.

    Raises:
        UnreadableRecording: with the reason; nothing is written then.
        BadInput: no such file, layout or output directory.
    """
    if layout not in ("marcus", "clinical"):
        raise BadInput(f"no layout {layout!r}", "use clinical (for people) or marcus (for the model)")
    if not recording.is_file():
        raise BadInput(f"no file {recording}", f"name an ECG recording: {FORMATS}")
    if output.is_dir():
        raise BadInput(f"{output} is a directory", "name the PNG file to write")
    if not output.parent.is_dir():
        raise BadInput(f"no directory {output.parent}", "create it first")
    ecg = prepare_ecg(recording)
    png = ecg.marcus_png if layout == "marcus" else ecg.clinical_png
    write_atomically(output, png)
    return ecg.sidecar
