"""torchvision imports whatever build of it is beside PyTorch, and an intact one is left alone."""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from chordae.platform import torch_libs


@pytest.fixture(autouse=True)
def finders_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))


@pytest.mark.slow
def test_a_fresh_process_imports_torchvision() -> None:
    code = (
        "from chordae.platform.torch_libs import mend_torchvision; mend_torchvision();"
        "import torch; from torchvision.transforms.v2.functional import resize;"
        "print(tuple(resize(torch.zeros(3, 8, 8), [4, 4]).shape))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.stdout.strip() == "(3, 4, 4)", shown.stderr


def finder() -> torch_libs._WithoutOperators:
    return next(finder for finder in sys.meta_path if isinstance(finder, torch_libs._WithoutOperators))


def torchvision_that(has_operators: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    extension = SimpleNamespace(_has_ops=lambda: has_operators)
    monkeypatch.setitem(sys.modules, "torchvision.extension", extension)  # type: ignore[arg-type]
    torch_libs.mend_torchvision()


def test_nothing_is_changed_where_the_operators_load(monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision_that(True, monkeypatch)
    assert [finder().find_spec(name, None) for name in torch_libs._REGISTER_OPERATORS] == [None, None]


def test_without_operators_only_the_modules_that_register_them_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision_that(False, monkeypatch)
    assert finder().find_spec("torchvision.ops", None) is None
    for name in torch_libs._REGISTER_OPERATORS:
        spec = finder().find_spec(name, None)
        assert spec is not None and spec.loader is not None
        module = ModuleType(name)
        spec.loader.exec_module(module)
        assert {key for key in vars(module) if not key.startswith("__")} == set()


def test_mending_twice_is_mending_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    for _ in range(2):
        torch_libs.mend_torchvision_in_children()
    assert sum(isinstance(finder, torch_libs._WithoutOperators) for finder in sys.meta_path) == 1
    assert os.environ["PYTHONPATH"] == f"{torch_libs.STARTUP}{os.pathsep}elsewhere"


def test_a_child_process_finds_it_mended_before_it_does_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    torch_libs.mend_torchvision_in_children()
    code = "import sys; print([type(finder).__name__ for finder in sys.meta_path][:1])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "_WithoutOperators" in shown.stdout
