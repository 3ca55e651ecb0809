"""How versions of weights look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from chordae.platform.architecture import difference
from chordae.platform.errors import DamagedVersion
from chordae.platform.registry.models import Registered
from chordae.platform.registry.version import ModelVersion, read_version

KEY_METRICS = ("accuracy", "macro_f1", "reward", "loss")
_SHORT = 12


def versions_table(versions: Iterable[Registered]) -> Table:
    """One row a version; of those whose files are gone, that."""
    table = Table("model", "version", "digest", "aliases", "registered", "metrics", "lacks")
    for one in versions:
        try:
            told = read_version(one.directory)
            metrics = "  ".join(f"{name} {told.metrics[name]}" for name in KEY_METRICS if name in told.metrics)
            lacks = ", ".join(told.lacks)
        except DamagedVersion:
            metrics, lacks = "", "its files"
        created = one.created.strftime("%Y-%m-%d %H:%M")
        row = (one.model, one.number, one.digest[:_SHORT], ", ".join(one.aliases), created, metrics, lacks)
        table.add_row(*map(escape, row))
    return table


def version_tables(version: Registered, told: ModelVersion) -> list[Table]:
    """What it is, and its files."""
    table = Table("", f"version {version.number} of {escape(version.model)}")
    facts = {
        "digest": version.digest,
        "aliases": ", ".join(version.aliases),
        "registered": version.created.isoformat(timespec="seconds"),
        "named by its trainer": told.weights.version,
        "for": told.kind or told.modality,
        "canary probes": told.canaries,
        "lacks": ", ".join(told.lacks),
    }
    for name, value in (*facts.items(), *_facts(told)):
        table.add_row(escape(name), escape(str(value if value is not None else "")))
    files = Table("file", "SHA-256")
    for name, digest in told.files.items():
        files.add_row(escape(name), digest)
    return [table, files]


def difference_table(versions: Sequence[Registered], told: Sequence[ModelVersion]) -> Table:
    """Side by side, what is not the same in both."""
    table = Table("", *(f"version {one.number}" for one in versions))
    if why := difference(versions[1].directory, versions[0].directory):
        table.add_row("architecture", "", f"another: {escape(why)}")
    sides = [dict(_facts(one)) | {f"file {name}": sha[:_SHORT] for name, sha in one.files.items()} for one in told]
    for name in dict.fromkeys((*sides[0], *sides[1])):
        left, right = (str(side.get(name, "")) for side in sides)
        if left != right:
            table.add_row(escape(name), escape(left), escape(right))
    return table


def _facts(told: ModelVersion) -> Iterator[tuple[str, Any]]:
    yield from _flat("metrics", told.metrics)
    yield from _flat("lineage", told.lineage)
    for name, fitted in (("calibration", told.calibration), ("temperature", told.temperature)):
        if fitted is not None:
            yield from _flat(name, fitted.model_dump())


def _flat(prefix: str, values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix} {name}", value)
        else:
            yield f"{prefix} {name}", value
