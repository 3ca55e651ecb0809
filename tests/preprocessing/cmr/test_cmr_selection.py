"""The question steers which tiles there are and which come first."""

import pytest

from chordae.preprocessing.cmr import prepare_cmr
from chordae.preprocessing.cmr.selection import Tile, focus, spread
from chordae.preprocessing.dicom import Instance

QUESTIONS = [
    ("Is there a myocardial scar?", "scar", "late gadolinium enhancement, phase-sensitive"),
    ("Describe the fibrosis.", "scar", "late gadolinium enhancement, phase-sensitive"),
    ("Is the inferior wall viable?", "scar", "late gadolinium enhancement, phase-sensitive"),
    ("What is the ejection fraction?", "function", "cine"),
    ("Are there wall motion abnormalities?", "function", "cine"),
    ("Is there myocardial oedema?", "oedema", "T2 map"),
    ("Signs of inflammation?", "oedema", "T2 map"),
    ("Is there inducible ischaemia?", "ischaemia", "perfusion under stress"),
    ("How severe is the aortic valve stenosis?", "flow", "phase contrast"),
    ("", "", "late gadolinium enhancement, phase-sensitive"),
    ("What do you see?", "", "late gadolinium enhancement, phase-sensitive"),
]


@pytest.mark.parametrize(("question", "topic", "first"), QUESTIONS)
def test_the_question_says_what_comes_first(
    question: str, topic: str, first: str, whole_examination: list[Instance]
) -> None:
    assert focus(question) == topic
    tiles = tiles_of(whole_examination, question)
    assert tiles[0]["sequence"] == first
    assert len(tiles) == 16
    short_axis = [tile for tile in tiles if (tile["sequence"], tile["view"]) == ("cine", "short axis")]
    assert len(short_axis) >= 4
    assert not {"localiser", "4D flow"} & {str(tile["sequence"]) for tile in tiles}


def test_without_a_question_the_order_is_the_references(whole_examination: list[Instance]) -> None:
    tiles = tiles_of(whole_examination)
    assert [(str(tile["sequence"]).split(",")[0], tile["view"]) for tile in tiles] == [
        *[("late gadolinium enhancement", "short axis")] * 3,
        *[("T2 map", "short axis"), ("T2-weighted", "short axis"), ("T1 map", "short axis")],
        *[("cine", "4-chamber"), ("cine", "2-chamber"), ("cine", "3-chamber"), ("cine", "RVOT")],
        *[("phase contrast", "aorta"), ("perfusion under stress", "short axis")],
        *[("cine", "short axis")] * 4,
    ]
    levels = [tile["slice"]["number"] for tile in tiles]  # type: ignore[index]
    assert levels[:3] == [2, 5, 8], "basal, mid, apical"
    assert levels[12:] == [2, 4, 6, 8]
    assert [(tile["row"], tile["column"]) for tile in tiles] == [divmod(index, 4) for index in range(16)]


@pytest.mark.parametrize("count", range(1, 12))
def test_levels_are_spread_over_the_heart(count: int) -> None:
    line: list[Tile] = list(range(11))  # type: ignore[arg-type]
    found = spread(line, count)
    assert found == sorted(set(found)), "each slice once, base to apex"
    assert found[0] <= 11 // count, "nothing left out at the base"
    assert len(line) - 1 - found[-1] <= 11 // count, "nor at the apex"  # type: ignore[operator]


def tiles_of(instances: list[Instance], question: str = "") -> list[dict[str, object]]:
    found = prepare_cmr(instances, question).sidecar["tiles"]
    assert isinstance(found, list)
    return found
