"""How an answer looks in a terminal: each expert with its probes and verdict, then the answer and what it rests on.

Words of a flagged expert are shown in its own part, behind the disclaimer, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.markup import escape

from chordae.console import DEMONSTRATOR, out
from chordae.console_diagnosis import facts as diagnosis_facts
from chordae.console_facts import show_facts
from chordae.platform.schemas import (
    KIND_OF,
    NAME_OF,
    SPEAKER_NAME,
    Answer,
    Confidence,
    Media,
    Modality,
    Probe,
    ProbeReport,
    Sentence,
    Speaker,
)
from chordae.platform.settings import Settings

_UNVERIFIED = " (unverified: not probed)"


def show_answer(answer: Answer, media: Sequence[Media], settings: Settings, stages: dict[str, float]) -> None:
    """Everything a person needs to judge an answer: how each expert was asked and probed, what may be relied on."""
    _show_media(media, settings)
    split = "the language model" if answer.split_by == "model" else "rules"
    if answer.sub_queries:
        show_facts([("Split by", escape(f"{split}: {answer.split_note}" if answer.split_note else split))])
    for modality in (one for one in KIND_OF if one in answer.sub_queries):
        out.print()
        out.rule(f"[bold]{NAME_OF[modality]}[/bold]", align="left", style="dim")
        show_facts(_expert(modality, answer))
    if answer.diagnosis is not None:
        out.print()
        out.rule(f"[bold]{SPEAKER_NAME['reasoner']}[/bold]", align="left", style="dim")
        show_facts(diagnosis_facts(answer.diagnosis))
    out.print()
    out.rule("[bold]Answer[/bold]", align="left", style="dim")
    show_facts([*_sentences(answer), ("Verdict", _verdict(answer))])
    out.print()
    out.rule("[bold]Made by[/bold]", align="left", style="dim")
    show_facts(_provenance(answer, stages), width=0)
    if any("nano" in weights.name for weights in answer.provenance.weights):
        out.print(f"\n{DEMONSTRATOR}", style="yellow")


def _show_media(media: Sequence[Media], settings: Settings) -> None:
    for one in media:
        for label, kept in ((f"{NAME_OF[one.modality]}, for people", one.companion), ("Seen by the model", one.id)):
            if kept is not None:
                suffix = ".mp4" if kept == one.id and one.kind == "video" else ".png"
                path = escape(str(settings.media_dir / f"{kept}{suffix}"))
                named = label if one.companion else f"{NAME_OF[one.modality]}, as the model sees it"
                out.print(f"[bold]{named}[/bold]\n{path}", soft_wrap=True)  # in one piece, to be copied
        flags = one.sidecar.get("flags")
        if isinstance(flags, list) and flags:
            show_facts([("Recording", escape(f"{NAME_OF[one.modality]}: {'; '.join(str(flag) for flag in flags)}"))])


def _expert(modality: Modality, answer: Answer) -> list[tuple[str, str]]:
    """What one expert was asked, what it said, and what its probes say about that."""
    rows = [("Asked", escape(answer.sub_queries[modality]))]
    said = answer.answers.get(modality)
    if said is None:
        return [*rows, ("No answer", f"[yellow]{escape(answer.missing.get(modality, 'no reason given'))}[/yellow]")]
    rows.append(("Answer", escape(answer.apart.get(modality, said.text))))
    if said.finish_reason == "length":
        rows.append(("Cut off", "it reached max_answer_tokens; what is missing is not known"))
    report = next((one for one in answer.reports if one.modality == modality), None)
    if report is None:
        reason = answer.unprobed.get(modality)
        rows.append(("Not probed", f"[yellow]{escape(reason)}[/yellow]" if reason else "nobody asked for it"))
        return rows
    return [*rows, *_probes(report), *_gate(report.confidence)]


def _probes(report: ProbeReport) -> list[tuple[str, str]]:
    rows = []
    for number, probe in enumerate(report.rephrasings, start=1):
        asked = f"[dim]{escape(probe.question)} (by the {probe.source})[/dim]"
        rows.append((f"Rephrasing {number}", f"{asked}\n{_said(probe, report)}"))
    return [*rows, ("Without picture", _said(report.image_absent, report))]


def _said(probe: Probe, report: ProbeReport) -> str:
    """What came back; that it is the first answer again is easier read than compared."""
    return "= the answer above, word for word" if probe.answer == report.answer else escape(probe.answer)


def _gate(score: Confidence) -> list[tuple[str, str]]:
    formula = f"{score.alpha:g} x agreement + {1 - score.alpha:g} x image delta"
    fitted = "calibrated for these weights" if score.calibrated else "default: not calibrated for these weights"
    why = f"it contradicts itself: it {score.contradiction}" if score.contradiction else "below the threshold"
    verdict = f"[red]FLAGGED: {why}; do not rely on it[/red]" if score.flagged else "[green]passed[/green]"
    return [
        ("Agreement", f"{score.agreement:.3f}  (mean pairwise ROUGE-L of the four answers)"),
        ("Image delta", f"{score.image_delta:.3f}  (cosine distance, with and without picture)"),
        ("Confidence", f"{score.value:.3f}  ({formula})"),
        ("Threshold", f"{score.threshold:.3f}  ({fitted})"),
        ("Gate", verdict),
    ]


def _sentences(answer: Answer) -> list[tuple[str, str]]:
    """The synthesis: an expert's sentences together, every other by itself, each with the answers it rests on."""
    labels = {"contradiction": "Contradiction", "withheld": "Not relied on"}
    rows = []
    for (kind, rests_on, confidence), group in groupby(
        answer.sentences, lambda one: (one.kind, one.rests_on, one.confidence)
    ):
        names = " and ".join(SPEAKER_NAME[one] for one in rests_on)
        pointer = _rests_on(rests_on, confidence)
        if kind == "finding":
            rows.append((names, f"{escape(_together(list(group), names))}\n{pointer}"))
        elif kind == "missing":
            rows += [("Missing", f"[yellow]{escape(one.text)}[/yellow]") for one in group]
        else:
            rows += [(labels[kind], f"[yellow]{escape(one.text)}[/yellow]\n{pointer}") for one in group]
    rows += [
        ("Not probed", f"[yellow]{NAME_OF[one]}: {escape(why)}. Do not rely on it.[/yellow]")
        for one, why in answer.unprobed.items()
    ]
    return rows


def _together(group: Sequence[Sentence], name: str) -> str:
    """Sentences of one expert in a row; the label names it, and the line below says whether it was probed."""
    return " ".join(one.text.removeprefix(f"{name}{_UNVERIFIED}: ").removeprefix(f"{name}: ") for one in group)


def _rests_on(whose: Sequence[Speaker], confidence: float | None) -> str:
    several = len(whose) > 1
    if whose == ("reasoner",):
        how = "no category" if confidence is None else f"probability {confidence:.3f}"
        return f"[dim]rests on the CMR record and the reasoner's chain, {how}[/dim]"
    how = "not probed: unverified" if confidence is None else f"confidence {confidence:.3f}"
    if several:
        how = "not all probed" if confidence is None else f"the weaker's {how}"
    return f"[dim]rests on the {' and '.join(map(SPEAKER_NAME.__getitem__, whose))} answer{'s' * several}, {how}[/dim]"


def _verdict(answer: Answer) -> str:
    without = "".join(f"; no answer from the {_called(one)}" for one in answer.missing)
    if answer.flagged is None:
        return f"not probed: nothing is known about it{without}"
    if not answer.flagged:
        return f"[green]not flagged[/green]{without}"
    flagged = [NAME_OF[report.modality] for report in answer.reports if report.confidence.flagged]
    flagged += [SPEAKER_NAME["reasoner"]] if answer.diagnosis is not None and answer.diagnosis.flagged else []
    whose = ", ".join([*flagged, *(f"{NAME_OF[one]} (not probed)" for one in answer.unprobed)])
    return f"[red]FLAGGED: do not rely on {whose}[/red]{without}"


def _called(speaker: Speaker) -> str:
    return SPEAKER_NAME[speaker] if speaker == "reasoner" else f"{SPEAKER_NAME[speaker]} expert"


def _provenance(answer: Answer, stages: dict[str, float]) -> list[tuple[str, str]]:
    made = answer.provenance
    return [
        *(
            ("Weights", f"{escape(one.name)} version {escape(one.version)}, sha256\n{one.digest}")
            for one in made.weights
        ),
        ("Settings", f"sha256\n{made.settings_digest}"),
        ("Request", made.request_id),
        ("Seconds", ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.items())),
    ]
