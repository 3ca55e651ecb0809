"""`chordae learn pcrl` of the reasoner: unlabelled records -> answers -> weighted vote -> label or not -> GRPO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from chordae.learning import checkpoint
from chordae.learning.diagnosis_evaluation import chosen
from chordae.learning.language import last_whole_checkpoint, last_whole_step
from chordae.learning.launch import Session
from chordae.learning.pcrl.abstention import PseudoLabel
from chordae.learning.pcrl.brakes import RoundFigures
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.labelling import Labeller
from chordae.learning.pcrl.ood import fit, parameters
from chordae.learning.pcrl.rounds import VOTERS, WATCH, Rounds, entropies, figures_of, parts_of, refuse_few
from chordae.learning.pcrl.state import PcrlState, write_labels
from chordae.learning.pcrl.unlabelled import read_unlabelled
from chordae.learning.reasoner_cases import Asked, Cases, Group
from chordae.learning.reasoner_grpo import ReasonerTrainer, train_with_rollouts, trainer_options
from chordae.learning.reasoner_lessons import case_id, open_cases
from chordae.learning.reasoner_report import StepReport
from chordae.learning.sft import summary
from chordae.learning.sharding import whole_model
from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.errors import BadInput


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
    trainer.rounds.report = StepReport(trainer, losses, session.say, config.steps)
    trainer.add_callback(trainer.rounds.report)
    with train_with_rollouts(trainer, last):
        trainer.rounds.refuse_drift()
    if losses is not None:
        losses.flush(config.steps)
    write_labels(session.work, trainer.rounds.state)
    return whole_model(trainer), tokenizer, summary(session.work) | figures_of(trainer.rounds.state)


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
    refuse_few(len(watched), config)
    parts = parts_of(sorted(unlabelled), config.rounds, config.seed)
    return PcrlTrainer(
        asked, sentinels, watched, parts, state, config, **trainer_options(model, tokenizer, config, work)
    )


class PcrlTrainer(ReasonerTrainer):
    """The reasoner's, whose prompts are records that it has labelled itself, and replayed cases."""

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
        self.rounds = Rounds(self, parts, state, config)
        self.sentinels, self.watched = sentinels, watched
        self.replayed = sorted(asked.categories)
        detector = fit([parameters(asked.records[one]) for one in self.replayed])
        self.labeller = Labeller(asked, config, detector)
        self.sentinel_labeller = Labeller(sentinels, config, detector)
        fitting = (one for one in parts[0] if asked.fits(asked.records[one]))
        self._first = list(islice(fitting, config.most_sentinels))
        self._believe(self.rounds.labels.values())

    def roll_step(self, count: int) -> list[Group]:
        """As `ReasonerTrainer.roll_step`."""
        return self.roll(self.rounds.step(self.state.global_step, count, self.replayed), 0)

    def label(self, cases: Sequence[str]) -> Sequence[PseudoLabel]:
        """As `rounds.Learner.label`."""
        labels = self.labeller.label(cases, self.rollouts, self.generator(VOTERS)).labels
        self._believe(labels)
        return labels

    def _believe(self, labels: Iterable[PseudoLabel]) -> None:
        believed = {label.case: label.category for label in labels if label.category is not None}
        self.training.categories |= cast("dict[str, Category]", believed)

    def look(self) -> RoundFigures:
        """As `rounds.Learner.look`."""
        truth = self.sentinels.categories
        chosen_of = self._greedy(self.sentinels, self.watched)
        voted = self.sentinel_labeller.label(self.watched, self.rollouts, self.generator(WATCH))
        first = self._greedy(self.training, self._first)
        return RoundFigures(
            sentinels={name: chosen_of[name] == truth[name] for name in self.watched},
            pseudo_labels={one.case: one.category == truth[one.case] for one in voted.labels if one.category},
            entropies=entropies(voted.answers),
            prior=Counter(name or "none" for name in first.values()),
        )

    def _greedy(self, asked: Asked, examples: Sequence[str]) -> dict[str, str | None]:
        said = self.rollouts.greedy([asked.prompt(example) for example in examples])
        return {name: parse(asked.text(ids)).category for name, ids in zip(examples, said, strict=True)}

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's; a case weighs as much as its label is sure, a labelled one 1."""
        scored: dict[str, Any] = super()._generate_and_score_completions(inputs)
        examples = [group.example for group in self.groups]
        return scored | {"advantages": self.rounds.weighted(scored["advantages"], examples)}

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        self.rounds.state.write(Path(output_dir))
