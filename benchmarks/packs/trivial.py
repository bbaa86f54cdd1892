"""Trivial nodes as a pack, so that any server that takes such packs can be measured with the same graphs."""

from __future__ import annotations

from typing import Any


class TrivialNumber:
    """A number."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("INT",), "run", "benchmark"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """Take one number."""
        return {"required": {"value": ("INT", {"default": 0})}}

    def run(self, value: int) -> tuple[int]:
        """Give it."""
        return (value,)


class TrivialAdd:
    """The sum of two numbers."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("INT",), "run", "benchmark"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """Take two numbers."""
        return {"required": {"a": ("INT", {"default": 0}), "b": ("INT", {"default": 0})}}

    def run(self, a: int, b: int) -> tuple[int]:
        """Add them."""
        return ((a + b) % 2**31,)


class TrivialSum:
    """The sum of all that is linked to it."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("INT",), "run", "benchmark"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """Take any number of numbers, by undeclared links."""
        return {"required": {}}

    def run(self, **values: int) -> tuple[int]:
        """Add them."""
        return (sum(values.values()) % 2**31,)


class TrivialShow:
    """Shows a number."""

    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "run", "benchmark", True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """Take one number."""
        return {"required": {"value": ("INT", {"forceInput": True})}}

    def run(self, value: int) -> dict[str, Any]:
        """Show it."""
        return {"ui": {"text": [str(value)]}}


NODE_CLASS_MAPPINGS = {each.__name__: each for each in (TrivialNumber, TrivialAdd, TrivialSum, TrivialShow)}
