"""CMR studies of simulated hearts: DICOM that others accept, and pictures that show what is true of the patient."""

import functools
import io
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from chordae.cohort.cmr import planes, write_cmr
from chordae.cohort.cmr.render import MAP_NOISE_MS, Renderer, key_moments
from chordae.cohort.heart import BLOOD, Labels, Tissue, segment_at
from chordae.cohort.identity import Identity
from chordae.cohort.measure import LV_BLOOD
from chordae.cohort.patient import Patient, draw_patient
from chordae.cohort.sites import CmrScanner, SiteProfile, load_site
from chordae.preprocessing import identity as preprocessing_identity
from chordae.preprocessing.study import prepare_study

SITES = ("university", "regional", "registry", "heart-centre")
ROOT = Path(__file__).parents[2]


@functools.cache
def site(name: str) -> SiteProfile:
    return load_site(str(ROOT / "configs" / "sites" / f"{name}.yaml"))


@functools.cache
def patient(category: str, lesion: bool = False, acute: bool = False) -> Patient:
    """The first of the registry that has it."""
    for number in range(1, 200):
        found = draw_patient(site("registry"), 5, number)
        truth = found.truth
        if truth.category == category and truth.acute >= acute and (truth.tissue.pattern != "none") >= lesion:
            return found
    raise AssertionError(f"no {category} among 200")


def written(path: Path, who: Patient, scanner: CmrScanner, seed: int = 1) -> Path:
    identity = Identity("SIM1", "SIMULATED^ADA", "19600401", "F", who.truth.patient, datetime(2026, 3, 31, 8, 5))
    write_cmr(who, scanner, identity, np.random.default_rng(seed), path)
    return path


def images(path: Path) -> Iterator[pydicom.Dataset]:
    with tarfile.open(path) as archive:
        for member in archive:
            yield pydicom.dcmread(io.BytesIO(archive.extractfile(member).read()))  # type: ignore[union-attr]


def labels_at(image: pydicom.Dataset, who: Patient) -> tuple[np.ndarray, Labels]:
    """Heart coordinates and labels of an image's pixels, by its header's geometry (PS3.3 C.7.6.2.1.1)."""
    row, column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
    down, right = np.array(image.PixelSpacing, float)
    y, x = np.mgrid[: image.Rows, : image.Columns]
    points = np.array(image.ImagePositionPatient, float) + x[..., None] * right * row + y[..., None] * down * column
    heart = who.pose.to_heart(points)
    return heart, who.heart.at(heart, 0.0)


def inner(mask: np.ndarray) -> np.ndarray:
    """Pixels of the mask whose four neighbours belong to it too."""
    found = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            found &= np.roll(mask, step, axis)
    return found


@pytest.mark.parametrize("name", SITES)
def test_every_site_writes_studies_that_preprocessing_understands_in_full(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "cmr.tgz", draw_patient(site(name), 5, 1), site(name).cmr)
    study = prepare_study(path, preprocessing_identity.load_site("here", tmp_path / "keys"))
    assert study.modality == "cmr"
    series = study.sidecar["series"]
    assert isinstance(series, list)
    found = Counter((one["sequence"], one["view"]) for one in series if one["sequence"] != "localiser")
    assert found == {
        ("cine", "short axis"): 1,
        ("cine", "2-chamber"): 1,
        ("cine", "3-chamber"): 1,
        ("cine", "4-chamber"): 1,
        ("T1 map", "short axis"): 1,
        ("T2 map", "short axis"): 1,
        ("T2-weighted", "short axis"): 1,
        ("late gadolinium enhancement", "short axis"): 1,
        ("late gadolinium enhancement", "4-chamber"): 1,
    }
    assert len([one for one in series if one["sequence"] == "localiser"]) == 3
    assert {one["phases"] for one in series if one["sequence"] == "cine"} == {site(name).cmr.phases}
    tiles = study.sidecar["tiles"]
    assert isinstance(tiles, list)
    assert len(tiles) == 16
    assert study.sidecar["set_aside"] == {}
    assert {tile["window"]["stored_in_tenths"] for tile in tiles if tile["sequence"] == "T2 map"} == {
        site(name).cmr.vendor == "SIEMENS"
    }


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not here")
@pytest.mark.parametrize("name", SITES)
def test_dciodvfy_accepts_every_kind_of_object(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "cmr.tgz", draw_patient(site(name), 5, 1), site(name).cmr)
    first = {int(image.SeriesNumber): image for image in reversed(list(images(path)))}
    assert len(first) == 10
    for number, image in first.items():
        image.save_as(tmp_path / f"{number}.dcm")
        verdict = subprocess.run(["dciodvfy", tmp_path / f"{number}.dcm"], capture_output=True, text=True)
        assert "MRImage" in verdict.stderr
        assert [line for line in verdict.stderr.splitlines() if line.startswith("Error")] == []


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    who, scanner = patient("normal"), site("registry").cmr
    one, same, other = (written(tmp_path / f"{i}.tgz", who, scanner, seed) for i, seed in enumerate((1, 1, 2)))
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()


def test_the_phases_divide_the_heartbeat_of_the_ecg(tmp_path: Path) -> None:
    who, scanner = patient("normal"), site("registry").cmr
    beat = 60000 / who.truth.ecg.rate_bpm
    path = written(tmp_path / "cmr.tgz", who, scanner)
    times = [float(image.TriggerTime) for image in images(path) if image.SeriesNumber == 2]
    assert np.allclose(times, np.arange(scanner.phases) * beat / scanner.phases, atol=0.01)


@pytest.mark.parametrize("name", ["registry", "heart-centre"])
def test_disc_summation_over_the_short_axis_stack_gives_the_measured_volumes_and_ejection_fraction(name: str) -> None:
    scanner = site(name).cmr
    thickness = scanner.slice_mm + scanner.gap_mm
    seen = set()
    for number in range(1, 13):
        who = draw_patient(site(name), 5, number)
        seen.add(who.truth.category)
        stack = planes.short_axis(who.pose, who.heart.shape, scanner)
        y, x = (axis.ravel() for axis in np.mgrid[: scanner.matrix, : scanner.matrix])
        points = np.stack([who.pose.to_heart(plane.points(y, x)) for plane in stack])
        area = [
            np.isin(who.heart.at(points, phase).tissue, LV_BLOOD).sum() * scanner.pixel_mm**2
            for phase in (0.0, who.heart.shape.systole)
        ]
        measured = who.truth.measured
        assert area[0] * thickness / 1000 == pytest.approx(measured.lv_edv, rel=0.10)
        assert area[1] * thickness / 1000 == pytest.approx(measured.lv_esv, rel=0.15)
        assert 100 * (1 - area[1] / area[0]) == pytest.approx(measured.lv_ef, abs=6)
    assert len(seen) >= 4


@pytest.mark.parametrize("category", ["myocardial infarction", "myocarditis"])
def test_late_enhancement_lights_up_in_the_segments_that_are_true_and_normal_myocardium_is_black(
    category: str, tmp_path: Path
) -> None:
    who = patient(category, lesion=True)
    scanner = site("registry").cmr.model_copy(update={"breathing": 0.0})
    path = written(tmp_path / "cmr.tgz", who, scanner)
    bright, remote, blood = Counter[int](), [], []
    for image in images(path):
        if image.SeriesNumber != 9:
            continue
        heart, labels = labels_at(image, who)
        muscle = labels.tissue == Tissue.MYOCARDIUM
        signal = image.pixel_array.astype(float)
        blood += signal[inner(np.isin(labels.tissue, BLOOD))].tolist()
        remote += signal[inner(muscle & (labels.lesion == 0))].tolist()
        shining = muscle & (signal > 1.2 * np.median(blood))
        share = heart[..., 2] / who.heart.shape.lv_length
        segments = segment_at(share, np.arctan2(heart[..., 1], heart[..., 0]))[shining] + 1
        bright.update(segments.tolist())
    assert sum(bright.values()) > 20
    true = set(who.truth.tissue.segments)
    assert {segment for segment, _ in bright.most_common(1)} <= true
    assert sum(bright[segment] for segment in true) > 0.8 * sum(bright.values())
    assert np.median(remote) < 0.3 * np.median(blood)


@pytest.mark.parametrize(
    ("category", "vendor"),
    [
        ("normal", "GE MEDICAL SYSTEMS"),
        ("amyloidosis", "Philips Medical Systems"),
        ("myocardial infarction", "SIEMENS"),
    ],
)
def test_maps_hold_the_true_relaxation_times(category: str, vendor: str, tmp_path: Path) -> None:
    who = patient(category, acute=category == "myocardial infarction")
    truth = who.truth.tissue
    scanner = site("registry").cmr.model_copy(update={"vendor": vendor, "breathing": 0.0})
    values: dict[tuple[int, bool], list[float]] = {}
    for image in images(written(tmp_path / "cmr.tgz", who, scanner)):
        if image.SeriesNumber not in (6, 7):
            continue
        _, labels = labels_at(image, who)
        unit = float(image.get("RescaleSlope", 0.1 if vendor == "SIEMENS" and image.SeriesNumber == 7 else 1))
        for ill in (False, True):
            where = inner((labels.tissue == Tissue.MYOCARDIUM) & (labels.lesion == float(ill)))
            values.setdefault((int(image.SeriesNumber), ill), []).extend(image.pixel_array[where] * unit)
        blood = image.pixel_array[inner(labels.tissue == Tissue.LV_CAVITY)] * unit
        assert blood.std() < 1.3 * MAP_NOISE_MS["t1" if image.SeriesNumber == 6 else "t2"]
    diffuse = truth.pattern == "diffuse subendocardial"
    assert np.median(values[6, False]) == pytest.approx(truth.lesion_t1 if diffuse else truth.native_t1, rel=0.02)
    assert np.median(values[7, False]) == pytest.approx(truth.t2, rel=0.02)
    if category == "myocardial infarction":
        assert np.median(values[6, True]) == pytest.approx(truth.lesion_t1, rel=0.03)
        assert np.median(values[7, True]) == pytest.approx(truth.lesion_t2, rel=0.03)


def test_noise_in_air_has_the_mean_and_spread_of_a_rayleigh_distribution() -> None:
    who, scanner = patient("normal"), site("registry").cmr
    four = planes.long_axis(who.pose, who.heart.shape, scanner)[2:]
    frames = Renderer(who, scanner, four, np.random.default_rng(1)).cine(0, breathing=False)
    corner = frames[:, :10, :10]
    assert corner.mean() == pytest.approx(scanner.noise * np.sqrt(np.pi / 2), rel=0.05)
    assert corner.std() == pytest.approx(scanner.noise * np.sqrt(2 - np.pi / 2), rel=0.05)


def test_breathing_disturbs_where_nothing_moves() -> None:
    who, scanner = patient("normal"), site("registry").cmr
    four = planes.long_axis(who.pose, who.heart.shape, scanner)[2:]
    renderer = Renderer(who, scanner, four, np.random.default_rng(1))
    calm, again, disturbed = (renderer.cine(0, breathing) for breathing in (False, False, True))
    assert np.abs(disturbed - calm).mean() > 1.5 * np.abs(again - calm).mean()


def test_blends_between_labelled_moments_stay_near_what_labels_would_give() -> None:
    """A phase that is blended differs from the labelled one by less than a fifth of what the beat changes."""
    who, scanner = patient("normal"), site("registry").cmr.model_copy(update={"noise": 0.0})
    middle = planes.short_axis(who.pose, who.heart.shape, scanner)[4:5]
    level = np.array([who.heart.activation(k / scanner.phases) for k in range(scanner.phases)])
    blended = sorted(set(range(scanner.phases)) - set(key_moments(level)))
    assert 2 <= len(blended) <= scanner.phases // 2
    fast = Renderer(who, scanner, middle, np.random.default_rng(1)).cine(0, breathing=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chordae.cohort.cmr.render.LARGEST_STEP", 0.0)
        slow = Renderer(who, scanner, middle, np.random.default_rng(1)).cine(0, breathing=False)
    beat = np.abs(slow - slow[:1]).mean(axis=(1, 2)).max()
    assert np.abs(fast - slow)[blended].mean(axis=(1, 2)).max() < 0.2 * beat
