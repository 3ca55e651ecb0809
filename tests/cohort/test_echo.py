"""Echo studies of simulated hearts: what the pictures show is true, the files are DICOM, preprocessing takes them."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from chordae.cohort.echo import ClipSpec, ClipTruth, plan_study, write_echo
from chordae.cohort.echo.clips import FINE_BEAMS, FINE_RANGES, Loop, Timing, draw_timing, render
from chordae.cohort.echo.compression import RLE, compress
from chordae.cohort.echo.plan import JUNK_SHARE, STILLS
from chordae.cohort.echo.speckle import speckle_bank
from chordae.cohort.echo.windows import VIEWS, Plane, View, plane_of
from chordae.cohort.heart import Heart, Tissue
from chordae.cohort.identity import Identity
from chordae.cohort.patient import Patient, draw_patient
from chordae.cohort.sites import EchoMachine, load_site
from chordae.cohort.truth import TERRITORIES
from chordae.preprocessing.identity import Site
from chordae.preprocessing.study import PreparedStudy, prepare_study

SITES = ("registry", "regional", "heart-centre")
"""JPEG, uncompressed, RLE."""
IDENTITY = Identity("SIM1", "SIMULATED^ADA", "19600101", "F", "registry-test", datetime(2026, 3, 4, 9))
CAVITY = (Tissue.LV_CAVITY, Tissue.VALVE, Tissue.PAPILLARY)


@lru_cache
def patients(count: int = 18) -> tuple[Patient, ...]:
    return tuple(draw_patient(load_site("registry"), 1, number) for number in range(1, count + 1))


@pytest.fixture(scope="module", params=SITES)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ClipTruth]]:
    path = tmp_path_factory.mktemp(request.param) / "echo.tgz"
    machine = load_site(request.param).echo
    return path, write_echo(patients()[2], machine, IDENTITY, np.random.default_rng(3), path)


def objects(path: Path) -> list[Dataset]:
    with tarfile.open(path) as archive:
        names = sorted(archive.getnames())
        return [pydicom.dcmread(BytesIO(archive.extractfile(name).read())) for name in names]


def prepared(path: Path) -> PreparedStudy:
    return prepare_study(path, Site("test", b"0" * 32))


def video(content: bytes, path: Path) -> np.ndarray:
    path.write_bytes(content)
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return np.stack(frames)


STEP = 1.25


def cut(heart: Heart, plane: Plane, phase: float, step: float = STEP) -> np.ndarray:
    """Labels on squares of `step` mm of the plane, rows down."""
    down, right = np.meshgrid(np.arange(0, plane.depth, step), np.arange(-80, 80, step), indexing="ij")
    points = plane.origin + down[..., None] * plane.down + right[..., None] * plane.right
    return heart.at(points, phase).tissue


def pixel_labels(loop: Loop, heart: Heart, phase: float) -> np.ndarray:
    """What each pixel of the screen shows, by trigonometry alone."""
    y, x = np.mgrid[: loop.screen.rows, : loop.screen.columns]
    scale, (apex_x, apex_y) = loop.screen.mm_per_pixel, loop.screen.apex
    down, right = (y - apex_y)[..., None] * scale, (x - apex_x)[..., None] * scale
    labels = heart.at(loop.plane.origin + down * loop.plane.down + right * loop.plane.right, phase).tissue
    distance, angle = np.hypot(down, right)[..., 0], np.rad2deg(np.arctan2(right, down))[..., 0]
    return np.where((distance < loop.plane.depth - 3) & (abs(angle) < loop.plane.degrees / 2 - 2), labels, 255)


def disc_volume(heart: Heart, phase: float) -> float:
    """Biplane summation of 20 discs (Lang et al., Eur Heart J Cardiovasc Imaging 2015;16:233), mL."""
    widths, lengths = [], []
    for view in ("A4C", "A2C"):
        inside = np.isin(cut(heart, plane_of(heart, view, 160, 80), phase), CAVITY)
        rows = np.flatnonzero(inside.any(axis=1))
        lengths.append(len(rows))
        widths.append(np.interp(np.linspace(rows[0], rows[-1], 20), rows, inside.sum(axis=1)[rows]))
    return float(np.pi / 4 * (widths[0] * widths[1]).sum() * max(lengths) / 20 * STEP**3 / 1000)


def test_disc_summation_in_the_apical_planes_gives_the_true_volume_and_ejection_fraction() -> None:
    off = []
    for patient in patients()[:8]:
        systole = disc_volume(patient.heart, patient.heart.shape.systole)
        diastole = disc_volume(patient.heart, 0.0)
        assert diastole == pytest.approx(patient.truth.measured.lv_edv, rel=0.12)
        off.append(100 * (1 - systole / diastole) - patient.truth.measured.lv_ef)
    assert np.max(np.abs(off)) < 5
    assert abs(np.mean(off)) < 2


def shown(patient: Patient, view: View, quality: float = 0.95, phases: tuple[float, ...] = (0.0,)) -> list[Loop]:
    """Single frames of that view at these phases, all with the same hand and window."""
    machine, loops = EchoMachine(), []
    bank = speckle_bank(FINE_RANGES, FINE_BEAMS, np.random.default_rng(0))
    for phase in phases:
        timing = Timing(frame=33.0, beat=1000.0, r_wave=1000.0 * (1 - phase), frames=1)
        spec = ClipSpec(view, "standard", quality)
        loops.append(render(patient, spec, timing, machine, bank, np.random.default_rng(5)))
    return loops


def test_the_picture_has_the_tissue_where_the_heart_has_it() -> None:
    for view in VIEWS:
        patient = patients()[6]
        (loop,) = shown(patient, view)
        labels, picture = pixel_labels(loop, patient.heart, 0.0), loop.pictures[0].astype(float)
        blood = picture[np.isin(labels, (Tissue.LV_CAVITY, Tissue.LA_CAVITY, Tissue.RV_CAVITY))]
        muscle = picture[labels == Tissue.MYOCARDIUM]
        assert np.median(blood) < 30 < 60 < np.median(muscle), view


def test_the_dark_cavity_of_the_apical_picture_shrinks_as_the_heart_does() -> None:
    for patient in (patients()[2], patients()[6]):  # a weak heart and a normal one
        systole = patient.heart.shape.systole
        loops = shown(patient, "A4C", phases=(0.0, systole))
        dark, true = [], []
        everywhere = np.isin(pixel_labels(loops[0], patient.heart, 0.0), (Tissue.LV_CAVITY, Tissue.VALVE))
        for loop, phase in zip(loops, (0.0, systole), strict=True):
            picture = cv2.blur(loop.pictures[0], (3, 3))
            dark.append((picture[everywhere] < 50).sum())
            # the base comes down, and the atrium with it
            black = (*CAVITY, Tissue.LA_CAVITY, Tissue.AORTA)
            true.append(np.isin(pixel_labels(loop, patient.heart, phase), black)[everywhere].sum())
        assert dark[1] / dark[0] == pytest.approx(true[1] / true[0], abs=0.12)


def test_the_short_axis_shows_which_wall_does_not_thicken() -> None:
    infarctions = [p for p in patients() if p.truth.territory and p.truth.severity > 0.5]
    assert len(infarctions) > 1
    for patient in infarctions:
        heart = patient.heart
        plane = plane_of(heart, "PSAX papillary", 160, 80)
        down, right = np.meshgrid(np.arange(0, plane.depth, 0.5), np.arange(-70, 70, 0.5), indexing="ij")
        points = plane.origin + down[..., None] * plane.down + right[..., None] * plane.right
        segment = (((np.rad2deg(np.arctan2(points[..., 1], points[..., 0])) - 60) % 360) // 60).astype(int) + 7

        def thickness(phase: float, heart=heart, points=points, segment=segment) -> np.ndarray:
            tissue = heart.at(points, phase).tissue
            cells = [segment == number for number in range(7, 13)]
            wall, hole = ((np.isin(tissue, what)) for what in ((Tissue.MYOCARDIUM,), CAVITY))
            areas = [(np.sum(wall & cell) + np.sum(hole & cell), np.sum(hole & cell)) for cell in cells]
            return np.array([np.sqrt(whole) - np.sqrt(inner) for whole, inner in areas])

        thickening = thickness(heart.shape.systole) / thickness(0.0) - 1
        sick = [number - 7 for number in TERRITORIES[patient.truth.territory] if 7 <= number <= 12]
        well = [number for number in range(6) if number not in sick]
        assert thickening[sick].mean() < 0.75 * thickening[well].mean()


def test_an_effusion_is_a_black_band_behind_the_heart_and_blacker_than_blood() -> None:
    patient = next(p for p in patients() if p.truth.measured.effusion_mm > 15)
    for view in ("PLAX", "PSAX papillary", "SUBCOSTAL"):
        (loop,) = shown(patient, view)
        labels, picture = pixel_labels(loop, patient.heart, 0.0), loop.pictures[0].astype(float)
        inside = cv2.erode((labels == Tissue.FLUID).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert inside.sum() > 0.02 * (labels != 255).sum(), view
        assert picture[inside].mean() < 12 < picture[labels == Tissue.MYOCARDIUM].mean(), view


def test_every_plan_keeps_to_the_machine_and_most_studies_show_every_view() -> None:
    machine, rng = EchoMachine(clips=(14, 20)), np.random.default_rng(2)
    plans = [plan_study(patients()[number % 18], machine, rng) for number in range(300)]
    loops = [[clip for clip in plan if clip.kind not in STILLS] for plan in plans]
    assert {len(clips) for clips in loops} == set(range(14, 21))
    junk = [np.mean([clip.junk for clip in clips]) for clips in loops]
    assert JUNK_SHARE[0] - 0.05 < np.mean(junk) < JUNK_SHARE[1] + 0.05
    needed = set(VIEWS) - {"A3C"}
    complete = np.mean([needed <= {clip.view for clip in clips if not clip.junk} for clips in loops])
    assert 0.6 < complete < 0.85  # by the shares in MISSING: 0.69
    assert all({clip.view for clip in clips if not clip.junk} >= {"A4C", "PSAX papillary"} for clips in loops)
    for clips in loops:
        order = [VIEWS.index(clip.view) for clip in clips]
        assert order == sorted(order)


def test_a_loop_holds_one_beat_and_a_little_more_at_any_rate() -> None:
    machine, rng = EchoMachine(), np.random.default_rng(4)
    for rate in (38, 60, 75, 110, 170):
        for irregular in (False, True):
            timing = draw_timing(rate, irregular, machine, rng)
            assert timing.r_wave + timing.beat <= timing.frames * timing.frame < timing.r_wave + timing.beat * 1.3
            assert timing.frames <= 30


def test_the_same_patient_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    machine = EchoMachine(clips=(4, 4))
    truths = [
        write_echo(patients()[0], machine, IDENTITY, np.random.default_rng(seed), tmp_path / f"{number}.tgz")
        for number, seed in enumerate((1, 1, 2))
    ]
    first, second, other = ((tmp_path / f"{number}.tgz").read_bytes() for number in range(3))
    assert first == second
    assert first != other
    assert truths[0] == truths[1]


def test_run_length_coding_is_read_back_to_the_byte_by_pydicom() -> None:
    rng = np.random.default_rng(0)
    for shape in ((3, 40, 301), (2, 33, 500, 3)):
        pictures = rng.integers(1, 256, shape, dtype=np.uint8)
        pictures[:, :5] = 0
        pictures[:, 5:20, :150] = 0
        pictures[:, 6, 299:] = 0
        pixels = compress(pictures, "rle")
        found = Dataset()
        found.file_meta = pydicom.dataset.FileMetaDataset()
        found.file_meta.TransferSyntaxUID = RLE
        found.NumberOfFrames, found.Rows, found.Columns = shape[:3]
        found.SamplesPerPixel, found.PhotometricInterpretation = len(shape) * 2 - 5, pixels.photometric
        found.BitsAllocated = found.BitsStored = 8
        found.HighBit, found.PixelRepresentation, found.PlanarConfiguration = 7, 0, 0
        found.PixelData = pixels.data
        expected = pictures[..., ::-1] if len(shape) == 4 else pictures
        assert (found.pixel_array == expected).all()
        assert len(pixels.data) < pictures.size


def test_what_the_study_says_of_its_views_matches_its_objects(study: tuple[Path, list[ClipTruth]]) -> None:
    path, truths = study
    found = {int(item.InstanceNumber): item for item in objects(path)}
    assert [truth.instance for truth in truths] == sorted(found)
    for truth in truths:
        item = found[truth.instance]
        still = "NumberOfFrames" not in item
        coloured = any(region.RegionDataType == 2 for region in item.get("SequenceOfUltrasoundRegions", ()))
        assert truth.junk or not (still or coloured)
        text = item.to_json_dict(bulk_data_threshold=0, bulk_data_element_handler=lambda _: "")
        assert not any(view in str(text) for view in VIEWS)  # the answer must not be in the file


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
def test_dciodvfy_finds_no_error_in_any_object(study: tuple[Path, list[ClipTruth]], tmp_path: Path) -> None:
    with tarfile.open(study[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    for file in sorted(tmp_path.iterdir()):
        said = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        assert [line for line in (said.stderr + said.stdout).splitlines() if line.startswith("Error")] == []


def test_preprocessing_takes_every_loop_and_one_beat_of_each(study: tuple[Path, list[ClipTruth]]) -> None:
    path, truths = study
    sidecar = prepared(path).sidecar
    found = {int(item.InstanceNumber): item for item in objects(path)}
    loops = sum("NumberOfFrames" in item for item in found.values())
    assert sidecar["set_aside"] == {"still": len(truths) - loops}
    assert sidecar["clips"] == len(sidecar["tiles"]) == loops
    assert sidecar["grid"]["side"] == (5 if loops > 16 else 4)
    for tile in sidecar["tiles"]:
        item = found[tile["instance_number"]]
        first, second = item.RWaveTimeVector
        times = np.array(tile["frames"]) * float(item.FrameTime)
        assert tile["cycle"] == "r_waves"
        assert abs(times[0] - first) <= float(item.FrameTime)
        assert 0 < second - times[-1] <= float(item.FrameTime) + (second - first) / 24
        region = item.SequenceOfUltrasoundRegions[0]
        box, tolerance = tile["sector"]["box"], 0.12 * item.Rows
        assert box[3] - box[1] > 0.55 * item.Rows
        assert box[0] >= region.RegionLocationMinX0 - tolerance
        assert box[2] <= region.RegionLocationMaxX1 + tolerance


def test_a_name_burned_into_the_pictures_is_not_in_the_prepared_video(tmp_path: Path) -> None:
    machine = load_site("heart-centre").echo.model_copy(update={"clips": (8, 8)})
    videos = []
    for maker in ("SIEMENS", "Philips Medical Systems"):  # one of them writes names
        path = tmp_path / f"{maker}.tgz"
        seed = np.random.default_rng(8)
        write_echo(patients()[2], machine.model_copy(update={"vendor": maker}), IDENTITY, seed, path)
        written = [item.pixel_array[0] for item in objects(path) if "NumberOfFrames" in item]
        assert all((picture[-12:, :12].max() > 150) == (maker == "SIEMENS") for picture in written)
        videos.append(video(prepared(path).content, tmp_path / "grid.mp4"))
    assert (videos[0] == videos[1]).all()
