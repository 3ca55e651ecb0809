"""Real recordings with diagnosis codes: what is graded, what is left out, what is refused."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import wfdb

from chordae.cohort.ecg import sample_latents, simulate_ecg
from chordae.cohort.wording import DEFAULT_QUESTION
from chordae.learning.answering import Asked
from chordae.learning.recordings import Reading, counts, detected_rate, read_out
from chordae.platform.errors import BadInput
from chordae.preprocessing.ecg.recording import LEADS

SINUS, BRADYCARDIA, FIBRILLATION = "426783006", "426177001", "164889003"
LBBB, RBBB, INCOMPLETE = "164909002", "59118001", "713426002"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings that can be read and, between them in order of names, one whose signal is missing."""
    rng = np.random.default_rng(3)
    for name, codes in (("a", f"{SINUS},{LBBB}"), ("b", SINUS), ("c", f"{FIBRILLATION},{INCOMPLETE}")):
        signal = simulate_ecg(sample_latents(rng), rng).T.astype(float)
        wfdb.wrsamp(name, 500, ["mV"] * 12, list(LEADS), signal, fmt=["16"] * 12, write_dir=str(tmp_path))
        header = tmp_path / f"{name}.hea"
        header.write_text(f"{header.read_text()}# Age: 60\n# Dx: {codes}\n")
    (tmp_path / "b.dat").unlink()
    return tmp_path


def test_every_record_of_a_folder_is_asked_and_graded_by_its_codes(folder: Path) -> None:
    asked: list[Asked] = []
    shapes: list[tuple[int, ...]] = []

    rate = detected_rate(folder / "a.hea")
    assert rate is not None

    def generate(questions: Sequence[Asked]) -> list[str]:
        asked.extend(questions)
        shapes.extend(cv2.imread(str(picture)).shape for _, picture in questions if picture is not None)
        return [f"Normal sinus rhythm at {rate:.0f} bpm. Normal conduction.", "Atrial fibrillation at 240 bpm."]

    first, second, third = readings = list(read_out(folder, generate))
    assert [question for question, _ in asked] == [DEFAULT_QUESTION] * 2
    assert shapes == [(896, 672, 3)] * 2  # the picture that the platform keeps
    assert [reading.name for reading in readings] == ["a", "b", "c"]
    assert (first.right("rhythm", first.rhythm), first.right("conduction", first.conduction)) == (True, False)
    assert "signal file" in second.refusal and second.right("rhythm", second.rhythm) is None
    assert (third.right("rhythm", third.rhythm), third.right("conduction", third.conduction)) == (True, None)
    assert counts(readings) == {"rhythm": (2, 2), "conduction": (0, 1), "rate": (1, 2)}


def test_the_rate_that_answers_are_held_against_is_the_simulators(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for number in range(3):
        latents = sample_latents(rng, rhythm="sinus", conduction="normal", st="none")
        signal = simulate_ecg(latents, rng).T.astype(float)
        wfdb.wrsamp(f"r{number}", 500, ["mV"] * 12, list(LEADS), signal, fmt=["16"] * 12, write_dir=str(tmp_path))
        found = detected_rate(tmp_path / f"r{number}.hea")
        assert found is not None
        assert found == pytest.approx(latents.rate_bpm, abs=3)


@pytest.mark.parametrize(
    ("codes", "rhythm", "conduction"),
    [
        ({SINUS}, "Normal sinus rhythm", "Normal conduction"),
        ({BRADYCARDIA, RBBB}, "Sinus bradycardia", "Right bundle branch block"),
        ({SINUS, BRADYCARDIA}, None, "Normal conduction"),
        ({LBBB, RBBB}, None, None),
        ({SINUS, INCOMPLETE}, "Normal sinus rhythm", None),
        (set(), None, None),
    ],
)
def test_only_what_the_codes_say_once_is_graded(codes: set[str], rhythm: str | None, conduction: str | None) -> None:
    reading = Reading("x", frozenset(codes), "Normal sinus rhythm.")
    assert (reading.rhythm, reading.conduction) == (rhythm, conduction)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"\.hea"):
        list(read_out(tmp_path, lambda asked: []))
