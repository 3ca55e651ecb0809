"""How an expert does on real recordings that carry diagnosis codes. Nothing is trained or tuned on these.

Codes are SNOMED CT's, as in the PhysioNet/CinC Challenge 2021 headers. Only what the expert claims to tell is graded: a
record without one of the four rhythms is left out for rhythm; one with a conduction code outside the expert's four (an
incomplete block, a nonspecific disorder) is left out for conduction. The rate is held against the beats that wfdb's
detector (XQRS) finds in lead II.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from wfdb.processing import xqrs_detect

from chordae.cohort import wording
from chordae.cohort.findings import topics
from chordae.learning.answering import Generate
from chordae.learning.mentions import affirmed, stated_rate
from chordae.platform.errors import BadInput, UnreadableRecording
from chordae.platform.files import write_atomically
from chordae.preprocessing.ecg import prepare_ecg
from chordae.preprocessing.ecg.clean import RATE, clean
from chordae.preprocessing.ecg.readers import read_ecg
from chordae.preprocessing.ecg.recording import LEADS

RHYTHM_CODES = {
    "426783006": "Normal sinus rhythm",
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
RATE_TOLERANCE = 5.0
"""bpm."""
_TOPICS = {topic.key: topic for topic in topics("ecg")}


@dataclass(frozen=True)
class Reading:
    """What an expert said of a record, or why it was not asked, and what the record's codes say."""

    name: str
    codes: frozenset[str]
    answer: str = ""
    refusal: str = ""
    rate_bpm: float | None = None
    """As the detector counts it; none: fewer than three beats."""

    @property
    def rate_right(self) -> bool | None:
        """Whether the answer gives a rate within `RATE_TOLERANCE`; none where there is none to give, or no answer."""
        if self.rate_bpm is None or self.refusal:
            return None
        said = stated_rate(self.answer)
        return said is not None and abs(said - self.rate_bpm) <= RATE_TOLERANCE

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

    def right(self, key: str, truth: str | None) -> bool | None:
        """Whether the answer affirms the truth of a topic and nothing else; none where there is none, or no answer."""
        return None if truth is None or self.refusal else affirmed(self.answer, _TOPICS[key]) == {truth}


def read_out(folder: Path, generate: Generate) -> Iterator[Reading]:
    """Ask for rhythm, conduction and ST of every WFDB record of a folder, in order of names.

    Raises:
        BadInput: no records there.
    """
    headers = sorted(folder.glob("*.hea"))
    if not headers:
        raise BadInput(f"no WFDB headers (*.hea) in {folder}", "name the folder that holds the records themselves")
    for first in range(0, len(headers), AT_ONCE):
        readings, asked = [], []
        with tempfile.TemporaryDirectory() as directory:
            for header in headers[first : first + AT_ONCE]:
                picture = Path(directory) / f"{header.stem}.png"
                try:
                    write_atomically(picture, prepare_ecg(header).marcus_png, durable=False)
                    rate = detected_rate(header)
                except UnreadableRecording as error:
                    readings.append(Reading(header.stem, diagnosis_codes(header), refusal=error.problem))
                    continue
                asked.append((header, picture, rate))
            answers = generate([(wording.DEFAULT_QUESTION, picture) for _, picture, _ in asked])
        readings += [
            Reading(header.stem, diagnosis_codes(header), answer, rate_bpm=rate)
            for (header, _, rate), answer in zip(asked, answers, strict=True)
        ]
        yield from sorted(readings, key=lambda reading: reading.name)


def detected_rate(header: Path) -> float | None:
    """Beats a minute in lead II, by wfdb's XQRS; none: fewer than three beats. Raises UnreadableRecording."""
    lead = clean(read_ecg(header)).signal[LEADS.index("II")]
    beats = xqrs_detect(lead.astype(np.float64), fs=RATE, verbose=False)
    return 60 * RATE / float(np.diff(beats).mean()) if len(beats) >= 3 else None


def diagnosis_codes(header: Path) -> frozenset[str]:
    """The codes of a header's `#Dx` lines."""
    lines = header.read_text(errors="replace").splitlines()
    found = [line.split(":", 1)[1].split(",") for line in lines if line.replace(" ", "").startswith("#Dx:")]
    return frozenset(code.strip() for codes in found for code in codes if code.strip())


def counts(readings: list[Reading]) -> dict[str, tuple[int, int]]:
    """For rhythm, conduction and rate: how many answers were right, of how many that could be."""
    judged = {
        "rhythm": [reading.right("rhythm", reading.rhythm) for reading in readings],
        "conduction": [reading.right("conduction", reading.conduction) for reading in readings],
        "rate": [reading.rate_right for reading in readings],
    }
    return {
        name: (sum(one is True for one in right), sum(one is not None for one in right))
        for name, right in judged.items()
    }
