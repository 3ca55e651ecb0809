"""The demo's last act: a site joins, the reasoner learns from its records unlabelled, and is asked all the while.

Everything lies in a data directory of its own, made anew by each demo: no ledger, registry or promotion of a real
platform hears of it. The round is `chordae learn run`'s, only shorter.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from chordae.cohort.dataset import write_rows
from chordae.cohort.record_cases import CASES, Case, Reading, draw_case
from chordae.cohort.sites import load_site
from chordae.platform.settings import REASONER, Settings, load_settings

SITE, SEED, OFFERED, OTHERS = "heart-centre", 2026, 16, 12
"""The late site, of how many records it learns, and on how many others of that site it is judged."""
RECIPE = Path("configs/train/cmr-r-pcrl.yaml")
SHORTER = {
    "rounds": 1,
    "round_steps": 2,
    "answers": 4,
    "batch": 16,
    "group": 2,
    "warmup": 1,
    "save_every": 2,
    "most_sentinels": 6,
}
READING = Reading(mistakes=5, without_contrast=0.6, contouring=3)
EVERY_S, TAKEN_UP_S = 2.0, 60.0


@dataclass
class Asking:
    """Questions for diagnoses, one after the other, as long as the block lasts; each names who answered."""

    settings: Settings
    digests: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Asking:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        from chordae.deployments import client
        from chordae.platform.diagnosis.diagnosis import Diagnosis
        from chordae.platform.errors import ChordaeError
        from chordae.preprocessing.records import ReadRecord

        number = 0
        while not self._over.wait(EVERY_S):
            number += 1
            case = draw_case(load_site(SITE), SEED + 1, number, READING)
            try:
                (said,) = client.diagnose(self.settings, [ReadRecord(where="", record=case.record)], "en", _silent)
            except ChordaeError as error:
                said = error
            if isinstance(said, Diagnosis):
                self.digests.append(said.weights.digest)
            else:
                self.failures.append(str(said))


@dataclass(frozen=True)
class Learned:
    """What became of the round."""

    outcome: str
    training: dict[str, Any]
    rules: dict[str, dict[str, Any]]
    """The gate's, by name."""
    asked: Counter[str]
    """Answers by the version that gave them: shipped or learned."""
    failures: list[str]
    page: Path


def demo_config(config: Path) -> Path:
    """These settings with the demo's own data directory, sets of cases and recipe, all made anew.

    Raises:
        BadSettings: `config` cannot be read.
    """
    place = load_settings(config).data_dir / "demo"
    shutil.rmtree(place, ignore_errors=True)
    sets = {name: _cases(place / name, *members) for name, members in _MEMBERS.items()}
    recipe = yaml.safe_load(RECIPE.read_text()) | SHORTER
    recipe |= {"cases": [str(sets["train"])], "sentinels": [str(sets["known"])]}
    (place / "pcrl.yaml").write_text(yaml.safe_dump(recipe))
    learning = {
        "recipe": str(place / "pcrl.yaml"),
        "calibration": [str(sets["known"])],
        "sentinels": [str(sets["sentinels"])],
        "least_records": OFFERED,
        "poll_s": 1,
        "trial": {"shadow_answers": 4, "canary_answers": 4, "share": 0.5},
        # as few as they are, sentinels tell little: a real site's limits are the defaults
        "gate": {"least_sentinels": 30, "least_per_class": 1, "recall_drop": 0.5, "slower": 3},
    }
    values = yaml.safe_load(config.read_text()) | {"data_dir": str(place), "learning": learning, "swap": {"poll_s": 1}}
    (place / "settings.yaml").write_text(yaml.safe_dump(values))
    return place / "settings.yaml"


def learn_from_a_late_site(settings: Settings, tell: Callable[[str], None]) -> Learned:
    """One round on a running platform, which is asked all the while. Raises as `run_loop` does."""
    from chordae.learning.loop.actor import run_loop
    from chordae.learning.loop.place import place_of
    from chordae.platform.ledger_gate import GateLedger
    from chordae.platform.ledger_learning import LearningLedger
    from chordae.platform.registry.models import Models
    from chordae.platform.weights import identify

    shipped = identify(Path(settings.models()[REASONER].model))
    tell(f"{_offer(settings)} records of the site {SITE} come in, unlabelled")
    with Asking(settings) as asking:
        run_loop(settings, tell, once=True)
        champion = Models(settings.data_dir).version(shipped.name, "champion")
        until = time.monotonic() + TAKEN_UP_S
        while asking.digests[-1:] != [champion.digest] and time.monotonic() < until:
            time.sleep(0.2)
    (done,) = LearningLedger(settings.ledger_url).rounds(shipped.name)
    decisions = GateLedger(settings.ledger_url).gate_decisions(shipped.name)
    rules = {one["name"]: one for decision in decisions for one in decision.content["rules"]}
    asked = Counter("shipped" if one == shipped.digest else "learned" for one in asking.digests)
    page = place_of(settings.data_dir, done).page
    return Learned(done.outcome or "", done.content.get("training") or {}, rules, asked, asking.failures, page)


def facts(learned: Learned) -> list[tuple[str, str]]:
    """The same as labels and what belongs to them."""
    training, rows = learned.training, [("Outcome", learned.outcome)]
    if training:
        rows.insert(
            0, ("Labelled", f"{training['labelled']:.0f} of {training['records']:.0f} by vote, none by a person")
        )
    if "sites" in learned.rules:
        numbers = learned.rules["sites"]["numbers"]
        before, after = numbers[f"{SITE}: champion"], numbers[f"{SITE}: candidate"]
        rows.append((f"On {SITE}", f"right in {before:.0%} of {OTHERS} other patients before, {after:.0%} after"))
    for name in ("accuracy", "live questions", "live flags", "live agreement"):
        if name in learned.rules:
            rows.append((name.capitalize(), learned.rules[name]["sentence"]))
    heard = ", ".join(f"{count} by the {version} weights" for version, count in sorted(learned.asked.items()))
    rows.append(
        ("Meanwhile", f"{sum(learned.asked.values())} questions answered ({heard}), {len(learned.failures)} failed")
    )
    rows += [("", one) for one in learned.failures[:3]]
    return [*rows, ("Gate's page", str(learned.page))]


_MEMBERS: dict[str, tuple[tuple[str, int, int], ...]] = {
    "train": (("university", 11, 48), ("regional", 12, 24)),
    "known": (("university", 13, 16), ("regional", 14, 16)),
    "sentinels": (("university", 15, 12), ("regional", 16, 12), (SITE, 17, OTHERS)),
}


def _cases(directory: Path, *members: tuple[str, int, int]) -> Path:
    """A set of labelled cases: of each site so many patients, drawn by a seed."""
    directory.mkdir(parents=True)
    drawn: list[Case] = []
    for site, seed, count in members:
        drawn += (draw_case(load_site(site), SEED + seed, number, READING) for number in range(1, count + 1))
    write_rows(directory / CASES, drawn)
    return directory


def _offer(settings: Settings) -> int:
    """What `chordae learn offer` does with a file of the late site."""
    from chordae.platform.ledger_records import RecordsLedger
    from chordae.preprocessing import identity
    from chordae.preprocessing.records.prospective import read_prospective

    site = load_site(SITE)
    records = [draw_case(site, SEED, number, READING).record for number in range(1, OFFERED + 1)]
    file = settings.data_dir / "offered.json"
    file.write_text(json.dumps([one.model_dump(mode="json") for one in records]))
    taken, _ = read_prospective([file], None, identity.load_site(SITE, settings.sites_dir))
    return RecordsLedger(settings.ledger_url).take_in([one for _, one in taken])


def _silent(_: str) -> None:
    pass
