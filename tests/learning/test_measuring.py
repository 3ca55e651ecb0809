"""Champion and candidate, measured by one engine that changes between them: as by an engine of each one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from reasoners import FakeReasonerEngine

from benchmarks.perturbed import perturbed
from chordae.cohort.record_cases import Reading, draw_case
from chordae.cohort.sites import load_site
from chordae.learning.diagnosis_evaluation import diagnosed
from chordae.learning.loop.bare_records import STATEMENTS, bare_records
from chordae.learning.loop.measuring import _mirages, measured_trial
from chordae.platform.diagnosis.chain import write_chain
from chordae.platform.diagnosis.reasoning import Reasoning
from chordae.platform.diagnosis.record import Finding
from chordae.platform.settings import EngineSettings, ExpertSettings
from chordae.platform.weights import identify

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


async def test_a_reasoner_that_makes_things_up_and_is_not_flagged_has_mirages() -> None:
    """One that quotes the only line there is, and names a disease all the same."""
    engine = FakeReasonerEngine(writes=write_chain(bare_records()[0], "myocardial infarction", [], [1], [1]))
    reasoning = Reasoning(
        engine=engine,  # type: ignore[arg-type]
        weights=identify(SHIPPED),
        settings_digest="",
        context=2048,
        longest=512,
        timeout_s=60,
    )
    seen = await _mirages(reasoning)
    assert [place for place, one in enumerate(seen) if one] == list(range(40 // len(STATEMENTS))), "who quote that line"


def test_each_version_is_measured_as_by_an_engine_of_its_own_and_what_none_can_read_is_no_sentinel(
    tmp_path: Path,
) -> None:
    cases = [draw_case(load_site("regional"), 91, number, Reading()) for number in range(1, 9)]
    nothing = [
        cases[0].model_copy(update={"patient": f"bare-{place}", "record": one})
        for place, one in enumerate(bare_records())
    ]
    lines = tuple(Finding(number=number, text=f"Late enhancement, segment {number}") for number in range(1, 400))
    long = cases[0].model_copy(
        update={"patient": "long", "record": cases[0].record.model_copy(update={"description": lines})}
    )
    other = perturbed(SHIPPED, tmp_path / "other", seed=1)
    trial = measured_trial("cmr-r-nano", ("1", SHIPPED), ("2", other), REASONER, [long, *cases])
    for measured, checkpoint in ((trial.champion, SHIPPED), (trial.candidate, other)):
        alone = diagnosed(checkpoint, REASONER, [*cases, *nothing], "en", lambda _: None)
        known, invented = alone[: len(cases)], alone[len(cases) :]
        assert [one.right for one in measured.outcomes] == [one.category == one.truth for one in known]
        assert measured.mirage_questions == len(nothing)
        assert measured.mirages == sum(one.category is not None and not one.why for one in invented)
        assert len(measured.seconds) == 2 and min(measured.seconds) > 0
        if checkpoint is SHIPPED:
            assert any(one.category not in (None, "normal") for one in invented), "it makes things up"
            assert measured.mirages == 0, "and is flagged for it"
    said = [[(one.right, one.confidence) for one in some.outcomes] for some in (trial.champion, trial.candidate)]
    assert said[0] != said[1], "else an engine that never changes would pass"
