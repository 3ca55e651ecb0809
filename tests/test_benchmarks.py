"""What `make bench` does with its measures; the measures themselves take minutes and run by hand."""

import json
from pathlib import Path

from benchmarks.__main__ import report
from benchmarks.entry import entry


def test_a_missed_bar_is_an_exit_status_of_1_and_everything_is_written(tmp_path: Path) -> None:
    entries = [entry("a", 1.2, "x", "<= 1.5"), entry("b", 0.8, "x", ">= 0.9"), entry("c", 3.0, "ms")]
    assert [one["ok"] for one in entries] == [True, False, True]
    told = [one | {"machine": "m"} for one in entries]
    assert report(told, tmp_path / "results" / "latest.json") == 1
    assert json.loads((tmp_path / "results" / "latest.json").read_text()) == told
    assert report(told[:1], tmp_path / "latest.json") == 0
