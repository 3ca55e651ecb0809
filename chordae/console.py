"""How settings and progress look in a terminal; answers are in `console_answer.py`."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from chordae.platform.settings import Settings, knobs

if TYPE_CHECKING:
    from chordae.learning.recordings import Reading
    from chordae.preprocessing.pipeline import Outcome

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

DEMONSTRATOR = "Nano experts are demonstrators, trained on simulated recordings. Not for clinical use."


def show_settings(settings: Settings) -> None:
    """Every knob with its current value, default and meaning; a line to search for, a line to read."""
    out.print("Environment override, for example: CHORDAE_ORCHESTRATOR__ALPHA=0.4\n", style="dim")
    for name, meaning, default, value in knobs(settings):
        changed = "" if str(value) == default else f"  [dim](default {escape(default)})[/dim]"
        out.print(f"[bold]{name}[/bold] = {escape(str(value))}{changed}\n    {escape(meaning)}", soft_wrap=True)


def show_reading(reading: Reading) -> None:
    """One record: what was answered, and what its codes say where the answer does not."""
    if reading.refusal:
        out.print(
            f"[bold]{escape(reading.name)}[/bold]  [yellow]not read: {escape(reading.refusal)}[/yellow]", soft_wrap=True
        )
        return
    told = (("rhythm", reading.rhythm), ("conduction", reading.conduction))
    missed = [truth for key, truth in told if truth and not reading.right(key, truth)]
    codes = f"  [red](codes: {', '.join(missed)})[/red]" if missed else ""
    out.print(f"[bold]{escape(reading.name)}[/bold]  {escape(reading.answer)}{codes}", soft_wrap=True)


def show_counts(counts: dict[str, tuple[int, int]]) -> None:
    """How often rhythm and conduction were what the codes say, and the rate what a beat detector counts."""
    for name, (right, graded) in counts.items():
        out.print(f"{name}: {right} of {graded} {'within 5 bpm' if name == 'rate' else 'as the codes say'}")
    out.print(DEMONSTRATOR, style="yellow")


class IngestView:
    """A run of `chordae ingest` as it goes on: a bar, or lines where there is no terminal; at its end a table.

    Paths may hold names: they are shown on a terminal, to whoever typed the command, and never written elsewhere.
    """

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=err
        )
        self._task = self._bar.add_task("", total=0)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._refused: list[Outcome] = []
        self._stage = ""
        self._told = time.monotonic()

    def __enter__(self) -> IngestView:
        if err.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if err.is_terminal:
            self._bar.stop()

    def stage(self, words: str) -> None:
        """What the run is doing."""
        repeated, self._stage = words == self._stage, words
        self._bar.update(self._task, description=words)
        if not err.is_terminal and not repeated:
            err.print(f"ingest: {words}", markup=False, soft_wrap=True)

    def found(self, studies: int) -> None:
        """So many more are known."""
        self._bar.update(self._task, total=(self._bar.tasks[0].total or 0) + studies)
        if studies and not err.is_terminal:
            err.print(f"ingest: {studies} studies found")

    def outcome(self, outcome: Outcome) -> None:
        """One is done or refused."""
        record = outcome.record
        kind = f"{record.state} before" if outcome.before else "same media" if record.same_as else record.state
        self._counts[record.modality or "not known", kind] += 1
        if record.state == "refused":
            self._refused.append(outcome)
        self._bar.advance(self._task)
        if not err.is_terminal and time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            told, known = self._counts.total(), self._bar.tasks[0].total
            err.print(f"ingest: {told} of {known:g} studies have an outcome, {len(self._refused)} refused")

    def summary(self) -> None:
        """How many of each modality came to what, and every refused study with the reason."""
        kinds = ("done", "same media", "done before", "refused", "refused before")
        table = Table("modality", *kinds)
        for modality in sorted({modality for modality, _ in self._counts}):
            table.add_row(modality, *(str(self._counts[modality, kind] or "") for kind in kinds))
        out.print(table)
        for outcome in sorted(self._refused, key=lambda one: one.path):
            record = outcome.record
            readable = os.fsencode(outcome.path).decode(errors="backslashreplace")  # not every name is UTF-8
            name = readable if out.is_terminal else record.id
            told = f"{record.reason} ({record.stage}): {record.problem}"
            out.print(f"[yellow]refused[/yellow] {escape(name)}  {escape(told)}", soft_wrap=True)
        if self._refused and not out.is_terminal:
            out.print("Run it again in a terminal to see the paths of refused studies.")


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A spinner with the current stage and the time, on standard error; plain lines where that is no terminal."""
    started = time.monotonic()
    if not err.is_terminal:
        yield lambda stage: err.print(f"[{time.monotonic() - started:6.1f} s] {stage}", markup=False)
        return
    with err.status("starting") as spinner:

        def tell(stage: str) -> None:
            err.print(f"[{time.monotonic() - started:6.1f} s] {stage}", style="dim", markup=False)
            spinner.update(stage)

        yield tell


@contextmanager
def counting(what: str, of: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; a line every tenth where that is no terminal."""
    if err.is_terminal:
        with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=err) as bar:
            task = bar.add_task(what, total=of)
            yield lambda done: bar.update(task, completed=done)
        return

    told = 0

    def tell(done: int) -> None:
        nonlocal told
        if done * 10 // of > told:
            told = done * 10 // of
            err.print(f"{what}: {done} of {of}", markup=False)

    yield tell
