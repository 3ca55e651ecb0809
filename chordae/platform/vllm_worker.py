"""What vLLM's own processes do when weights change in place: its reload, made whole.

Named to vLLM as `worker_extension_cls`, which makes it a base of the worker's class. Two things are wrong with vLLM's
reload alone. Of tied embeddings it loads the input side; the CPU build has packed the output side before, and keeps the
packed copy of the old weights. And a load that fails leaves layers waiting for the rest of theirs, which the next load
would then complete.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any


class WeightsWorker:
    """A base of vLLM's worker; `model_runner` and `reload_weights` are the worker's own."""

    model_runner: Any
    reload_weights: Any

    def change_weights(self, weights_path: str) -> str | None:
        """Load those weights over the old ones. Returns what went wrong; the model then holds some of each."""
        model, config = self.model_runner.get_model(), self.model_runner.model_config
        try:
            self.reload_weights(weights_path=weights_path)
        except Exception as error:  # noqa: BLE001 - told; whatever it was, layers must not stay half filled
            from vllm.model_executor.model_loader.reload.layerwise import finalize_layerwise_reload

            finalize_layerwise_reload(model, config)
            return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        pack_tied_head(model, config.hf_config)
        return None


def pack_tied_head(model: Any, config: Any) -> None:
    """Have the output matrix of tied embeddings made anew from the weights that the input matrix has now."""
    tied = any(getattr(one, "tie_word_embeddings", False) for one in (config, config.get_text_config()))
    language = model.get_language_model() if hasattr(model, "get_language_model") else model
    head = getattr(language, "lm_head", None)
    if tied and head is not None and hasattr(head, "quant_method"):  # in a pipeline the last stage alone has it
        head.quant_method.process_weights_after_loading(head)


def _end_with_parent() -> None:
    """Where this is a process that vLLM has started: end when whoever started it is gone, SIGKILL included.

    vLLM's engine core waits for its next request for ever, and keeps its memory.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
