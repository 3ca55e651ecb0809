"""`chordae evaluate records`: who is judged, and that nothing said of anyone is kept."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chordae.cli import app
from chordae.cohort.record_cases import Case
from chordae.learning import real_records
from chordae.learning.diagnosis_evaluation import diagnose_all
from chordae.learning.diagnosis_evaluation_report import read
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.errors import BadInput
from chordae.platform.noun import Provenance, WeightsVersion
from chordae.platform.settings import EngineSettings, ExpertSettings

WEIGHTS = WeightsVersion(name="cmr-r-nano", version="1", digest="d")
SETTINGS = ExpertSettings(model="reasoner", port=8030, engine=EngineSettings())
TABLE = "Name,EF,Wall,Group\nAnn Onymous,0.30,8,DCM\nB,0.62,9,NOR\nC,0.55,x,\nD,0.66,8,NOR\n"
MAPPING = """
patient: Name
columns:
  EF: {parameter: LV EF, unit: fraction, low: 53, high: 74}
  Wall: {parameter: Wall thickness, unit: mm, low: 6, high: 10}
category: {column: Group, values: {DCM: dilated cardiomyopathy, NOR: normal}}
"""


class Optimist:
    """Says that everybody is healthy."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def diagnose(self, record: Any, language: str, request_id: str, noticed: Any) -> Diagnosis:
        self.asked.append((record, request_id, noticed))
        told: dict[str, Any] = {"language": language, "record": "r", "weights": WEIGHTS}
        told["provenance"] = Provenance(request_id="1", weights=(WEIGHTS,), media=(), settings_digest="")
        shares = {name: 0.3 if name == "normal" else 0.1 for name in CATEGORIES}
        told |= {"written": "LV EF 30 % is low.", "flagged": True, "why": ("LV EF is 0.62 % in the record, not 30.",)}
        return Diagnosis(category="normal", probabilities=shares, **told)


@pytest.fixture
def optimist(monkeypatch: pytest.MonkeyPatch) -> Optimist:
    one = Optimist()

    def diagnosed(checkpoint: Any, settings: Any, cases: Sequence[Case], language: Any, *rest: Any) -> Any:
        return asyncio.run(diagnose_all(one, cases, language, rest[-1]))  # type: ignore[arg-type]

    monkeypatch.setattr(real_records, "diagnosed", diagnosed)
    monkeypatch.setattr(real_records, "fetch_checkpoint", lambda *named: Path("reasoner"))
    monkeypatch.setattr(real_records, "identify", lambda path: WEIGHTS)
    return one


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    table, mapping = tmp_path / "patients.csv", tmp_path / "ours.yaml"
    table.write_text(TABLE)
    mapping.write_text(MAPPING)
    return table, mapping


def test_rows_with_a_known_diagnosis_are_judged_and_no_word_about_them_is_kept(
    files: tuple[Path, Path], optimist: Optimist, tmp_path: Path
) -> None:
    report = real_records.evaluate_records(SETTINGS, *files, tmp_path / "out")
    assert report.lines[0].cases == 3 and report.lines[0].accuracy.value == pytest.approx(2 / 3)
    assert report.lines[0].recall["dilated cardiomyopathy"].value == 0
    assert [row.index(1) for row in report.confusion if 1 in row] == [CATEGORIES.index("normal")]
    assert [record.patient_key for record, _, _ in optimist.asked] == [None] * 3
    kept = (tmp_path / "out" / "cod.json").read_text()
    assert not any(word in kept for word in ("Onymous", "LV EF 30", "in the record, not", "patients.csv"))
    assert report.lines[0].relied_on.value == 0
    assert read(tmp_path / "out" / "cod.json") == report


def test_what_reading_noticed_reaches_the_reasoner(
    files: tuple[Path, Path], optimist: Optimist, tmp_path: Path
) -> None:
    files[0].write_text(TABLE.replace("0.62,9", "0.62,?!"))
    real_records.evaluate_records(SETTINGS, *files, tmp_path / "out")
    assert [bool(noticed) for _, _, noticed in optimist.asked] == [False, True, False]


def test_a_table_without_any_known_diagnosis_is_refused(
    files: tuple[Path, Path], optimist: Optimist, tmp_path: Path
) -> None:
    files[0].write_text("Name,EF,Wall,Group\nA,0.30,8,\n")
    with pytest.raises(BadInput, match="no row"):
        real_records.evaluate_records(SETTINGS, *files, tmp_path / "out")


def test_the_command_prints_the_figures(files: tuple[Path, Path], optimist: Optimist, tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(json.dumps({"reasoner": SETTINGS.model_dump(mode="json")}))
    told = ["evaluate", "records", str(files[0]), "--mapping", str(files[1]), "--model", "reasoner"]
    result = CliRunner(env={"COLUMNS": "160"}).invoke(
        app, [*told, "--config", str(config), "-o", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    assert "66.7" in result.output and "Floors" not in result.output
