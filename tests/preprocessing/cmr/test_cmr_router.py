"""What vendors and hospitals call their series, and what the physics says where they call them nothing."""

from collections import Counter
from functools import cache
from typing import Any

import pytest
from heart_phantom import GE, PHILIPS, SIEMENS, full_study, plane, read, series

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.cmr import dialects, prepare_cmr
from chordae.preprocessing.cmr.dialects import Sequence as Label
from chordae.preprocessing.cmr.router import route
from chordae.preprocessing.cmr.series import stacks
from chordae.preprocessing.dicom import Instance

CINE, LGE, PSIR, LOC = Label.CINE, Label.LGE, Label.PSIR, Label.LOCALISER
T1M, T2M, T2W, T1W, PC = Label.T1_MAP, Label.T2_MAP, Label.T2W, Label.T1W, Label.PHASE_CONTRAST
STRESS, REST, PERF = Label.PERFUSION_STRESS, Label.PERFUSION_REST, Label.PERFUSION

# name, images a slice (of cines and the like 8 do), sequence, view by name ("" where the name says none)
NAMES: list[tuple[str, int, Label, str]] = [
    # GE
    ("SSFP-CINE SAx", 20, CINE, "short axis"),
    ("FIESTA CINE SA", 20, CINE, "short axis"),
    ("FIESTA 4CH", 20, CINE, "4-chamber"),
    ("SAX FIESTA Cine ASSET", 20, CINE, "short axis"),
    ("cine SAX denoised", 20, CINE, "short axis"),
    ("CINE RVOT outflow", 20, CINE, "RVOT"),
    ("FIESTA CINE 2 CH", 30, CINE, "2-chamber"),
    ("Cine Fiesta 3-CHAMBER", 20, CINE, "3-chamber"),
    ("FASTCARD RVOT", 20, CINE, "RVOT"),
    ("2D MDE SA", 1, LGE, "short axis"),
    ("PS MDE SAX", 1, PSIR, "short axis"),
    ("10 MIN 2D MDE 4CH", 1, LGE, "4-chamber"),
    ("FGRE TIME COURSE REST", 40, REST, ""),
    ("FGRET STRESS", 40, STRESS, ""),
    ("3-Plane Loc FIESTA", 1, LOC, ""),
    ("3 PL LOC SSFSE", 1, LOC, ""),
    ("SMART1Map SA", 1, T1M, "short axis"),
    ("T2 MAP FSE SA", 1, T2M, "short axis"),
    ("Triple IR FSE SAX", 1, T2W, "short axis"),
    ("Double IR FSE", 1, T1W, ""),
    ("Cine PC Aorta", 30, PC, "aorta"),
    ("2D PC MPA", 30, PC, "pulmonary artery"),
    ("CINE IR", 25, Label.TI_SCOUT, ""),
    ("SCOUT", 1, LOC, ""),
    ("ASSET CALIBRATION", 1, Label.CALIBRATION, ""),
    # Siemens
    ("cine_tf2d16_retro_iPAT_SA", 25, CINE, "short axis"),
    ("CINE_segmented_SAX_b3", 50, CINE, "short axis"),
    ("CINE_segmented_LAX_4Ch", 50, CINE, "4-chamber"),
    ("CINE_segmented_LAX_2Ch", 50, CINE, "2-chamber"),
    ("CINE_segmented_LAX_3Ch", 50, CINE, "3-chamber"),
    ("LVOT_cine_tfi", 25, CINE, "3-chamber"),
    ("trufi_loc_multi_iPAT", 1, LOC, ""),
    ("localizer", 1, LOC, ""),
    ("AAHeart_Scout", 1, LOC, ""),
    ("TI_scout_tfi", 25, Label.TI_SCOUT, ""),
    ("de_high-res_psir_sax_PSIR", 1, PSIR, "short axis"),
    ("LGE_PSIR_2ch_MAG", 1, LGE, "2-chamber"),
    ("DelayedEnhancement_SAX", 1, LGE, "short axis"),
    ("ShMOLLI_192i_SAX_b1s_SAX_b1s_SAX_b1s_T1MAP", 1, T1M, "short axis"),
    ("T1Map_LongT1_SAX_MOCO_T1", 1, T1M, "short axis"),
    ("T1Map_LongT1_SAX_MOCO", 8, Label.MAP_SOURCE, "short axis"),
    ("T2Map_FLASH_SAX_MOCO_T2", 1, T2M, "short axis"),
    ("ECV_Map_SAX", 1, Label.ECV_MAP, "short axis"),
    ("T2*_heart", 1, Label.T2_STAR, ""),
    ("t2_tirm_sax", 1, T2W, "short axis"),
    ("t2_stir_db_4ch", 1, T2W, "4-chamber"),
    ("t1_tse_db_tra", 1, T1W, "axial"),
    ("haste_thorax_tra", 1, Label.ANATOMY, "axial"),
    ("ep2d_perf_stress_adeno_MOCO", 60, STRESS, ""),
    ("Perfusion_tfl_rest", 60, REST, ""),
    ("dynamic_first_pass", 60, PERF, ""),
    ("fl2d_venc150_tp_AO_P", 30, PC, "aorta"),
    ("flow_250_tp_AoV_bh_ePAT@c_P", 30, PC, ""),
    ("4DFlow_WIP785", 20, Label.FLOW_4D, ""),
    ("tfi_single-shot_axial_trufi", 1, Label.ANATOMY, "axial"),
    # Philips
    ("sBTFE_BH SA", 30, CINE, "short axis"),
    ("B-TFE_M2D_4CH", 30, CINE, "4-chamber"),
    ("sB-TFE 2C", 30, CINE, "2-chamber"),
    ("BFFE HLA", 30, CINE, "4-chamber"),
    ("BFFE VLA", 30, CINE, "2-chamber"),
    ("Survey_BTFE", 1, LOC, ""),
    ("PSIR_TFE_BH SA", 1, PSIR, "short axis"),
    ("IR_TFE_3D LGE", 1, LGE, ""),
    ("Look-Locker", 30, Label.TI_SCOUT, ""),
    ("QFLOW_BH_AO", 30, PC, "aorta"),
    ("sTFE_DYN_PERF", 50, PERF, ""),
    ("T2W_STIR_BB SA", 1, T2W, "short axis"),
    ("T1W_TSE_BB", 1, T1W, ""),
    ("MOLLI_T1_map_SAX", 1, T1M, "short axis"),
    ("T2_GraSE_map", 1, T2M, ""),
    ("SENSE_RefScan", 1, Label.CALIBRATION, ""),
    # German and French
    ("Cine Kurzachse", 25, CINE, "short axis"),
    ("Kine Vierkammerblick SSFP", 25, CINE, "4-chamber"),
    ("Cine 4-Kammerblick", 25, CINE, "4-chamber"),
    ("Spätanreicherung KA", 1, LGE, "short axis"),
    ("Perfusion Belastung", 50, STRESS, ""),
    ("Perfusion Ruhe", 50, REST, ""),
    ("Fluss Aorta", 30, PC, "aorta"),
    ("Lokalisator", 1, LOC, ""),
    ("ciné petit axe", 25, CINE, "short axis"),
    ("ciné 4 cavités", 25, CINE, "4-chamber"),
    ("rehaussement tardif petit axe", 1, LGE, "short axis"),
    ("perfusion repos", 50, REST, ""),
    ("contraste de phase aorte", 30, PC, "aorta"),
    ("repérage", 1, LOC, ""),
]


@cache
def cine() -> tuple[Instance, ...]:
    return tuple(read(series(3, 8, None, 99, SeriesDescription="cine", **GE)))


def routed(images: list[Any]) -> Any:
    """The stacks of these images and, so that a study of them is one of the heart, of a cine."""
    found = route(stacks([*read(images), *cine()], Counter()))
    return [one for one in found if one.stack.number != 99]


@pytest.mark.parametrize(("name", "phases", "label", "view"), NAMES)
def test_a_series_name_tells_its_sequence_and_view(name: str, phases: int, label: Label, view: str) -> None:
    images = series(1, min(phases, 8), plane("long axis", 55), SeriesDescription=name)
    (one,) = routed(images)
    assert (one.label, one.basis) == (label, "name")
    assert dialects.view(name, of_flow=label is PC) == view


def test_at_least_sixty_names_are_known() -> None:
    assert len(NAMES) >= 60


SPOILED = {"ScanningSequence": "GR", "SequenceVariant": ["SK", "SP"]}
IR = {"ScanningSequence": ["GR", "IR"], "SequenceVariant": ["SK", "SP"]}

PHYSICS: dict[str, tuple[list[Any], Label]] = {
    "GE steady state": (series(1, 20, **GE), CINE),
    "Siemens steady state": (series(1, 25, **SIEMENS), CINE),
    "Philips steady state": (series(1, 30, **PHILIPS), CINE),
    "cine by its trigger times alone": (series(1, 20), CINE),
    "inversion recovery, still": (series(3, 1, InversionTime="280", **IR), LGE),
    "inversion recovery, real part": (
        series(3, 1, InversionTime="280", **IR, ImageType=["ORIGINAL", "PRIMARY", "R", "IR"]),
        PSIR,
    ),
    "GE late enhancement by inversion time": (series(3, 1, InversionTime="250", **SPOILED), LGE),
    "inversion recovery over the heartbeat": (series(1, 25, InversionTime="120", **IR), Label.TI_SCOUT),
    "T1 map": (series(1, 1, ImageType=["DERIVED", "PRIMARY", "M", "T1 MAP"]), T1M),
    "T2 map": (series(1, 1, ImageType=["DERIVED", "PRIMARY", "M", "T2 MAP"]), T2M),
    "STIR": (series(1, 1, ScanningSequence=["SE", "IR"], EchoTime="60", InversionTime="170"), T2W),
    "Siemens turbo inversion recovery": (series(1, 1, SequenceName="*tir2d1rr17", EchoTime="58"), T2W),
    "spin echo with a long echo time": (series(1, 1, ScanningSequence="SE", EchoTime="80"), T2W),
    "spin echo with a short echo time": (series(1, 1, ScanningSequence="SE", EchoTime="8"), T1W),
    "Siemens velocity encoding": (series(1, 25, SequenceName="*fl2d1_v150in", **SPOILED), PC),
    "Philips velocity": (series(1, 25, ImageType=["ORIGINAL", "PRIMARY", "VELOCITY MAP", "P", "PCA"]), PC),
    "phase images over the heartbeat": (series(1, 25, ImageType=["ORIGINAL", "PRIMARY", "P"], **SPOILED), PC),
    "velocity encoding in 3D": (series(4, 20, SequenceName="*fl3d1_v150in", MRAcquisitionType="3D"), Label.FLOW_4D),
    "steady state, still": (series(5, 1, plane("axial"), **SIEMENS), Label.ANATOMY),
}


@pytest.mark.parametrize("name", PHYSICS)
def test_without_a_name_the_physics_tells(name: str) -> None:
    images, label = PHYSICS[name]
    found = routed(images)
    assert {one.label for one in found} == {label}
    assert all(one.basis != "name" for one in found)


def test_repeated_saturation_recovery_is_perfusion_whatever_its_jittering_trigger_times() -> None:
    images = series(3, 40, trigger=None, SequenceName="*tfl2d1_16", InversionTime="110", **SPOILED)
    for image in images:
        image.AcquisitionNumber = (image.InstanceNumber - 1) % 40 + 1
        image.TriggerTime = str(100 + image.InstanceNumber * 37 % 90)
    (one,) = routed(images)
    assert one.label is PERF
    numbers = [[picture.number for picture in phases] for phases in one.stack.slices]
    assert numbers == [list(range(first, first + 40)) for first in (1, 41, 81)]


def test_few_images_in_three_orthogonal_planes_are_a_localiser() -> None:
    images = [
        image
        for n, name in enumerate(("axial", "coronal", "sagittal"))
        for image in series(5, 1, plane(name), SOPInstanceUID=None, **SIEMENS)
    ]
    assert {one.label for one in routed(images)} == {LOC}
    with pytest.raises(UnreadableRecording, match="scouts only: nothing diagnostic") as refused:
        prepare_cmr(read(images))
    assert refused.value.reason == "scouts_only"


@pytest.mark.parametrize("vendor", [GE, SIEMENS, PHILIPS])
def test_views_of_nameless_series_come_from_the_geometry_of_the_study(vendor: dict[str, Any]) -> None:
    angles = {2: (25.0, "4-chamber"), 3: (85.0, "2-chamber"), 4: (145.0, "3-chamber"), 5: (57.0, "long axis")}
    images = [
        image for n, (angle, _) in angles.items() for image in series(1, 20, plane("long axis", angle), n, **vendor)
    ]
    images += series(8, 20, None, 1, **vendor)
    views = {one.stack.number: (one.view, one.view_basis) for one in routed(images)}
    assert views == {1: ("short axis", "geometry"), **{n: (view, "geometry") for n, (_, view) in angles.items()}}


def test_a_name_goes_before_the_geometry() -> None:
    images = series(1, 20, plane("long axis", 25.0), 2, SeriesDescription="cine 3CH", **GE)
    (one,) = routed(images)
    assert (one.view, one.view_basis) == ("3-chamber", "name")


def test_magnitude_and_phase_in_one_ge_series_become_two_stacks() -> None:
    images = series(1, 20, SeriesDescription="2D PC", **GE)
    again = series(1, 20, SeriesDescription="2D PC", **GE)
    for image in again:
        image.InstanceNumber += 20
        image.SOPInstanceUID += ".1"
    assert [one.stack.phases for one in routed([*images, *again])] == [20, 20]


def test_every_sequence_of_a_whole_examination_is_told() -> None:
    sidecar = prepare_cmr(read(full_study())).sidecar
    found = {one["sequence"] for one in sidecar["series"]}  # type: ignore[attr-defined]
    expected = {LOC, CINE, LGE, PSIR, T1M, T2M, T2W, STRESS, REST, PC, Label.FLOW_4D}
    assert found == {label.value for label in expected}


@pytest.mark.parametrize(
    "tags",
    [
        {"StudyDescription": "MRT Kopf", "BodyPartExamined": "HEAD"},
        {"StudyDescription": "MRI BRAIN CSF FLOW", "SeriesDescription": "csf flow", "TriggerTime": "20"},
        {"StudyDescription": "abdomen^liver", "SeriesDescription": "t1 map", "TriggerTime": "400"},
        {"SeriesDescription": "t2_tse_sag"},
        {"BodyPartExamined": "KNEE", "ScanOptions": "CG"},
        {},
    ],
)
def test_what_speaks_of_no_heart_is_refused(tags: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRecording) as refused:
        prepare_cmr(read(series(6, 1, plane("axial"), **tags)))
    assert refused.value.reason == "not_cardiac"


def test_a_brain_series_among_cardiac_ones_is_not_shown() -> None:
    brain = series(6, 1, plane("axial"), 7, SeriesDescription="t2 tse brain", ScanningSequence="SE", EchoTime="90")
    sidecar = prepare_cmr(read([*brain, *series(4, 20, None, 1, SeriesDescription="cine sa", **GE)])).sidecar
    assert {one["series"] for one in sidecar["series"]} == {1}  # type: ignore[attr-defined]
