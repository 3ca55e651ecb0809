"""Files that are there in full or not at all."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Write beside, flush to disk, rename: a reader sees nothing or everything, also after SIGKILL or power loss.

    What can be made again need not be `durable`: it survives SIGKILL, and may be lost when power is.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:  # raised again; only the unfinished file goes
            Path(file.name).unlink(missing_ok=True)
            raise
    if not durable:
        return
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
