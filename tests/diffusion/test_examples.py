"""The examples in the modules' docstrings, and the library's borders."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import engine.diffusion

FILES = sorted(Path(engine.diffusion.__file__).parent.rglob("*.py"))
WITH_EXAMPLES = ("config", "limits", "pictures.palette", "prompt", "samplers", "schedules", "text")
ALLOWED = {"torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "torchsde", "yaml", "PIL", "triton"}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_are_true(name):
    result = doctest.testmod(importlib.import_module(f"engine.diffusion.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_library_imports_no_other_part_of_the_engine_and_few_packages():
    import sys

    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module]
            found |= {name if name.startswith("engine") else name.split(".")[0] for name in names}
    ours = {name for name in found if name.startswith("engine")}
    assert all(name.startswith("engine.diffusion") for name in ours)
    assert found - ours - set(sys.stdlib_module_names) <= ALLOWED


def test_no_module_but_the_configuration_holds_a_models_sizes():
    """320 channels, 768 wide text, 0.18215: such a literal elsewhere would break miniature models."""
    sizes = {320, 640, 768, 1280, 1024, 49408, 49407, 49406, 0.18215, 0.08333, 0.00085, 0.012}
    for path in FILES:
        if path.name in ("config.py", "fingerprint.py", "cards.py"):  # the last two tell of published models
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and type(node.value) is not bool:
                assert node.value not in sizes, f"{path.name}:{node.lineno} holds {node.value}"
