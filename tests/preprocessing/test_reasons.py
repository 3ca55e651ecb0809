"""Every reason to refuse a study has a name, and the operator's page says what to do about it."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def reasons() -> set[str]:
    """Those written out where UnreadableRecording is raised."""
    found = set()
    for path in (ROOT / "chordae").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UnreadableRecording":
                found |= {n.value for n in node.args[2:3] if isinstance(n, ast.Constant)}
    return found


def test_the_operators_page_names_every_reason() -> None:
    page = (ROOT / "docs" / "add-a-site.md").read_text()
    assert len(reasons()) > 25
    assert {reason for reason in reasons() if f"`{reason}`" not in page} == set()
