"""One beat where the tags tell where it is, else the whole clip; never a frame beyond its end."""

import numpy as np
import pytest
from echo_files import clip, fan
from hypothesis import given
from hypothesis import strategies as st

from chordae.preprocessing.echo.cycle import Cycle, Timing, cycle_of, frame_times, one_cycle


def timing(frames: int, step: float = 40.0, **where: object) -> Timing:
    return Timing(np.arange(frames) * step, **where)


def test_from_one_r_wave_to_the_next() -> None:
    cycle = one_cycle(timing(60, r_waves=(400.0, 1200.0, 2000.0)), 24)
    assert cycle.basis == "r_waves"
    assert cycle.frames == tuple(range(10, 30))  # 20 frames are one beat: all of them, and not the next beat's first


def test_a_long_beat_is_thinned_evenly() -> None:
    cycle = one_cycle(timing(200, 10.0, r_waves=(100.0, 1060.0)), 24)
    assert cycle.frames == tuple(range(10, 106, 4))


def test_one_and_a_half_beats_begin_at_the_r_wave() -> None:
    cycle = one_cycle(timing(30, r_waves=(200.0,), heart_rate=75.0), 24)  # 1.2 s, beats of 0.8
    assert cycle == Cycle(tuple(range(5, 25)), "heart_rate")


def test_without_r_waves_the_heart_rate_measures_one_beat_from_the_beginning() -> None:
    assert one_cycle(timing(50, heart_rate=60.0), 24).frames[-1] == 23  # 24 of 25 frames
    assert one_cycle(timing(50, heart_rate=75.0), 24) == Cycle(tuple(range(20)), "heart_rate")


def test_an_r_wave_too_late_for_a_whole_beat_is_no_beginning() -> None:
    assert one_cycle(timing(30, r_waves=(800.0,), heart_rate=75.0), 24) == Cycle(tuple(range(20)), "heart_rate")


@pytest.mark.parametrize("rate", [None, 0.0, 5.0, 400.0])
def test_what_is_no_heart_rate_leaves_the_whole_clip(rate: float | None) -> None:
    cycle = one_cycle(timing(48, heart_rate=rate), 24)
    assert cycle == Cycle(tuple(range(0, 48, 2)), "whole_clip")


def test_a_clip_shorter_than_a_beat_is_shown_whole() -> None:
    assert one_cycle(timing(12, heart_rate=60.0), 24) == Cycle(tuple(range(12)), "whole_clip")


def test_a_clip_that_was_stored_from_r_wave_to_r_wave_is_one_beat() -> None:
    assert one_cycle(timing(25, r_waves=(0.0, 1000.0)), 24).basis == "r_waves"
    assert one_cycle(timing(25, heart_rate=60.0), 24).basis == "heart_rate"


def test_the_tags_are_read() -> None:
    pixels = fan()
    assert cycle_of(clip(pixels, HeartRate="90"), 24) == Cycle(tuple(range(20)), "heart_rate")
    assert cycle_of(clip(pixels, RWaveTimeVector=[100.0, 700.0]), 24).frames == tuple(range(3, 21))
    assert cycle_of(clip(pixels, FrameTime=None, CineRate="30", HeartRate="90"), 24).basis == "heart_rate"
    assert cycle_of(clip(pixels, FrameTime=None, HeartRate="90"), 24).basis == "whole_clip"
    uneven = [0.0] + [20.0] * 15 + [60.0] * 14
    assert cycle_of(clip(pixels, FrameTimeVector=uneven, HeartRate="200"), 24) == Cycle(tuple(range(15)), "heart_rate")


def test_trims_are_kept_to() -> None:
    cycle = cycle_of(clip(fan(), StartTrim="11", StopTrim="20"), 24)
    assert cycle.frames == tuple(range(10, 20))
    beat = cycle_of(clip(fan(), StartTrim="6", StopTrim="30", RWaveTimeVector=[0.0, 300.0, 900.0]), 24)
    assert beat == Cycle(tuple(range(9, 27)), "r_waves")


@pytest.mark.parametrize("vector", [[0.0, 20.0], [0.0] * 30, [-5.0] * 30, [0.0] + [9000.0] * 29])
def test_frame_times_that_cannot_be_are_not_believed(vector: list[float]) -> None:
    times = frame_times(clip(fan(), FrameTimeVector=vector, FrameTime="50"))
    assert times is not None
    np.testing.assert_allclose(times, np.arange(30) * 50)


anything = st.floats(-1e6, 1e6)


@given(
    steps=st.lists(st.floats(0, 1e4), min_size=1, max_size=200),
    waves=st.lists(anything, max_size=8),
    rate=st.none() | anything | st.floats(20, 250),
    limit=st.integers(1, 40),
)
def test_any_times_give_rising_frames_of_the_clip(
    steps: list[float], waves: list[float], rate: float | None, limit: int
) -> None:
    times = np.concatenate([[0.0], np.cumsum(steps)])
    cycle = one_cycle(Timing(times, tuple(waves), rate), limit)
    assert 1 <= len(cycle.frames) <= limit
    assert list(cycle.frames) == sorted(set(cycle.frames))
    assert cycle.frames[0] >= 0
    assert cycle.frames[-1] < len(times)


@given(frames=st.integers(2, 200), step=st.floats(5, 100), rate=st.floats(40, 180), first=st.floats(0, 1))
def test_a_beat_lasts_as_long_as_a_beat(frames: int, step: float, rate: float, first: float) -> None:
    beat = 60_000 / rate
    waves = tuple(np.arange(first * beat, frames * step, beat))
    cycle = one_cycle(timing(frames, step, r_waves=waves, heart_rate=rate), 24)
    if len(waves) > 1 and beat > 2 * step:
        assert cycle.basis == "r_waves"
        shown = (cycle.frames[-1] - cycle.frames[0]) * step
        assert abs(shown - beat * 23 / 24) <= step + 0.01
