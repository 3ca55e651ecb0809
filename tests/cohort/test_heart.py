"""The simulated heart keeps to physics and anatomy."""

from dataclasses import replace

import numpy as np
import pytest

from chordae.cohort.heart import Heart, HeartShape, Lesion, Pose, Tissue, segment_at
from chordae.cohort.measure import measure

SHAPE = HeartShape(
    lv_radius=25.0,
    lv_length=90.0,
    wall=np.full(16, 9.0),
    contraction=np.full(16, 0.33),
    shortening=0.15,
    rv_width=30.0,
    rv_contraction=0.38,
    rv_shortening=0.2,
)


def plane(z: float, half: float = 80.0, step: float = 1.0) -> np.ndarray:
    """A short-axis slice: rows from anterior to inferior, columns from septum to lateral wall."""
    axis = np.arange(-half, half, step)
    return np.stack(np.broadcast_arrays(axis[None, :], -axis[:, None], np.float64(z)), axis=-1)


def test_cavity_volume_is_that_of_the_truncated_ellipsoid() -> None:
    shape = replace(SHAPE, fat=0.0)
    # of x2/a2 + y2/a2 + u2/c2 = 1 from u = -1/3 c to c: pi a2 c (2/3 + 1/3 - 1/81), c = 0.75 x length
    c = 0.75 * shape.lv_length
    expected = np.pi * shape.lv_radius**2 * c * (2 / 3 + 1 / 3 - (1 / 3) ** 3 / 3) / 1000
    muscles_ml = 2 * np.pi * 4.2**2 * 0.4 * shape.lv_length / 1000
    assert measure(Heart(shape), 1.5).lv_edv == pytest.approx(expected - muscles_ml, rel=0.02)


def test_the_wall_keeps_its_volume_while_it_contracts() -> None:
    heart, voxel = Heart(replace(SHAPE, fat=0.0)), 1.5
    axes = [np.arange(low, high, voxel) for low, high in ((-60, 60), (-60, 60), (-5, 110))]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    counts = [
        np.isin(heart.at(points, phase).tissue, (Tissue.MYOCARDIUM,)).sum() for phase in (0.0, 0.2, SHAPE.systole)
    ]
    assert counts[1] == pytest.approx(counts[0], rel=0.02)
    assert counts[2] == pytest.approx(counts[0], rel=0.02)


def test_ejection_fraction_is_what_radius_and_length_lose() -> None:
    measured = measure(Heart(SHAPE))
    assert measured.lv_ef == pytest.approx(100 * (1 - (1 - 0.33) ** 2 * (1 - 0.15)), abs=3)


def test_thickness_is_measured_as_it_was_given_and_grows_in_systole() -> None:
    wall = np.full(16, 8.0)
    wall[1] = 16.0  # basal anteroseptal
    measured = measure(Heart(replace(SHAPE, wall=wall)))
    assert int(np.argmax(measured.wall_ed)) == 1
    assert measured.wall_ed[9] == pytest.approx(8.0, abs=1.0)
    assert min(measured.thickening) > 15


def test_segments_are_where_the_heart_association_puts_them() -> None:
    """Cerqueira et al. 2002: 1 basal anterior, 3 basal inferoseptal, 9 mid inferoseptal, 13 to 16 the apex."""
    degrees = np.deg2rad([90, 210, 210, 90, 180, 270, 0])
    share = np.array([0.1, 0.1, 0.5, 0.9, 0.9, 0.9, 0.9])
    assert (segment_at(share, degrees) + 1).tolist() == [1, 3, 9, 13, 14, 15, 16]


def test_right_ventricle_lies_at_the_septum_and_nowhere_else() -> None:
    labels = Heart(SHAPE).at(plane(20.0), 0.0).tissue
    columns = np.nonzero((labels == Tissue.RV_CAVITY).any(axis=0))[0] - 80
    assert columns.min() < -45
    assert columns.max() < 10
    assert (labels == Tissue.RV_CAVITY).sum() > 1000


def test_an_infarction_does_not_thicken_and_its_neighbours_do() -> None:
    contraction = np.full(16, 0.33)
    contraction[[2, 3, 8, 9, 14]] = 0.02
    measured = measure(Heart(replace(SHAPE, contraction=contraction)))
    inferior = np.mean([measured.thickening[i] for i in (3, 9, 14)])
    anterior = np.mean([measured.thickening[i] for i in (0, 6, 12)])
    assert inferior < 0.5 * anterior


def test_a_lesion_lies_in_its_segments_and_its_layer() -> None:
    extent = np.zeros(16)
    extent[[9, 10]] = 1.0  # mid inferior and inferolateral
    heart = Heart(replace(SHAPE, lesion=Lesion(extent, (0.0, 0.5))))
    labels = heart.at(plane(0.5 * SHAPE.lv_length), 0.0)
    rows, columns = np.nonzero(labels.lesion > 0.5)
    assert len(rows) > 50
    angle = np.rad2deg(np.arctan2(-(rows - 80), columns - 80)) % 360
    assert ((angle > 215) | (angle < 20)).all()
    assert labels.depth[rows, columns].max() <= 0.5
    assert not labels.lesion[labels.tissue != Tissue.MYOCARDIUM].any()


def test_effusion_is_as_deep_as_it_was_given() -> None:
    assert measure(Heart(replace(SHAPE, effusion=14.0))).effusion_mm == pytest.approx(14.0, abs=0.6)
    assert measure(Heart(SHAPE)).effusion_mm == 0


def test_mitral_valve_is_closed_in_systole_and_open_in_early_diastole() -> None:
    heart = Heart(SHAPE)
    end = heart.base(1.0)
    closed = heart.at(plane(end + 4.0, 20), SHAPE.systole).tissue
    opened = heart.at(plane(heart.base(heart.activation(SHAPE.systole + 0.15)) + 12.0, 20), SHAPE.systole + 0.15).tissue
    assert (closed == Tissue.VALVE).any()
    assert opened[20, 20] == Tissue.LV_CAVITY  # the way is free
    assert (opened == Tissue.VALVE).any()


def test_patient_and_heart_coordinates_are_each_others_inverse() -> None:
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    pose = Pose(axes, np.array([20.0, -30.0, 5.0]), 45.0)
    points = np.random.default_rng(2).normal(0, 50, (7, 4, 3))
    assert np.allclose(pose.to_heart(pose.to_patient(points)), points)
    assert np.allclose(pose.to_patient(np.array([0.0, 0.0, 45.0])), pose.centre)
