"""A stand-in for CUDA graphs: operations are written down once and done again on the same memory.

Like a graph, it knows nothing of Python: what the network's code decides anew at each call, a tape does not notice.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from engine.diffusion.replay import Recorded


class Tape(TorchDispatchMode):
    """What is done while it is the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        self.done.append((function, args, kwargs or {}, result))
        return result

    def play(self, answer: Tensor) -> None:
        """Do all of it again; what comes out is written where it came out the first time."""
        made: dict[int, Tensor] = {}

        def now(value: Any) -> Any:
            return made.get(id(value), value) if isinstance(value, Tensor) else value

        for function, args, kwargs, result in self.done:
            again = function(*tree_map(now, args), **tree_map(now, kwargs))
            pairs = zip(tree_flatten(result)[0], tree_flatten(again)[0], strict=True)
            made |= {id(old): new for old, new in pairs if isinstance(old, Tensor)}
        answer.copy_(made[id(answer)])


def record(run: Callable[[], Tensor]) -> Recorded:
    """A recorder of `Replays`; each recording takes 1000 bytes."""
    run()
    tape = Tape()
    with torch.no_grad(), tape:
        answer = run()
    return Recorded(answer, lambda: tape.play(answer), 1000)
