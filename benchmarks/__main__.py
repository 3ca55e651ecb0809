"""`make bench`: every measure as a ratio taken within one run, as a table and in benchmarks/results/latest.json."""

import json
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results" / "latest.json"
MEASURES = ("ecg", "echo", "cmr", "ingest", "orchestration", "load", "serving", "swapping")


def main() -> int:
    """Measure everything; 1 if a bar is missed."""
    machine = f"{platform.machine()}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 1024**3:.0f} GiB"
    # one after the other: `ingest` starts Ray with settings that are read when Ray is imported, as some others do
    modules = (import_module(f"benchmarks.{name}") for name in MEASURES)
    return report([entry | {"machine": machine} for module in modules for entry in module.measure()])


def report(entries: list[dict[str, Any]], results: Path = RESULTS) -> int:
    """Write the entries as JSON, print them as a table; 1 if a bar is missed."""
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(entries, indent=1) + "\n")
    table = Table("measure", "value", "unit", "bar", "ok", title=entries[0]["machine"])
    for entry in entries:
        mark = "[green]yes[/green]" if entry["ok"] else "[red]no[/red]"
        table.add_row(entry["name"], f"{entry['value']:.3g}", entry["unit"], entry["bar"], mark)
    Console().print(table)
    return 0 if all(entry["ok"] for entry in entries) else 1


if __name__ == "__main__":
    sys.exit(main())
