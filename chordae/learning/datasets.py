"""`chordae cohort dataset`: simulated patients' files through a hospital's preprocessing, with what is true of them.

Each patient's files are written as `chordae cohort make` writes them, into a temporary directory, read by
`prepare_study` like any study that arrives, and thrown away: there is no other way from a simulated heart to a model.
A stopped run goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chordae.cohort.bclean import filter_items
from chordae.cohort.dataset import QUESTIONS, SAMPLES, Item, Sample, read_rows, write_rows
from chordae.cohort.findings import findings, topics
from chordae.cohort.items import build_items, checksum
from chordae.cohort.make import GENERATOR_VERSION, TRUTH, VIEWS, in_processes, make_patient, patient_directory
from chordae.cohort.numbers import numbers
from chordae.cohort.patient import patient_rng
from chordae.cohort.sites import SiteProfile, load_site
from chordae.cohort.truth import Truth
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Modality
from chordae.preprocessing.echo import look
from chordae.preprocessing.echo.attention import clip_features
from chordae.preprocessing.echo.clips import clips_of
from chordae.preprocessing.identity import Site
from chordae.preprocessing.opening import open_study
from chordae.preprocessing.study import prepare_study


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Members(_Strict):
    """So many patients of a site."""

    site: str
    patients: int = Field(ge=1)
    seed: int


class Questions(_Strict):
    """Questions that are asked of the samples."""

    mcq_per_topic: int = Field(ge=0)
    vqa_per_topic: int = Field(ge=0)
    seed: int
    checksum: str = Field("", description="SHA-256 that the questions must have; empty: not frozen yet.")


class DatasetConfig(_Strict):
    """A file of `configs/datasets`."""

    modalities: tuple[Modality, ...]
    members: tuple[Members, ...]
    label_noise: bool = Field(False, description="Get as many labels wrong as the sites do; never for a test set.")
    questions: Questions | None = None


def load_dataset_config(path: Path) -> DatasetConfig:
    """Read a file of `configs/datasets`.

    Raises:
        BadSettings: not there, not YAML, or a key or value that is not known.
    """
    try:
        return DatasetConfig.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise BadSettings(f"Cannot read the dataset's configuration {path}", str(error).splitlines()[0]) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadSettings(f"{path.name}: {where}: {first['msg']}", "see configs/datasets for an example") from error


def make_dataset(
    config: DatasetConfig, output: Path, tell: Callable[[int], None] = lambda done: None
) -> dict[str, object]:
    """Make the samples, their media and the questions below `output`; `tell` hears how far it is.

    Returns:
        Counts, what B-Clean left out, and the questions' checksum.

    Raises:
        BadInput: the directory holds another dataset, or the questions have not the checksum they must have.
    """
    mark = output / "dataset.json"
    sites = {one.site: load_site(one.site) for one in config.members}
    about = {
        "generator": GENERATOR_VERSION,
        "config": config.model_dump(mode="json", exclude={"questions"}),
        "profiles": {name: site.model_dump(mode="json") for name, site in sites.items()},
    }
    if mark.is_file() and json.loads(mark.read_text()) != about:
        raise BadInput(f"{output} holds another dataset", "name another directory, or delete it")
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(mark, json.dumps(about, indent=1).encode())
    everyone = [(one, number) for one in config.members for number in range(1, one.patients + 1)]
    wanted = [(one, number) for one, number in everyone if not _part(output, one, number).is_file()]
    tell(len(everyone) - len(wanted))
    tasks = [(sites[one.site], one, number, config.modalities, config.label_noise, output) for one, number in wanted]
    for done in in_processes(prepare_patient, tasks):
        tell(len(everyone) - len(wanted) + done)
    samples = [sample for one, number in everyone for sample in read_rows(_part(output, one, number), Sample)]
    write_rows(output / SAMPLES, samples)
    summary: dict[str, object] = {"patients": len(everyone), "samples": len(samples)}
    return summary | (_ask(config.questions, samples, output) if config.questions else {})


def _ask(wanted: Questions, samples: list[Sample], output: Path) -> dict[str, object]:
    items: list[Item] = []
    summary: dict[str, object] = {}
    for modality in sorted({sample.modality for sample in samples}):
        members = [sample for sample in samples if sample.modality == modality]
        if wanted.mcq_per_topic:
            kept, cleaned = filter_items(build_items(members, "mcq", wanted.mcq_per_topic, wanted.seed))
            items += kept
            summary[f"b_clean_{modality}"] = asdict(cleaned)
        if wanted.vqa_per_topic:
            items += build_items(members, "vqa", wanted.vqa_per_topic, wanted.seed)
    found = checksum(items)
    if wanted.checksum and found != wanted.checksum:
        raise BadInput(
            f"the questions' checksum is {found}, not the frozen one",
            "the generator has changed: results do not compare",
        )
    write_rows(output / QUESTIONS, items)
    return summary | {"questions": len(items), "checksum": found}


def _part(output: Path, members: Members, number: int) -> Path:
    return output / "parts" / f"{members.site}-{members.seed}-{number:06d}.jsonl"


def prepare_patient(
    site: SiteProfile, members: Members, number: int, modalities: tuple[Modality, ...], noisy: bool, output: Path
) -> list[Sample]:
    """One patient: files, preprocessing, media and rows below `output`."""
    for part in ("media", "parts"):
        (output / part).mkdir(parents=True, exist_ok=True)
    samples = []
    with tempfile.TemporaryDirectory() as scratch:
        make_patient(site, members.seed, number, Path(scratch), modalities)
        directory = patient_directory(Path(scratch), number)
        truth = Truth.model_validate_json((directory / TRUTH).read_text())
        rng = patient_rng(site, members.seed, number, "labels")
        for modality in modalities:
            (study,) = directory.glob(f"{modality}.*")
            prepared = prepare_study(study, Site(site.name, _NO_SECRET))
            suffix: Literal[".png", ".mp4"] = ".png" if prepared.kind == "image" else ".mp4"
            digest = hashlib.sha256(prepared.version.encode() + b"\0" + prepared.content).hexdigest()
            media = Path("media") / f"{digest}{suffix}"
            write_atomically(output / media, prepared.content, durable=False)
            labels = findings(truth, modality)
            if noisy:
                for topic in topics(modality):
                    if labels[topic.key] is not None and rng.random() < site.label_noise:
                        others = [name for name in topic.findings if name != labels[topic.key]]
                        labels[topic.key] = others[int(rng.integers(len(others)))]
            samples.append(
                Sample(
                    patient=truth.patient,
                    site=site.name,
                    modality=modality,
                    media=str(media),
                    findings=labels,
                    numbers=numbers(truth, modality),
                )
            )
            if modality == "echo":
                clips = _clips(study, json.loads((directory / VIEWS).read_text()))
                write_atomically(
                    output / "media" / f"{digest}.json", json.dumps({"clips": clips}).encode(), durable=False
                )
    write_rows(_part(output, members, number), samples)
    return samples


def _clips(study: Path, views: dict[str, str]) -> list[dict[str, object]]:
    """An echo study's clips as a view selector sees them, and which view each shows in truth."""
    clips, _ = clips_of(open_study(study).instances)
    return [
        {
            "view": views[str(int(seen.clip.instance.number("InstanceNumber") or 0))],
            "features": [round(float(value), 4) for value in clip_features(seen.candidate)],
        }
        for seen in look(clips, Counter())
    ]


_NO_SECRET = b"\0" * 32
"""Simulated patients have no identity to protect, and a dataset must be the same wherever it is made."""
