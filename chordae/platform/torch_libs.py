"""Makes torchvision importable beside a CPU build of PyTorch.

The default package index has torchvision for CUDA only. Beside CPU PyTorch its compiled operators do not load, and
`import torchvision` fails in `_meta_registrations` ("operator torchvision::nms does not exist"). transformers'
Qwen2.5-VL processors need only torchvision's pure-Python transforms, and those work once the two modules that register
compiled operators are empty. Where the operators do load, nothing here takes effect.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_REGISTER_OPERATORS = ("torchvision._meta_registrations", "torchvision._autograd_registrations")
STARTUP = Path(__file__).parent / "startup"


class _Empty(Loader):
    def exec_module(self, module: ModuleType) -> None:
        """Nothing to register."""


class _WithoutOperators(MetaPathFinder):
    """Finds the two modules empty if torchvision's own check, made just before, found no operators."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in _REGISTER_OPERATORS and not sys.modules["torchvision.extension"]._has_ops():
            return ModuleSpec(name, _Empty())
        return None


def mend_torchvision() -> None:
    """Let `import torchvision` succeed in this process. Costs nothing until it is imported; safe to call again."""
    if not any(isinstance(finder, _WithoutOperators) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WithoutOperators())


def mend_torchvision_in_children() -> None:
    """Also in Python processes started from here on: vLLM's import torchvision before they load any plugin."""
    mend_torchvision()
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(STARTUP) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(STARTUP), *filter(None, paths)])
