"""What a terminal is shown, whatever the files are called."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from chordae import console
from chordae.platform.ledger import StudyRecord
from chordae.preprocessing.pipeline import Outcome


def test_a_refused_file_whose_name_is_not_utf8_is_shown_with_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    terminal = Console(file=io.TextIOWrapper(shown, "utf-8", write_through=True), force_terminal=True, highlight=False)
    monkeypatch.setattr(console, "out", terminal)
    record = StudyRecord("0" * 32, "refused", None, None, None, "empty", "open", "The file is empty", {})
    view = console.IngestView()
    for name in (b"/landing/M\xfcller.npy", "/landing/Jos\u00e9.npy".encode()):
        view.outcome(Outcome(Path(os.fsdecode(name)), record, before=False))
    view.summary()
    text = shown.getvalue().decode()
    assert r"/landing/M\xfcller.npy" in text
    assert "/landing/Jos\u00e9.npy" in text
