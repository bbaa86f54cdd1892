"""What happens when memory runs out: free what is idle and try again, then go down the ladder of plans.

An evaluation that runs out of memory leaves the sampler where it waits for the answer, so only the evaluation is made
again (`guarded`); anything else starts its node anew, which the executor does. Either way the same `Relief` of the node
says what comes next, and remembers what was done for the job's record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.guidance import Call, Network
from engine.runtime.device.budget import Plan, lower, write_plan

WORDS = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "failed to allocate")


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS)


class Relief:
    """How one node goes on after memory ran out.

    free: lets go of all that is idle, and gives the bytes. plan: what the node works by at present. done: what was
    done, in words.
    """

    def __init__(self, free: Callable[[], int]) -> None:
        self.plan: Plan | None = None
        self.done: list[str] = []
        self.rows = 1  # that the node would have go through a network at once
        self.autoencoder = False  # whether tiles are a way out
        self._free = free
        self._freed = False  # since the plan last changed

    def helps(self, error: BaseException) -> bool:
        """Whether the error is about memory and there is something left to do about it."""
        return ran_out(error) and (not self._freed or self._lower() is not None)

    def step(self, where: str) -> None:
        """Do the next thing: free what is idle; after that, change the plan."""
        freed = self._free()
        if self._freed:
            self.plan = self._lower() or self.plan
            assert self.plan is not None
            self.done.append(f"memory ran out {where}: went on with {write_plan(self.plan)}")
        else:
            self.done.append(f"memory ran out {where}: freed {freed} bytes and tried again")
        self._freed = True

    def _lower(self) -> Plan | None:
        return lower(self.plan or Plan(), autoencoder=self.autoencoder, rows=self.rows)


def guarded(make: Callable[[], Network], relief: Relief, changed: Callable[[], None]) -> Network:
    """A network whose calls are made again, by the plan that then holds, when memory runs out.

    make: the network by the present plan. changed: called when another one holds.
    """
    network: Network | None = None

    def answer(calls: Sequence[Call]) -> list[Tensor]:
        nonlocal network
        while True:
            kept = [_keep(call) for call in calls[:1]]
            try:
                if network is None:
                    network = make()
                return list(network(calls))
            except Exception as error:
                if not relief.helps(error):
                    raise
            network = None  # here the error is gone, and with it all that its frames held on to
            for restore in kept:
                restore()
            relief.step("in an evaluation")
            changed()

    return answer


def _keep(call: Call) -> Callable[[], None]:
    """A function that puts back what patches of a call's run remember and what its generator has drawn."""
    run: Any = call.run
    if run is None:
        return lambda: None
    memory, state = dict(run.memory), run.generator.get_state()

    def restore() -> None:
        run.memory.clear()
        run.memory.update(memory)
        run.generator.set_state(state)

    return restore
