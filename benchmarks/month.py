"""`make bench-month`: a simulated month of three sites that offer records while the loop learns, and its report.

Days are simulated, training is real: the shipped reasoner, few steps, rounds spread over the month. The ledger's
moments are moved to the simulated days, in 2001 so that nobody takes them for a hospital's; a round lasts as long as it
did. Killed, it goes on with the day that it was at. The month is small, and its machine does other things: the gate
asks for fewer sentinels of a class and of a site and bears more latency than by default; all else is the default.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.month_sites import SITES, Hospitals
from benchmarks.simulated_days import move
from chordae.learning.loop.history import ModelHistory, read_history, sentinels_of, training_of
from chordae.learning.loop.place import place_of
from chordae.learning.loop.report import report_page
from chordae.learning.loop.stages import LearningLoop
from chordae.learning.pcrl.state import read_labels
from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically
from chordae.platform.settings import Settings, load_settings

RESULTS = Path(__file__).parent / "results" / "month.json"
LAPTOP, RECIPE = Path("configs/laptop.yaml"), Path("configs/train/cmr-r-pcrl.yaml")
FIRST = datetime(2001, 1, 1, 8, tzinfo=UTC)
DONE = "days-done"
GATE = {"least_per_class": 3, "least_per_site": 3, "slower": 2.0}
WATCHED = 24
"""Sentinels that the brakes look at, as often as a round begins and ends: each is answered as often as a record."""
REMARK = (
    "A simulation: three made-up sites, simulated patients, simulated days. Training, measures and decisions are real,"
    " of a nano model."
)


def main(words: list[str] | None = None) -> int:
    """Live the days that are left, then write the report and what they come to."""
    told = _arguments().parse_args(words)
    settings = settings_of(told.directory, told.steps, told.sentinels)
    hospitals = live(settings, told.days, told.a_day, told.rounds)
    history = read_history(settings.ledger_url)
    write_atomically(told.directory / "report.html", report_page(history, REMARK).encode())
    machine = f"{platform.machine()}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 1024**3:.0f} GiB"
    content = {
        "machine": machine,
        "days": told.days,
        "records": dict(Counter(one.site for one in history.arrivals)),
        "labels by clinicians": len(history.labels),
        "rounds": [line for found in history.models for line in lines_of(found, settings, hospitals)],
    }
    told.results.parent.mkdir(parents=True, exist_ok=True)
    told.results.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: {told.directory / 'report.html'} and {told.results}")
    return 0


def settings_of(directory: Path, steps: int, sentinels: int) -> Settings:
    """The laptop's reasoner with a ledger, registry and recipe of its own below `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe |= {"rounds": 1, "round_steps": steps, "warmup": 1, "most_sentinels": WATCHED}
    (directory / "pcrl.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    laptop = yaml.safe_load(LAPTOP.read_text())
    learning = {"recipe": str(directory / "pcrl.yaml"), "least_records": 1, "most_sentinels": sentinels, "gate": GATE}
    values = {"data_dir": str(directory), "cluster": laptop["cluster"], "reasoner": laptop["reasoner"]}
    (directory / "settings.yaml").write_text(yaml.safe_dump(values | {"learning": learning}, sort_keys=False))
    return load_settings(directory / "settings.yaml")


def live(settings: Settings, days: int, a_day: int, rounds: int) -> Hospitals:
    """Every day sites send records and clinicians label some of earlier days; `rounds` times the loop learns."""
    hospitals, loop = Hospitals(settings, a_day), LearningLoop(settings, print)
    learns = {-(-days * number // rounds) for number in range(1, rounds + 1)}
    mark = settings.data_dir / DONE
    done = int(mark.read_text()) if mark.is_file() else 0
    for day in range(1, days + 1):
        began = datetime.now(UTC)
        new = hospitals.send(day)  # also of a day that is done: what its records show must be known again
        if day <= done:
            continue
        print(f"day {day}: {new} records, {hospitals.label(day)} labels", flush=True)
        while day in learns and loop.step():
            pass
        move(settings.ledger_url, began, FIRST + timedelta(days=day - 1), FIRST + timedelta(days=days))
        write_atomically(mark, str(day).encode())
    return hospitals


def lines_of(found: ModelHistory, settings: Settings, hospitals: Hospitals) -> list[dict[str, Any]]:
    """Each round in numbers; which pseudo-labels are right the ledger cannot know, and the simulation does."""
    measured = sentinels_of(found)
    lines: list[dict[str, Any]] = []
    for one in found.rounds:
        line: dict[str, Any] = {"round": one.id, "seconds": round((one.changed_at - one.begun_at).total_seconds())}
        line |= {"used": found.used.get(one.id, {}), "outcome": one.outcome, "training": training_of(one)}
        try:
            labels = read_labels(place_of(settings.data_dir, one).model)
        except BadInput:  # a round that made no weights left no labels
            labels = []
        known = [label for label in labels if label.category is not None]
        for site in SITES:
            own = [label for label in known if hospitals.site[label.case] == site]
            right = sum(label.category == hospitals.truth[label.case] for label in own)
            line[f"labelled {site}"], line[f"labels right {site}"] = len(own), right
        for each in measured.get(one.id, []):
            line[f"sentinels {each.group}"] = {
                "n": each.sentinels,
                "champion": each.champion,
                "candidate": each.candidate,
            }
        lines.append(line)
    return lines


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.month", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--a-day", type=int, default=3, help="records of each site")
    parser.add_argument("--rounds", type=int, default=4, help="of learning, spread over the days")
    parser.add_argument("--steps", type=int, default=6, help="of a round's training")
    parser.add_argument("--sentinels", type=int, default=150, help="that champion and candidate are compared by")
    parser.add_argument("--directory", type=Path, default=Path("var/month"), help="with ledger, rounds and report")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
