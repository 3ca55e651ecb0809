"""How an expert does on real recordings that carry diagnosis codes. Nothing is trained or tuned on these.

Codes are SNOMED CT's, as in the PhysioNet/CinC Challenge 2021 headers. Only what the expert claims to tell is graded: a
record without one of the four rhythms is left out for rhythm; one with a conduction code outside the expert's four (an
incomplete block, a nonspecific disorder) is left out for conduction.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chordae.cohort import wording
from chordae.learning.answering import Generate
from chordae.learning.pictures import ecg_picture
from chordae.preprocessing.ecg.clean import clean
from chordae.preprocessing.ecg.readers import read_ecg
from chordae.preprocessing.ecg.recording import EcgRecording

RHYTHM_CODES = {
    "426783006": "Sinus rhythm",
    "426177001": "Sinus bradycardia",
    "427084000": "Sinus tachycardia",
    "164889003": "Atrial fibrillation",
}
CONDUCTION_CODES = {
    "733534002": "Left bundle branch block",
    "164909002": "Left bundle branch block",
    "713427006": "Right bundle branch block",
    "59118001": "Right bundle branch block",
    "270492004": "First-degree AV block",
}
OTHER_CONDUCTION = {"713426002", "698252002", "6374002", "445118002", "164947007", "10370003", "251120003"}


@dataclass(frozen=True)
class Labelled:
    """A recording with its codes."""

    name: str
    recording: EcgRecording
    codes: frozenset[str]

    @property
    def rhythm(self) -> str | None:
        """The one rhythm that the codes name, of the four."""
        named = {RHYTHM_CODES[code] for code in self.codes & RHYTHM_CODES.keys()}
        return named.pop() if len(named) == 1 else None

    @property
    def conduction(self) -> str | None:
        """The one conduction finding that the codes name, or normal where they name none at all."""
        if self.codes & OTHER_CONDUCTION:
            return None
        named = {CONDUCTION_CODES[code] for code in self.codes & CONDUCTION_CODES.keys()}
        if not named:
            return "Normal conduction"
        return named.pop() if len(named) == 1 else None


@dataclass(frozen=True)
class Reading:
    """What an expert said of a recording, and what the codes say."""

    name: str
    answer: str
    rhythm: str | None
    conduction: str | None

    def right(self, truth: str | None) -> bool | None:
        """Whether the answer names the truth; none where there is none to name."""
        return None if truth is None else truth in self.answer


def read_wfdb_folder(folder: Path) -> list[Labelled]:
    """Every WFDB record of a folder with the codes of its `#Dx` line."""
    found = []
    for header in sorted(folder.glob("*.hea")):
        lines = [line for line in header.read_text().splitlines() if line.replace(" ", "").startswith("#Dx:")]
        codes = frozenset(code.strip() for line in lines for code in line.split(":", 1)[1].split(","))
        found.append(Labelled(header.stem, read_ecg(header), codes))
    return found


def read_out(records: Iterable[Labelled], generate: Generate, size: tuple[int, int] = (336, 224)) -> list[Reading]:
    """Ask the demonstration question about each record."""
    records = list(records)
    asked = [(wording.DEFAULT_QUESTION, ecg_picture(clean(one.recording).signal, size)) for one in records]
    answers = generate(asked)
    return [Reading(one.name, answer, one.rhythm, one.conduction) for one, answer in zip(records, answers, strict=True)]
