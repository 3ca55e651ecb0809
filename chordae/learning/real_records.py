"""`chordae evaluate records`: real patients' records of a table that names their diagnoses. Nothing is trained on them.

Judged as `evaluate cod` judges, among all eight categories, also where the table has patients of a few only. What the
reasoner wrote about a patient is not kept, nor what is wrong with that, which quotes the record.
"""

from __future__ import annotations

from pathlib import Path

from chordae.cohort.record_cases import Case
from chordae.learning.diagnosis_evaluation import Tell, answers_of, diagnosed, judged
from chordae.learning.diagnosis_evaluation_report import DiagnosisReport, write
from chordae.learning.diagnosis_evaluation_scores import confusion
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.temperature import read_temperature
from chordae.platform.errors import BadInput
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import fetch_checkpoint, identify
from chordae.preprocessing.records import load_mapping, read_records

UNKEPT = "not kept"


def evaluate_records(
    settings: ExpertSettings,
    file: Path,
    mapping: Path,
    output: Path,
    language: Language = "en",
    tell: Tell = lambda stage: None,
) -> DiagnosisReport:
    """Diagnose, judge, and write the report and its plots into `output`.

    Args:
        settings: the reasoner's: checkpoint and engine.
        file: a spreadsheet, one row a patient.
        mapping: of its columns; names the one with the diagnosis. The report is called as this file is.
        output: directory.
        language: of prompts and chains.
        tell: is told what happens.

    Raises:
        BadInput: the file cannot be read, or no row has a diagnosis that is one of the categories.
        BadSettings: the mapping is none, or the checkpoint cannot be served.
    """
    read = [one for one in read_records(file, load_mapping(mapping)) if one.category is not None]
    if not read:
        raise BadInput("no row has a known diagnosis", f"name its column and values under `category` in {mapping.name}")
    cases = [
        Case(
            patient=one.where,
            site=mapping.stem,
            category=one.category,
            record=one.record.model_copy(update={"patient_key": None}),
            topics=(),
            altered=(),
            numbers={},
        )
        for one in read
        if one.category is not None
    ]
    checkpoint = fetch_checkpoint(settings.model, settings.revision)
    noticed = [one.problems for one in read]
    outcomes = [
        one.model_copy(update={"written": "", "why": (UNKEPT,) if one.why else ()})
        for one in diagnosed(checkpoint, settings, cases, language, tell, noticed)
    ]
    weights = identify(checkpoint)
    fitted = read_temperature(checkpoint, weights.digest)
    temperature = None if fitted is None else fitted.temperature
    report = DiagnosisReport(
        model=weights.name,
        weights=weights.digest,
        split=mapping.stem,
        language=language,
        temperature=temperature,
        rarest=(),
        lines=judged(outcomes, (), set(), temperature)[:1],
        floors=(),
        confusion=tuple(map(tuple, confusion(answers_of(outcomes)).tolist())),
        outcomes=tuple(outcomes),
    )
    write(report, output)
    return report
