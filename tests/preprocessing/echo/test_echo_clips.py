"""What is no clip of a heart is set aside, and the reason is counted."""

import numpy as np
import pytest
from echo_files import clip, dataset_of, fan, file_of, real, region
from pydicom.uid import generate_uid

from chordae.preprocessing.dicom import Instance, read_instance
from chordae.preprocessing.echo.clips import clips_of


def reasons(*instances: Instance) -> dict[str, int]:
    return dict(clips_of(instances)[1])


def without_pixels(**tags: object) -> Instance:
    dataset = dataset_of(fan()[:1], **tags)
    del dataset.PixelData
    return read_instance(file_of(dataset))


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Modality": "MR"}, "not_ultrasound"),
        ({"Modality": "IVUS"}, "non_cardiac_probe"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.2"}, "volume"),
        ({"TransducerType": "LINEAR"}, "non_cardiac_probe"),
        ({"TransducerType": "CURVED LINEAR"}, "non_cardiac_probe"),
        ({"TransducerData": ["L12-3", "", ""]}, "non_cardiac_probe"),
        ({"TransducerData": "9L-D"}, "non_cardiac_probe"),
        ({"TransducerData": "C5-1"}, "non_cardiac_probe"),
        ({"TransducerData": "D2TCD"}, "non_cardiac_probe"),
        ({"BodyPartExamined": "ABDOMEN"}, "non_cardiac_examination"),
        ({"ImageType": ["DERIVED", "PRIMARY", "FETAL HEART", "0001"]}, "non_cardiac_examination"),
        ({"ImageType": ["DERIVED", "PRIMARY", "VASCULAR", "0001"]}, "non_cardiac_examination"),
        ({"StudyDescription": "Carotid duplex"}, "non_cardiac_examination"),
        ({"StudyDescription": "TTE", "SeriesDescription": "Transcranial Doppler"}, "non_cardiac_examination"),
        ({"Rows": 4000, "Columns": 4000}, "bad_size"),
    ],
)
def test_each_kind_has_its_reason(tags: dict[str, object], reason: str) -> None:
    assert reasons(clip(fan(), **tags)) == {reason: 1}


CARDIAC_PROBES = ("S5-1", "X5-1", "M5Sc-D", "6VT-D", "4V1c", "50.80.103.002", "3Sc-RS", "P4-2")


@pytest.mark.parametrize(
    "tags",
    [
        {"TransducerType": "SECTOR_PHASED"},
        *({"TransducerData": name} for name in CARDIAC_PROBES),
        {"BodyPartExamined": "HEART", "StudyDescription": "Carotid and cardiac"},
        {"ImageType": ["DERIVED", "PRIMARY", "EPICARDIAL", "0011"]},
        {"StudyDescription": "Echocardiogram, transesophageal"},
        {"StudyDescription": "Cardiovascular"},
        {"Modality": ""},
    ],
)  # fmt: skip
def test_hearts_are_not_set_aside(tags: dict[str, object]) -> None:
    assert reasons(clip(fan(), **tags)) == {}


def test_stills_reports_and_objects_without_pixels() -> None:
    report = without_pixels(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR")
    pdf = without_pixels(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC")
    still = clip(fan()[:1], SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1")
    found = reasons(report, pdf, still, without_pixels(), clip(fan()))
    assert found == {"report": 2, "still": 1, "no_pixels": 1}


def test_m_mode_and_spectra_are_no_planes() -> None:
    m_mode = [region((10, 20, 300, 80)), region((10, 90, 300, 230), 2, 1)]
    spectral = [region((100, 5, 200, 60)), region((10, 90, 300, 230), 3, 3)]
    colour = [region((10, 20, 300, 200)), region((60, 60, 200, 150), 1, 2), region((10, 205, 300, 235), 4, 10)]
    assert reasons(clip(fan(), SequenceOfUltrasoundRegions=m_mode)) == {"m_mode": 1}
    assert reasons(clip(fan(), SequenceOfUltrasoundRegions=spectral)) == {"spectral": 1}
    assert reasons(clip(fan(), SequenceOfUltrasoundRegions=colour)) == {}
    assert reasons(clip(fan(), ImageType=["ORIGINAL", "PRIMARY", "", "0002"])) == {"m_mode": 1}
    assert reasons(clip(fan(), ImageType=["ORIGINAL", "PRIMARY", "", "0008"])) == {"spectral": 1}
    assert reasons(clip(fan(), ImageType=["ORIGINAL", "PRIMARY", "", "0011"])) == {}
    assert reasons(real()) == {}


def test_damaged_regions_set_a_clip_aside() -> None:
    whole = file_of(dataset_of(fan(), SequenceOfUltrasoundRegions=[region((10, 20, 300, 200))]))
    at = whole.index(b"\x18\x00\x12\x60US\x02\x00")
    damaged = whole[: at + 4] + b"QQ" + whole[at + 6 :]
    assert reasons(read_instance(damaged)) in ({"bad_header": 1}, {})
    assert clips_of([read_instance(damaged), clip(fan())])[0]


def test_a_clip_that_came_twice_counts_once() -> None:
    data = file_of(dataset_of(fan()))
    again = file_of(dataset_of(fan(), SOPInstanceUID="1.2.3", PatientName="Roe^Jane"))
    resent = file_of(dataset_of(fan(), SOPInstanceUID="1.2.3", PatientName=""))
    unnamed = file_of(dataset_of(fan(1)))
    instances = [read_instance(each) for each in (data, data, again, resent, unnamed)]
    clips, set_aside = clips_of(instances)
    assert len(clips) == 3
    assert set_aside == {"duplicate": 2}


def test_clips_whose_anonymiser_gave_all_one_uid_are_told_apart_by_their_numbers() -> None:
    same = generate_uid()
    clips, _ = clips_of([clip(fan(view), SOPInstanceUID=same, InstanceNumber=view) for view in range(3)])
    assert len(clips) == 3


def test_clips_are_in_the_order_in_which_they_were_taken() -> None:
    instances = [
        clip(fan(), InstanceNumber=number, SeriesNumber=series) for series, number in [(2, 1), (1, 10), (1, 9)]
    ]
    clips, _ = clips_of(instances)
    order = [(one.instance.number("SeriesNumber"), one.instance.number("InstanceNumber")) for one in clips]
    assert order == [(1, 9), (1, 10), (2, 1)]
    assert [one.number for one in clips] == [1, 2, 3]
    assert np.array_equal(
        [one.instance is other.instance for one, other in zip(clips, clips_of(instances[::-1])[0], strict=True)],
        [True] * 3,
    )
