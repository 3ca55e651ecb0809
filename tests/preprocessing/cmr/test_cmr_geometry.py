"""Slices keep their order and their name however the patient lies and however the files come."""

import numpy as np
import pytest
from heart_phantom import AXIS, plane
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from chordae.preprocessing.cmr import geometry

UNHURRIED = settings(deadline=None)
ANGLES = st.floats(-180, 180)
UNIT = st.tuples(ANGLES, ANGLES, ANGLES).map(lambda angles: Rotation.from_euler("xyz", angles, degrees=True))


def a_normal(row: np.ndarray, column: np.ndarray) -> geometry.Vector:
    found = geometry.normal([float(v) for v in (*row, *column)])
    assert found is not None
    return found


@UNHURRIED
@given(turn=UNIT, order=st.permutations(range(9)), gap=st.floats(2, 15))
def test_slices_of_any_orientation_are_ordered_towards_the_apex(turn: Rotation, order: list[int], gap: float) -> None:
    row, column = turn.apply(np.eye(3)[:2])
    across = a_normal(row, column)
    assert geometry.dot(across, geometry.APEX) >= 0
    places = np.outer(np.arange(9) * gap, across) + 17 * row - 4 * column
    depths = [geometry.dot(tuple(map(float, places[i])), across) for i in order]  # type: ignore[arg-type]
    assert [order[indices[0]] for indices in geometry.levels(depths)] == list(range(9))


@UNHURRIED
@given(tilt=st.floats(0, 35), about=ANGLES, spin=ANGLES, count=st.integers(3, 14))
def test_a_stack_across_a_heart_that_lies_otherwise_is_still_short_axis(
    tilt: float, about: float, spin: float, count: int
) -> None:
    sideways = Rotation.from_rotvec(np.radians(about) * AXIS).apply(plane("short axis")[0])
    turn = Rotation.from_rotvec(np.radians(tilt) * sideways) * Rotation.from_rotvec(np.radians(spin) * AXIS)
    across = a_normal(*turn.apply(plane("short axis")))
    found = geometry.view(across, count, None)
    assert found in {"short axis", geometry.patient_plane(across)}
    assert geometry.view(across, 1, across) == "short axis"


@UNHURRIED
@given(turn=UNIT, angle=st.floats(0, 180))
def test_long_axis_planes_stay_long_axis_planes_when_the_patient_turns(turn: Rotation, angle: float) -> None:
    axis = tuple(map(float, turn.apply(AXIS)))
    across = a_normal(*turn.apply(plane("long axis", angle)))
    names = {"4-chamber", "2-chamber", "3-chamber", "long axis"}
    assert geometry.view(across, 1, geometry.towards_apex(axis)) in names  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("angle", "name"),
    [
        (0, "4-chamber"),
        (25, "4-chamber"),
        (50, "4-chamber"),
        (57, "long axis"),
        (70, "2-chamber"),
        (90, "2-chamber"),
        (110, "2-chamber"),
        (117, "long axis"),
        (130, "3-chamber"),
        (150, "3-chamber"),
        (168, "long axis"),
        (175, "4-chamber"),
    ],
)
def test_long_axis_views_go_by_their_angle_about_the_axis_and_between_them_stay_unnamed(
    angle: float, name: str
) -> None:
    across = a_normal(*plane("long axis", angle))
    assert geometry.view(across, 1, geometry.APEX) == name


@pytest.mark.parametrize("name", ["axial", "coronal", "sagittal"])
def test_planes_of_the_patient_are_none_of_the_heart(name: str) -> None:
    assert geometry.view(a_normal(*plane(name)), 20, None) == name


def test_the_reference_pig_is_short_axis_by_its_orientation() -> None:
    across = geometry.normal([0.981407, -0.103243, -0.161808, 0.0, 0.842992, -0.537926])
    assert across is not None
    assert geometry.view(across, 8, None) == "short axis"


@pytest.mark.parametrize(
    "orientation", [[], [1, 0, 0], [0] * 6, [1, 0, 0, 1, 0, 0], [5, 0, 0, 0, 5, 0], [1, 0, 0, 0.5, 0.9, 0]]
)
def test_what_is_no_orientation_has_no_normal(orientation: list[float]) -> None:
    assert geometry.normal(orientation) is None


@UNHURRIED
@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_every_image_is_on_exactly_one_level(depths: list[float]) -> None:
    assert sorted(i for level in geometry.levels(depths) for i in level) == list(range(len(depths)))
