"""Real and made-up cardiac MR studies, read once."""

import pytest
from heart_phantom import full_study, read

from chordae.preprocessing.dicom import Instance


@pytest.fixture(scope="session")
def whole_examination() -> list[Instance]:
    """664 images of everything that an examination holds."""
    return read(full_study())
