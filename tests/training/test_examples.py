"""The examples in the modules' docstrings are run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["scenes", "captions", "lora", "plot", "starter"])
def test_the_examples_of_a_module_hold(name):
    result = doctest.testmod(importlib.import_module(f"engine.training.{name}"))
    assert result.attempted > 0 and result.failed == 0
