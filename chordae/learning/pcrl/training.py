"""`chordae learn pcrl`: unlabelled records -> answers -> weighted vote -> pseudo-label or abstention -> GRPO.

A round labels the next part of the records, looks whether a brake is to be pulled, and trains on what was labelled,
labelled cases replayed beside. After the last round it looks once more; weights that a brake held are never written.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch

from chordae.learning import checkpoint
from chordae.learning.diagnosis_evaluation import chosen
from chordae.learning.language import last_whole_checkpoint, last_whole_step
from chordae.learning.launch import Session
from chordae.learning.pcrl.abstention import PseudoLabel
from chordae.learning.pcrl.brakes import RoundFigures, brake, least_sentinels
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.labelling import Labelled, Labeller
from chordae.learning.pcrl.ood import fit, parameters
from chordae.learning.pcrl.replay import in_turns, shares, with_replay
from chordae.learning.pcrl.rewards import case_weights, weighted_advantages
from chordae.learning.pcrl.state import PcrlState, write_labels
from chordae.learning.pcrl.uncertainty import sequence_entropy
from chordae.learning.pcrl.unlabelled import read_unlabelled
from chordae.learning.reasoner_cases import Asked, Cases, Group
from chordae.learning.reasoner_grpo import ReasonerTrainer, train_with_rollouts, trainer_options
from chordae.learning.reasoner_lessons import case_id, open_cases
from chordae.learning.reasoner_report import StepReport
from chordae.learning.sft import summary
from chordae.learning.sharding import whole_model
from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.errors import BadInput, BadSettings, LearningHalted

VOTERS, WATCH = 2**30, 2**30 + 1
"""Streams of random numbers of a step, beside those of the answers that are trained on."""


def run(session: Session) -> tuple[Any, Any, dict[str, Any]]:
    """Train; returns the model, its tokenizer and figures for the manifest.

    Raises:
        LearningHalted: a brake was pulled.
    """
    config: PcrlConfig = session.config
    model, tokenizer = checkpoint.begin(config)
    model.to(session.device)
    last = last_whole_checkpoint(session.work)
    state = PcrlState() if last is None else PcrlState.read(last)
    losses = session.losses(last_whole_step(session.work))
    trainer = make_trainer(model, tokenizer, config, state, session.work)
    trainer.report = StepReport(trainer, losses, session.say, config.steps)
    trainer.add_callback(trainer.report)
    with train_with_rollouts(trainer, last):
        trainer.refuse_drift()
    if losses is not None:
        losses.flush(config.steps)
    write_labels(session.work, trainer.plan)
    return whole_model(trainer), tokenizer, summary(session.work) | figures_of(trainer.plan)


def figures_of(state: PcrlState) -> dict[str, float]:
    """What became of the records: how many were labelled, how many not and why, how sure the labels are."""
    labels = [label for part in state.labels for label in part]
    sure = [label.confidence for label in labels if label.category is not None]
    figures = {"records": float(len(labels)), "labelled": float(len(sure))}
    figures["confidence"] = sum(sure) / len(sure) if sure else 0.0
    counted = Counter(why for label in labels for why in label.why)
    return figures | {f"abstained.{why}": float(number) for why, number in sorted(counted.items())}


def make_trainer(model: Any, tokenizer: Any, config: PcrlConfig, state: PcrlState, work: Path) -> PcrlTrainer:
    """A trainer of `model`, as `trainer_options` has it.

    Raises:
        BadInput: a record or case that is there twice, or too few cases to tell what records are like.
        BadSettings: too few sentinels for a brake.
    """
    replayed = Cases(config.cases, tokenizer, config.prompts, config.prompt_tokens)
    unlabelled = {name: one.record for name, one in read_unlabelled(config.unlabelled).items()}
    if unlabelled.keys() & replayed.records.keys():
        raise BadInput("a record is unlabelled and labelled", "give every record an id of its own")
    asked = Asked(replayed.records | unlabelled, tokenizer, config.prompts, config.prompt_tokens)
    asked.categories = dict(replayed.categories)
    sentinels = Cases(config.sentinels, tokenizer, config.prompts, config.prompt_tokens)
    watched = [case_id(case) for case in chosen(open_cases(config.sentinels), config.most_sentinels)]
    if config.brakes is not None and len(watched) < (least := least_sentinels(config.brakes, config.rounds)):
        problem = f"{len(watched)} sentinels are watched: were all lost, it might still be chance"
        raise BadSettings(problem, f"watch {least} at least (most_sentinels), or set brakes to null")
    parts = parts_of(sorted(unlabelled), config.rounds, config.seed)
    return PcrlTrainer(
        asked, sentinels, watched, parts, state, config, **trainer_options(model, tokenizer, config, work)
    )


def parts_of(examples: Sequence[str], rounds: int, seed: int) -> list[list[str]]:
    """The records of each round: about as many, in an order that ids and seed decide."""
    order = sorted(examples, key=lambda one: hashlib.sha256(f"{seed}\0{one}".encode()).digest())
    return [order[number::rounds] for number in range(rounds)]


class PcrlTrainer(ReasonerTrainer):
    """The reasoner's, whose prompts are records that it has labelled itself, and replayed cases."""

    report: StepReport

    def __init__(
        self,
        asked: Asked,
        sentinels: Cases,
        watched: Sequence[str],
        parts: Sequence[Sequence[str]],
        state: PcrlState,
        config: PcrlConfig,
        **options: Any,
    ) -> None:
        """`watched` of the sentinels are looked at; `parts` are the rounds' records; `state` is gone on from."""
        super().__init__(asked, config, **options)
        self.config: PcrlConfig = config
        self.plan, self.parts = state, parts
        self.sentinels, self.watched = sentinels, watched
        self.replayed = sorted(asked.categories)
        detector = fit([parameters(asked.records[one]) for one in self.replayed])
        self.labeller = Labeller(asked, config, detector)
        self.sentinel_labeller = Labeller(sentinels, config, detector)
        self._labels: dict[str, PseudoLabel] = {}
        fitting = (one for one in parts[0] if asked.fits(asked.records[one]))
        self._first = list(islice(fitting, config.most_sentinels))
        for part in state.labels:
            self._believe(part)

    def roll_step(self, count: int) -> list[Group]:
        """As `ReasonerTrainer.roll_step`; the first step of a round labels and looks first."""
        self._refuse_nonsense()
        number, place = divmod(self.state.global_step, self.config.round_steps)
        if number == self.plan.rounds:
            self._begin_round(number)
        kept = [label.case for label in self.plan.labels[number] if label.category is not None]
        new, again = shares(count, self.config.replay if kept else 1.0)
        cases = in_turns(kept, place * new, new, self.args.seed)
        return self.roll(with_replay(cases, self.replayed, again, self.args.seed, self.state.global_step), 0)

    def refuse_drift(self) -> None:
        """Look at what is watched, and hold it against the champion's figures.

        Raises:
            LearningHalted: it has moved too far.
        """
        self._refuse_nonsense()
        settings = self.config.brakes
        if settings is None:
            return
        now = self._look()
        if self.plan.start is None:
            self.plan = self.plan.model_copy(update={"start": now})
        elif (halt := brake(self.plan.start, now, settings, self.config.rounds)) is not None:
            raise LearningHalted(halt.sentence, "look at the records that came in; the champion goes on serving")

    def _refuse_nonsense(self) -> None:
        """Whatever the brakes: weights that are no numbers answer nothing, and no later step mends them."""
        if not all(torch.isfinite(one).all() for one in self.model.parameters()):
            problem = f"After step {self.state.global_step} weights are no finite numbers any more."
            raise LearningHalted(problem, "lower learning_rate; the champion goes on serving")

    def _begin_round(self, number: int) -> None:
        self.refuse_drift()
        labelled = self.labeller.label(self.parts[number], self.rollouts, self.generator(VOTERS))
        self.plan = self.plan.model_copy(update={"labels": (*self.plan.labels, labelled.labels)})
        self._believe(labelled.labels)
        self.report.more = figures_of(PcrlState(labels=(labelled.labels,)))
        counts = f"{self.report.more['labelled']:.0f} of {len(labelled.labels)}"
        self.report.say(f"round {number + 1}: {counts} records labelled")

    def _believe(self, labels: Sequence[PseudoLabel]) -> None:
        self._labels |= {label.case: label for label in labels}
        believed = {label.case: label.category for label in labels if label.category is not None}
        self.training.categories |= cast("dict[str, Category]", believed)

    def _look(self) -> RoundFigures:
        """Sentinels answered, and labelled as if nobody knew; what the first round's records are answered with."""
        truth = self.sentinels.categories
        chosen_of = self._greedy(self.sentinels, self.watched)
        voted = self.sentinel_labeller.label(self.watched, self.rollouts, self.generator(WATCH))
        first = self._greedy(self.training, self._first)
        return RoundFigures(
            sentinels={name: chosen_of[name] == truth[name] for name in self.watched},
            pseudo_labels={one.case: one.category == truth[one.case] for one in voted.labels if one.category},
            entropies=_entropies(voted),
            prior=Counter(name or "none" for name in first.values()),
        )

    def _greedy(self, asked: Asked, examples: Sequence[str]) -> dict[str, str | None]:
        said = self.rollouts.greedy([asked.prompt(example) for example in examples])
        return {name: parse(asked.text(ids)).category for name, ids in zip(examples, said, strict=True)}

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's; a case weighs as much as its label is sure, a labelled one 1."""
        scored: dict[str, Any] = super()._generate_and_score_completions(inputs)
        advantages = scored["advantages"].reshape(len(self.groups), -1)
        weights = case_weights([self._labels.get(group.example) for group in self.groups])
        weighted = weighted_advantages(advantages.cpu().numpy(), weights)
        scored["advantages"] = torch.as_tensor(weighted.ravel()).to(scored["advantages"])
        return scored

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        self.plan.write(Path(output_dir))


def _entropies(voted: Labelled) -> tuple[float, ...]:
    """Of the answers that tell their log-probabilities."""
    return tuple(sequence_entropy(one.logprobs) for those in voted.answers for one in those if one.logprobs)
