"""Networks without memory: their modules and shapes, on torch's meta device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _Undrawn(TorchFunctionMode):
    """Leaves out what `torch.nn.init` does."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def on_meta() -> Iterator[None]:
    """Modules made inside are on the meta device, and no first weights are drawn.

    There is nothing to draw, but torch imports its compiler to find that out: 1.5 s and 70 MiB.
    """
    with torch.device("meta"), _Undrawn():
        yield
