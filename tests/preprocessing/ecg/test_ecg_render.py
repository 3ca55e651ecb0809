"""In both pictures a millivolt measures the calibration pulse, and a second what the layout says."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from chordae.preprocessing.ecg import LEADS, clean, encode_png, read_ecg, render_clinical, render_marcus
from chordae.preprocessing.ecg.render import CLINICAL, MARCUS, marcus_gain

HALF = 2500


def flat(mv: float = 0.0) -> np.ndarray:
    return np.full((12, 5000), mv, dtype=np.float32)


def step(mv: float) -> np.ndarray:
    """0 mV for five seconds, then `mv`."""
    signal = flat()
    signal[:, HALF:] = mv
    return signal


def height(picture: np.ndarray, columns: slice, rows: slice) -> float:
    """The row, to a fraction, at which the ink of these columns is centred."""
    part = picture[rows, columns].astype(float)
    ink = np.clip(150 - part[..., 1], 0, None)
    return rows.start + float((ink.sum(axis=1) * np.arange(ink.shape[0])).sum() / ink.sum())


def tile(lead: int) -> tuple[int, int]:
    row, column = divmod(lead, 3)
    return row * 224, column * 224


# -- marcus


@pytest.mark.parametrize("mv", [0.4, 1.0, -1.0, 1.9, 3.3, -7.0])
@pytest.mark.parametrize("lead", [0, 5, 11])
def test_marcus_a_millivolt_measures_the_calibration_pulse(mv: float, lead: int) -> None:
    picture = render_marcus(step(mv))
    top, left = tile(lead)
    trace_rows = slice(top + 18, top + 223)
    pulse = height(picture, slice(left + 3, left + 5), trace_rows) - height(
        picture, slice(left + 9, left + 12), trace_rows
    )
    zero = height(picture, slice(left + 40, left + 110), trace_rows)
    deflection = zero - height(picture, slice(left + 130, left + 210), trace_rows)
    assert deflection / mv == pytest.approx(pulse, rel=0.01, abs=0.15)
    assert pulse == pytest.approx(marcus_gain(step(mv)), abs=0.1)


def test_marcus_has_the_size_and_order_that_the_checkpoints_saw() -> None:
    assert render_marcus(flat()).shape == (896, 672, 3)
    empty = render_marcus(flat())
    for lead in range(12):
        signal = flat()
        signal[lead, HALF:] = 0.5
        changed = np.argwhere((render_marcus(signal) != empty).any(axis=2))
        top, left = tile(lead)
        assert (changed // 224 == [top // 224, left // 224]).all()


def test_marcus_shows_all_ten_seconds_in_every_tile() -> None:
    for at in range(0, 10):
        signal = flat()
        signal[:, at * 500 : at * 500 + 20] = 1.0
        ink = (render_marcus(signal)[25:115, :224] < 100).all(axis=2)[:, 20:].sum(axis=0)
        assert np.argmax(ink) + 20 == pytest.approx(MARCUS.trace_left + (at + 0.02) * MARCUS.px_per_s, abs=1)


def test_marcus_one_voltage_scale_serves_all_leads() -> None:
    signal = step(1.0)
    signal[8] *= 3.0
    assert marcus_gain(signal) == 32
    assert marcus_gain(signal * 0.01) == 100
    assert marcus_gain(signal * 100) == MARCUS.gains[-1]
    gains = [marcus_gain(step(mv)) for mv in np.linspace(0.01, 12, 200)]
    assert gains == sorted(gains, reverse=True)


def test_marcus_never_leaves_its_tile() -> None:
    signal = flat()
    signal[4, ::7] = 40.0
    signal[4, 3::7] = -40.0
    changed = np.argwhere((render_marcus(signal) != render_marcus(step(10) * 0)).any(axis=2))
    inside = changed[(changed[:, 0] // 224 == 1) & (changed[:, 1] // 224 == 1)]
    assert len(inside) > 1000


def test_marcus_grid_is_every_fifth_of_a_second_and_every_half_millivolt() -> None:
    picture = render_marcus(flat())[:224, :224].astype(int)
    vertical = np.flatnonzero(picture[205, 25:, 1] < 230) + 25
    assert set(np.diff(vertical)) == {round(0.2 * MARCUS.px_per_s)}
    horizontal = np.flatnonzero(picture[20:, 222, 1] < 200) + 20
    assert set(np.diff(horizontal[horizontal != 120])) <= {50, 100}
    assert picture[..., 2].min(axis=None) < 100 < 200 < np.median(picture[..., 2])


def test_marcus_trace_survives_the_models_size(bundled_ecg: Path) -> None:
    picture = cv2.resize(render_marcus(clean(read_ecg(bundled_ecg)).signal), (336, 224), interpolation=cv2.INTER_AREA)
    trace_columns = picture[6:56, 12:110, 1].astype(int)
    assert (trace_columns.min(axis=0) < 170).all()
    assert np.median(trace_columns) > 215


# -- clinical


@pytest.mark.parametrize("mv", [0.5, 1.0, -1.0])
def test_clinical_a_millivolt_is_ten_millimetres_as_is_the_pulse(mv: float) -> None:
    picture = render_clinical(step(mv))
    mm, left = CLINICAL.px_per_mm, CLINICAL.left_mm * CLINICAL.px_per_mm
    rows = slice(CLINICAL.zero_y(3) - 12 * mm, CLINICAL.zero_y(3) + 12 * mm)
    pulse = height(picture, slice(left - 9 * mm, left - 8 * mm), rows)
    pulse -= height(picture, slice(left - 6 * mm, left - 3 * mm), rows)
    zero = height(picture, slice(left + 400, left + 800), rows)
    assert (zero - height(picture, slice(left + 1200, left + 1900), rows)) / mv == pytest.approx(10 * mm, abs=0.5)
    assert pulse == pytest.approx(10 * mm, abs=0.5)


def test_clinical_pulse_is_five_millimetres_wide() -> None:
    mm, left = CLINICAL.px_per_mm, CLINICAL.left_mm * CLINICAL.px_per_mm
    row = CLINICAL.zero_y(1) - 5 * mm
    edges = np.flatnonzero((render_clinical(flat())[row, :left] < 100).all(axis=1))
    assert edges.max() - edges.min() == pytest.approx(5 * mm, abs=2)


def test_clinical_a_second_is_25_millimetres() -> None:
    signal = flat()
    for second in range(1, 10):
        signal[:, second * 500 : second * 500 + 10] = 1.0
    mm, left = CLINICAL.px_per_mm, CLINICAL.left_mm * CLINICAL.px_per_mm
    row = CLINICAL.zero_y(3) - 5 * mm
    ink = np.flatnonzero((render_clinical(signal)[row, left:] < 100).all(axis=1))
    starts = ink[np.insert(np.diff(ink) > 50, 0, True)]
    np.testing.assert_allclose(np.diff(starts), 25 * mm, atol=1)


def test_clinical_millimetres_are_square() -> None:
    picture = render_clinical(flat()).astype(int)
    across = np.flatnonzero(picture[2, :, 1] < 180)[:40]
    down = np.flatnonzero(picture[:, 2, 1] < 180)[:40]
    np.testing.assert_array_equal(across, down)
    assert set(np.diff(across)) == {1, 5 * CLINICAL.px_per_mm - 1}


@pytest.mark.parametrize("lead", range(12))
def test_clinical_shows_each_lead_for_its_2_5_seconds(lead: int) -> None:
    column, row = divmod(lead, 3)
    signal = flat()
    signal[lead] = 0.5
    changed = np.argwhere((render_clinical(signal) != render_clinical(flat())).any(axis=2))
    changed = changed[changed[:, 0] < CLINICAL.zero_y(3) - 12 * CLINICAL.px_per_mm]
    left = CLINICAL.left_mm * CLINICAL.px_per_mm + column * 500
    assert changed[:, 1].min() == pytest.approx(left, abs=3)
    assert changed[:, 1].max() == pytest.approx(left + 500, abs=4)
    assert abs(changed[:, 0] - CLINICAL.zero_y(row)).max() < 50
    assert LEADS[lead] == LEADS[CLINICAL.columns[column][row]]


# -- both


@pytest.mark.parametrize("render", [render_marcus, render_clinical])
def test_a_picture_depends_on_its_signal_only(render, make_ecg) -> None:
    signal = clean(make_ecg()).signal
    first = render(signal)
    first_copy = first.copy()
    first[:] = 0
    render(signal * 5)
    np.testing.assert_array_equal(render(signal), first_copy)


@pytest.mark.parametrize("render", [render_marcus, render_clinical])
def test_png_gives_every_pixel_back(render, make_ecg) -> None:
    picture = render(clean(make_ecg()).signal)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(encode_png(picture), np.uint8), cv2.IMREAD_COLOR), picture)
