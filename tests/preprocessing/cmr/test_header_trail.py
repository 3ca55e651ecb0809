"""Following the last header's trail finds what a walk finds, whatever file came before."""

import io
import random
from contextlib import suppress
from pathlib import Path

import pydicom
from heart_phantom import read, saved, series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from chordae.preprocessing.dicom import elements, instance, read_instance

LAST = 0x7FE00010
EVERYTHING = range(LAST + 1)


def both_ways(data: bytes) -> None:
    _, position, implicit = instance.dataset_start(data)
    results = []
    for find in (elements.scan, lambda *asked: elements._walk(*asked)[1]):
        try:
            results.append(dict(find(data, position, implicit, EVERYTHING, LAST)))
        except Exception as error:  # noqa: BLE001 - the same failure either way
            results.append({"failed": type(error)})
    assert results[0] == results[1]


def test_files_of_all_kinds_in_any_order() -> None:
    shipped = sorted(Path(str(get_testdata_file("MR_small.dcm"))).parent.glob("*.dcm"))
    readable = [path.read_bytes() for path in shipped if path.is_file() and path.stat().st_size < 1 << 16]
    random.Random(0).shuffle(readable)
    for data in filter(instance.is_dicom, readable):
        with suppress(instance.UnreadableRecording):
            both_ways(data)


def with_sequences(description: str, items: int, undefined: bool, implicit: bool) -> bytes:
    image = series(1, 1, SeriesDescription=description)[0]
    image.ReferencedImageSequence = Sequence([])
    for _ in range(items):
        item = Dataset()
        item.ReferencedSOPInstanceUID = "1.2." + "3" * len(description)
        item.is_undefined_length_sequence_item = undefined
        image.ReferencedImageSequence.append(item)
    image["ReferencedImageSequence"].is_undefined_length = undefined
    if implicit:
        image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return saved(image)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("ab ", max_size=20), st.integers(0, 3), st.booleans(), st.booleans()), min_size=2, max_size=6
    )
)
def test_headers_that_grow_shrink_and_nest(files: list[tuple[str, int, bool, bool]]) -> None:
    for described in files:
        data = with_sequences(*described)
        both_ways(data)
        found = read_instance(data)
        assert found.text("SeriesDescription") == described[0].strip()
        assert found.number("Rows") == 64


HEALTHY = with_sequences("cine", 2, True, False)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_headers(data: st.DataObject) -> None:
    both_ways(HEALTHY)
    whole = bytearray(HEALTHY)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(400, len(whole) - 64 * 64 * 2))] = data.draw(st.integers(0, 255))
    both_ways(bytes(whole[: data.draw(st.integers(600, len(whole)))]))
    both_ways(HEALTHY)


def test_a_sequence_of_unknown_vr_and_undefined_length_is_stepped_over() -> None:
    plain = saved(series(1, 1)[0])
    at = plain.index(b"\x18\x00\x81\x00DS")  # EchoTime: the sequence goes before it
    inner = b"\xfe\xff\x00\xe0\x0a\x00\x00\x00" + b"\x08\x00\x50\x11\x02\x00\x00\x00" + b"1\0"
    unknown = b"\x09\x00\x01\x10UN\0\0\xff\xff\xff\xff" + inner * 2 + b"\xfe\xff\xdd\xe0\0\0\0\0"
    position = plain.index(b"\x10\x00\x10\x00PN")
    for data in (plain[:position] + unknown + plain[position:], plain):
        both_ways(data)
        assert read_instance(data).number("EchoTime") == float(pydicom.dcmread(io.BytesIO(data)).EchoTime)
    assert at > position


def test_values_are_those_of_the_file_at_hand_not_of_the_one_before() -> None:
    found = read(series(3, 12, SeriesDescription="cine"))
    assert [instance.number("InstanceNumber") for instance in found] == list(range(1, 37))
    assert [instance.number("TriggerTime") for instance in found[:12]] == [10.0 + 30 * phase for phase in range(12)]
