"""An engine that is spoken to in tokens: a reasoner's, and a trainer's that draws its answers with it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chordae.platform.engine import Continuation, Engine, continuation, refusal
from chordae.platform.settings import EngineSettings


class TextEngine(Engine):
    """`Engine` for a checkpoint of a text-only architecture."""

    def __init__(self, checkpoint: Path, name: str, settings: EngineSettings) -> None:
        # No file is ever read on a caller's behalf: the only directory that it may read is the model's own. That a
        # request may hold one picture, vLLM ignores for a model that has no eyes.
        super().__init__(checkpoint, name, settings, checkpoint, "image")

    @property
    def tokenizer(self) -> Any:
        """The model's own (Hugging Face), with its chat template. Raises ExpertUnavailable before `start`."""
        return self.running.get_tokenizer()

    async def write_on(
        self,
        prompts: Sequence[Sequence[int]],
        limit: int,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
        never: Sequence[int] = (),
    ) -> list[Continuation]:
        """What the model writes after each prompt; prompts that are there several times are read once.

        All wait until the last one is there: which run together, and so every rounding, follows from the call alone.

        Args:
            prompts: token ids.
            limit: tokens at most, after each.
            temperature: of the softmax that tokens are drawn from; 0: the likeliest is taken.
            seeds: one a prompt, which decide what is drawn.
            never: tokens that are not written.

        Returns:
            One a prompt, in order; log-probabilities are the model's own, whatever the temperature.

        Raises:
            BadInput: a prompt is empty, or too long for the context.
            ExpertUnavailable: the engine is dead.
        """
        from vllm import SamplingParams
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import TokensPrompt
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError

        sampled = SamplingParams(
            max_tokens=limit,
            temperature=temperature,
            logprobs=0,  # of the token that is written, and no other
            logit_bias=dict.fromkeys(never, -100.0) or None,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        llm, written = self.running, []
        try:
            # what an earlier call left there would round otherwise: a run that is killed and goes on has no such call
            await llm.reset_prefix_cache()
            await llm.pause_generation(mode="keep", clear_cache=False)
            try:
                waiting = []
                for place, prompt in enumerate(prompts):
                    params = sampled.clone()
                    params.seed = None if seeds is None else seeds[place]
                    waiting.append(
                        await llm.add_request(uuid.uuid4().hex, TokensPrompt(prompt_token_ids=[*prompt]), params)
                    )
            finally:
                await llm.resume_generation()
            for one in waiting:
                written.append(continuation((await one.get()).outputs[0]))
        except (VLLMClientError, ValueError) as error:
            raise refusal(str(error)) from None
        except EngineDeadError as error:
            raise self.died() from error
        return written

    async def next_logprobs(self, prompt_ids: Sequence[int], among: Sequence[int]) -> list[float]:
        """Log-probabilities (natural, over the whole vocabulary) of these tokens as the one after the prompt.

        One token is generated, one of them; what the engine has of the prompt in its prefix cache is not computed
        again.

        Raises:
            ExpertUnavailable: the engine is dead, or has not started.
        """
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError

        wanted = list(among)
        params = SamplingParams(
            temperature=0.0, max_tokens=1, allowed_token_ids=wanted, logprob_token_ids=wanted, detokenize=False
        )
        prompt = TokensPrompt(prompt_token_ids=list(prompt_ids))
        try:
            async for output in self.running.generate(prompt, params, f"next-{uuid.uuid4().hex}"):
                told = output.outputs[0].logprobs[0]
        except EngineDeadError as error:
            raise self.died() from error
        return [float(told[token].logprob) for token in wanted]
