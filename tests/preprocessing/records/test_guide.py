"""What docs/diagnose.md shows is read, parsed and checked as it says."""

import re
from pathlib import Path

import pytest
import yaml

from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.record import UNITS
from chordae.preprocessing.records import Mapping
from chordae.preprocessing.records.json_records import from_json
from chordae.preprocessing.records.units import factor_to_kept

GUIDE = (Path(__file__).parents[3] / "docs" / "diagnose.md").read_text()


def block(start: str) -> str:
    found = re.search(rf"^```{start}.*?\n```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert found
    return found[0].removeprefix("```").removesuffix("```").removeprefix(start.strip())


def test_its_chain_is_a_faithful_one_of_its_record() -> None:
    (read,) = from_json(block("json\n"), "the guide")
    assert read.problems == ()
    chain = parse(block("\n<think>").removeprefix("\n"))
    assert chain.category == "myocardial infarction"
    assert check(chain, read.record).faithful


def test_its_mapping_is_one() -> None:
    mapping = Mapping.model_validate(yaml.safe_load(block("yaml\n")))
    assert {one.parameter for one in mapping.columns.values()} == {"LV EF", "LV EDV", "LV mass", "Wall thickness"}


@pytest.mark.parametrize(
    "row", re.findall(r"^\| (`.*) \| (\S+) \| (.*) \|$", GUIDE, re.MULTILINE), ids=lambda row: row[0]
)
def test_its_table_names_parameters_and_units_that_are_read(row: tuple[str, str, str]) -> None:
    names, kept, others = row
    for name in re.findall(r"`([^`]+)`", names):
        assert UNITS[name] == kept
        for unit in re.findall(r"`([^`]+)`", others):
            assert unit == "m2" or factor_to_kept(name, unit)


def test_its_table_names_every_parameter() -> None:
    assert all(f"`{name}`" in GUIDE for name in UNITS)
