"""What would become of each node if a graph ran now: the executor's first look-up, with nothing run after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.messages.events import Event
from engine.messages.protocol import Prediction
from engine.runtime.demand import Demand
from engine.runtime.reasons import GONE_VALUE
from engine.runtime.tasks import Job, Machine, State, Task


def foretell(job: Job, machine: Machine) -> list[Prediction]:
    """A prediction for each node of the graph, in its order; nothing is run, told or remembered.

    ``runs`` is certain as long as the world stays as it is. ``depends``: if what runs above makes what it made before,
    or a lazy input is not asked for, the node need not run. Raises NodeError if a node cannot say what it depends on.
    """
    foresight = _Foresight(job, machine)
    foresight.add_graph(job.graph.nodes, job.graph.targets)
    order = list(foresight.tasks.values())
    foresight.sweep(order)
    runs = {task for task in order if task.state is State.WAITING and task.signature is not None}
    for task in reversed(order):  # what runs needs values, which may have to be made again though they are known
        if task in runs:
            for name in foresight.demanded(task) - task.impl.raw:
                source = foresight.tasks[task.node.links[name].node]
                if source.state is State.REUSED and foresight.place(source) == "trace":
                    runs.add(source)
    made = [_prediction(task, task in runs) for task in order]
    foresight.dissolve()
    return made


def _prediction(task: Task, runs: bool) -> Prediction:
    if runs:
        reason = GONE_VALUE if task.state is State.REUSED else task.why
        return Prediction(task.node.id, "runs", reason.cause, reason.text, reason.inputs)
    if task.state is State.REUSED:
        return Prediction(task.node.id, "reused", task.source)
    return Prediction(task.node.id, "depends")


class _Foresight(Demand):
    """The state of a job that only looks."""

    def tell(self, event: Event) -> None:
        """Nobody is told."""

    def note(self, task: Task, signed: bytes) -> None:
        """Nothing is remembered."""

    def ask_lazy_later(self, task: Task, calls: list[dict[str, Any]], function: Callable[..., Any]) -> None:
        """Nothing is asked."""

    def conclude(self, task: Task) -> None:
        """Nothing is made."""
