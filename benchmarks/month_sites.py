"""Three sites of a simulated month: what each sends on a day, and what its clinicians say of it days later."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chordae.cohort.record_cases import Case, Reading, draw_case
from chordae.cohort.sites import load_site as load_profile
from chordae.platform.ledger_gate import GateLedger
from chordae.platform.ledger_records import RecordsLedger
from chordae.platform.settings import Settings
from chordae.preprocessing.identity import load_site
from chordae.preprocessing.records.prospective import read_prospective

SITES = {"university": 961, "regional": 962, "coastal": 963}
"""With the seed of their patients, none of whom is in a dataset. `coastal` writes its records in another order than the
reasoner was trained on."""
READING = Reading(mistakes=5, without_contrast=0.6, contouring=3)
"""As the datasets of the reasoner have it."""
LATE_DAYS, LABELLED = (3, 10), 0.1
"""After how many days a clinician's label comes, and the share of records that ever get one."""


class Hospitals:
    """They send records day by day, and know what each shows."""

    def __init__(self, settings: Settings, a_day: int) -> None:
        """`a_day`: records of a site on each day."""
        self._settings, self._a_day = settings, a_day
        self._records, self._gate = RecordsLedger(settings.ledger_url), GateLedger(settings.ledger_url)
        self._known = {name: load_site(name, settings.sites_dir) for name in SITES}
        self._profiles = {name: load_profile(name) for name in SITES}
        self.truth: dict[str, str] = {}
        """By record's id, its category; of all that were sent."""
        self.site: dict[str, str] = {}
        self._due: dict[str, int] = {}

    def send(self, day: int) -> int:
        """Day `day`, from 1: every site offers its records as `chordae learn offer` does; returns how many are new."""
        new = 0
        for name, cases in self._cases(day):
            with tempfile.TemporaryDirectory() as folder:
                (file := Path(folder) / "records.json").write_text(
                    json.dumps([case.record.model_dump(mode="json") for case in cases])
                )
                offered, _ = read_prospective([file], None, self._known[name])
            new += self._records.take_in([record for _, record in offered])
            for where, record in offered:
                place = int(where.rsplit(" ", 1)[1])
                self.truth[record.id], self.site[record.id] = cases[place - 1].category, name
                rng = np.random.default_rng((SITES[name], day, place))
                if rng.random() < LABELLED:
                    self._due[record.id] = day + int(rng.integers(*LATE_DAYS, endpoint=True))
        return new

    def label(self, day: int) -> int:
        """Clinicians say what they have learned by that day; each once, however often the day begins."""
        said = {one.study for one in self._gate.feedback()}
        due = [record for record, at in self._due.items() if at <= day and record not in said]
        for record in due:
            self._gate.give_feedback(record, self.truth[record], "a clinician")
        return len(due)

    def _cases(self, day: int) -> Iterator[tuple[str, list[Case]]]:
        first = (day - 1) * self._a_day + 1
        for name, seed in SITES.items():
            numbers = range(first, first + self._a_day)
            yield name, [draw_case(self._profiles[name], seed, number, READING) for number in numbers]
