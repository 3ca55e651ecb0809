"""`chordae learn pcrl` of an imaging expert: unlabelled studies -> options chosen -> weighted vote -> GRPO.

The voters' answers are drawn for the vote alone; what is trained on is drawn anew. An expert has no chain that could be
unfaithful: what stands against a label are a close vote, and the same question with its options in another order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from chordae.learning import checkpoint
from chordae.learning.grpo import PolicyTrainer, policy_options
from chordae.learning.language import last_whole_checkpoint, last_whole_step
from chordae.learning.launch import Session, open_media
from chordae.learning.pcrl.abstention import PseudoLabel, pseudo_label
from chordae.learning.pcrl.brakes import RoundFigures
from chordae.learning.pcrl.mcq_config import McqPcrlConfig
from chordae.learning.pcrl.posed import PosedPrompts, StepPrompts, pose
from chordae.learning.pcrl.rounds import VOTERS, WATCH, Rounds, entropies, figures_of, parts_of, refuse_few
from chordae.learning.pcrl.state import PcrlState, write_labels
from chordae.learning.pcrl.uncertainty import VotingAnswer
from chordae.learning.reasoner_report import StepReport
from chordae.learning.reasoner_rollouts import COLDEST
from chordae.learning.rollout import Sampled, Sampling, StudyPrompts, sample_answers
from chordae.learning.sft import summary
from chordae.learning.sharding import whole_model
from chordae.learning.vision import batched_attention
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # trl imports transformers' processors

from trl.models import unwrap_model_for_generation  # noqa: E402

AT_ONCE = 8
"""Prompts with their pictures that are answered in one batch."""


def run(session: Session) -> tuple[Any, Any, dict[str, Any]]:
    """Train; returns the model, its tokenizer and figures for the manifest.

    Raises:
        LearningHalted: a brake was pulled.
    """
    config: McqPcrlConfig = session.config
    model, tokenizer = checkpoint.begin(config)
    model.to(session.device)
    last = last_whole_checkpoint(session.work)
    state = PcrlState() if last is None else PcrlState.read(last)
    losses = session.losses(last_whole_step(session.work))
    trainer = make_trainer(model, tokenizer, session, state)
    rounds = trainer.rounds
    rounds.report = StepReport(trainer, losses, session.say, config.steps)
    trainer.add_callback(rounds.report)
    with batched_attention(model), nullcontext() if config.kl == 0 else batched_attention(trainer.ref_model):
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
        rounds.refuse_drift()
    if losses is not None:
        losses.flush(config.steps)
    write_labels(session.work, rounds.state)
    return whole_model(trainer), tokenizer, summary(session.work) | figures_of(rounds.state)


def make_trainer(model: Any, tokenizer: Any, session: Session, state: PcrlState) -> McqPcrlTrainer:
    """A trainer of `model`, which was loaded from the configuration's start.

    Raises:
        BadInput: as `posed.pose`. BadSettings: too few sentinels for a brake.
    """
    config: McqPcrlConfig = session.config
    studies = session.studies()
    occurring = {topic: studies.occurring(topic) for topic in studies.topics}
    unlabelled, sentinels = open_media(config, config.unlabelled), open_media(config, config.sentinels)
    limit = config.prompt_tokens
    posed = PosedPrompts(
        unlabelled, pose(unlabelled, occurring, config.seed), config.wordings, tokenizer, config.seed, limit
    )
    known = pose(sentinels, occurring, config.seed, known=True)
    looked_at = set(parts_of([one.case for one in known], 1, config.seed)[0][: config.most_sentinels])
    known = [one for one in known if one.case in looked_at]
    watched = PosedPrompts(sentinels, known, config.wordings, tokenizer, config.seed, limit)
    refuse_few(len(known), config)
    replayed = StudyPrompts(studies, tokenizer, config.seed, config.augment, limit)
    truth = {one.case: one.right(sentinels.samples[one.study]) for one in known}
    options = policy_options(model, tokenizer, StepPrompts(replayed, posed), config, session.work)
    return McqPcrlTrainer(watched, truth, state, config, **options)


class McqPcrlTrainer(PolicyTrainer):
    """An expert's, whose prompts are questions that it has answered itself, and replayed ones."""

    def __init__(
        self,
        sentinels: PosedPrompts,
        truth: Mapping[str, str],
        state: PcrlState,
        config: McqPcrlConfig,
        prompts: StepPrompts,
        **options: Any,
    ) -> None:
        """`truth` names the right option of each sentinel; `state` is gone on from."""
        super().__init__(prompts, **options)
        self.step_prompts, self.posed = prompts.step, prompts.posed
        self.sentinels, self.truth, self.config = sentinels, truth, config
        parts = parts_of(sorted(self.posed.places), config.rounds, config.seed)
        self.rounds = Rounds(self, parts, state, config)
        self._first = parts[0][: config.most_sentinels]

    def label(self, cases: Sequence[str]) -> Sequence[PseudoLabel]:
        """As `rounds.Learner.label`."""
        return self._voted(self.posed, cases, VOTERS)[0]

    def look(self) -> RoundFigures:
        """As `rounds.Learner.look`."""
        watched = list(self.truth)
        said = self._likeliest(self.sentinels, watched)
        labels, answers = self._voted(self.sentinels, watched, WATCH)
        first = self._likeliest(self.posed, self._first)
        return RoundFigures(
            sentinels={case: said[case] == self.truth[case] for case in watched},
            pseudo_labels={one.case: one.category == self.truth[one.case] for one in labels if one.category},
            entropies=entropies(answers),
            prior=Counter(name or "none" for name in first.values()),
        )

    def _voted(
        self, prompts: PosedPrompts, cases: Sequence[str], stream: int
    ) -> tuple[list[PseudoLabel], list[list[VotingAnswer]]]:
        """The cases' labels, and the answers that voted for them."""
        wordings = self.config.wordings
        numbers, copies = prompts.numbers(cases, wordings), self.config.answers // wordings
        drawn = self._answers(prompts, numbers, copies, self.sampling, self.generator(stream))
        read = [
            VotingAnswer(
                category=self._read(prompts, numbers[place // copies], answer),
                logprobs=tuple(answer.logprobs),
                wording=numbers[place // copies] % prompts.wordings,
            )
            for place, answer in enumerate(drawn)
        ]
        each = wordings * copies
        answers = [read[first : first + each] for first in range(0, len(read), each)]
        labels = [
            pseudo_label(case, those, self.config.abstention, unlike_training=False)
            for case, those in zip(cases, answers, strict=True)
        ]
        return labels, answers

    def _likeliest(self, prompts: PosedPrompts, cases: Sequence[str]) -> dict[str, str | None]:
        numbers = prompts.numbers(cases, 1)
        cold = replace(self.sampling, temperature=COLDEST)
        said = self._answers(prompts, numbers, 1, cold, self.generator(WATCH, 1))
        read = (self._read(prompts, *pair) for pair in zip(numbers, said, strict=True))
        return dict(zip(cases, read, strict=True))

    def _answers(
        self,
        prompts: PosedPrompts,
        numbers: Sequence[int],
        copies: int,
        sampling: Sampling,
        generator: torch.Generator,
    ) -> list[Sampled]:
        """`copies` answers to each, in order."""
        device = self.accelerator.device
        found: list[Sampled] = []
        with unwrap_model_for_generation(self.model_wrapped, self.accelerator) as model:
            for first in range(0, len(numbers), AT_ONCE):
                inputs = prompts.inputs(numbers[first : first + AT_ONCE], device)
                found += sample_answers(model, inputs, copies, sampling, generator)
        return found

    def _read(self, prompts: PosedPrompts, number: int, answer: Sampled) -> str | None:
        return prompts.category(number, self.processing_class.decode(answer.ids, skip_special_tokens=True))

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's, on what the round has for this step; a question weighs as much as its label is sure."""
        numbers = list(dict.fromkeys(int(row["prompt"]) for row in inputs))
        cases = self.rounds.step(self.state.global_step, len(numbers), [None])
        self.step_prompts.clear()
        for number, case in zip(numbers, cases, strict=True):
            self.step_prompts[number] = None if case is None else (case, self.rounds.believed(case))
        scored: dict[str, Any] = super()._generate_and_score_completions(inputs)
        return scored | {"advantages": self.rounds.weighted(scored["advantages"], cases)}

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        self.rounds.state.write(Path(output_dir))
