"""Champion and candidate, measured by one engine that changes between them: as by an engine of each one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.perturbed import perturbed
from chordae.cohort.record_cases import Reading, draw_case
from chordae.cohort.sites import load_site
from chordae.learning.diagnosis_evaluation import diagnosed
from chordae.learning.loop.measuring import measured_trial
from chordae.platform.settings import EngineSettings, ExpertSettings

pytestmark = pytest.mark.engine

SHIPPED = Path("models/cmr-r-nano")
REASONER = ExpertSettings(
    model=str(SHIPPED),
    port=8030,
    max_answer_tokens=512,
    engine=EngineSettings(
        dtype="float32",
        enforce_eager=True,
        max_model_len=2048,
        max_num_seqs=8,
        block_size=32,
        kv_cache_bytes=2**27,
        processor_cache_gib=0,
    ),
)


def test_each_version_is_measured_as_by_an_engine_of_its_own(tmp_path: Path) -> None:
    cases = [draw_case(load_site("regional"), 91, number, Reading()) for number in range(1, 9)]
    other = perturbed(SHIPPED, tmp_path / "other", seed=1)
    trial = measured_trial("cmr-r-nano", ("1", SHIPPED), ("2", other), REASONER, cases)
    for measured, checkpoint in ((trial.champion, SHIPPED), (trial.candidate, other)):
        alone = diagnosed(checkpoint, REASONER, cases, "en", lambda _: None)
        assert [one.right for one in measured.outcomes] == [one.category == one.truth for one in alone]
        assert measured.mirage_questions == sum(one.category is not None for one in alone)
        assert set(measured.latency_s) == {"p50", "p90"} and min(measured.latency_s.values()) > 0
    said = [[(one.right, one.confidence) for one in some.outcomes] for some in (trial.champion, trial.candidate)]
    assert said[0] != said[1], "else an engine that never changes would pass"
