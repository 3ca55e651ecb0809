"""How an expert does on real recordings that carry diagnosis codes. Nothing is trained or tuned on these.

Codes are SNOMED CT's, as in the PhysioNet/CinC Challenge 2021 headers. Only what the expert claims to tell is graded: a
record without one of the four rhythms is left out for rhythm; one with a conduction code outside the expert's four (an
incomplete block, a nonspecific disorder) is left out for conduction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chordae.cohort import wording
from chordae.learning.answering import Generate
from chordae.learning.pictures import ecg_picture
from chordae.platform.errors import BadInput, UnreadableRecording
from chordae.preprocessing.ecg.clean import clean
from chordae.preprocessing.ecg.readers import read_ecg

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
AT_ONCE = 64
"""Records in memory; a folder may hold tens of thousands."""


@dataclass(frozen=True)
class Reading:
    """What an expert said of a record, or why it was not asked, and what the record's codes say."""

    name: str
    codes: frozenset[str]
    answer: str = ""
    refusal: str = ""

    @property
    def rhythm(self) -> str | None:
        """The one rhythm that the codes name, of the four."""
        named = {RHYTHM_CODES[code] for code in self.codes & RHYTHM_CODES.keys()}
        return named.pop() if len(named) == 1 else None

    @property
    def conduction(self) -> str | None:
        """The one conduction finding that the codes name, or normal where they name none at all."""
        if not self.codes or self.codes & OTHER_CONDUCTION:
            return None
        named = {CONDUCTION_CODES[code] for code in self.codes & CONDUCTION_CODES.keys()}
        if not named:
            return "Normal conduction"
        return named.pop() if len(named) == 1 else None

    def right(self, truth: str | None) -> bool | None:
        """Whether the answer names the truth; none where there is none to name, or no answer."""
        return None if truth is None or self.refusal else truth.lower() in self.answer.lower()


def read_out(folder: Path, generate: Generate, size: tuple[int, int]) -> Iterator[Reading]:
    """Ask for rhythm, conduction and ST of every WFDB record of a folder, in order of names; pictures are of `size`.

    Raises:
        BadInput: no records there.
    """
    headers = sorted(folder.glob("*.hea"))
    if not headers:
        raise BadInput(f"no WFDB headers (*.hea) in {folder}", "name the folder that holds the records themselves")
    for first in range(0, len(headers), AT_ONCE):
        readings, asked = [], []
        for header in headers[first : first + AT_ONCE]:
            try:
                picture = ecg_picture(clean(read_ecg(header)).signal, size)
            except UnreadableRecording as error:
                readings.append(Reading(header.stem, diagnosis_codes(header), refusal=error.problem))
                continue
            asked.append((header, picture))
        answers = generate([(wording.DEFAULT_QUESTION, picture) for _, picture in asked])
        readings += [
            Reading(header.stem, diagnosis_codes(header), answer)
            for (header, _), answer in zip(asked, answers, strict=True)
        ]
        yield from sorted(readings, key=lambda reading: reading.name)


def diagnosis_codes(header: Path) -> frozenset[str]:
    """The codes of a header's `#Dx` lines."""
    lines = header.read_text(errors="replace").splitlines()
    found = [line.split(":", 1)[1].split(",") for line in lines if line.replace(" ", "").startswith("#Dx:")]
    return frozenset(code.strip() for codes in found for code in codes if code.strip())


def counts(readings: list[Reading]) -> dict[str, tuple[int, int]]:
    """For rhythm and for conduction: how many answers named what the codes say, of how many that could."""
    rhythm = [reading.right(reading.rhythm) for reading in readings]
    conduction = [reading.right(reading.conduction) for reading in readings]
    return {
        name: (sum(found is True for found in right), sum(found is not None for found in right))
        for name, right in (("rhythm", rhythm), ("conduction", conduction))
    }
