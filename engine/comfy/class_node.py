"""A pack's class at work: instances, calls with values as packs know them, and what the class says of itself."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.comfy.convert import ExecutionBlocker, inwards, outwards
from engine.comfy.running import Host, running
from engine.graph.expand import Expand
from engine.graph.node import Node, NodeSpec, Ui
from engine.graph.types import Blocker
from engine.graph.workflow import Link, is_link

MAX_INSTANCES = 1_000  # per class; the ones that were not used for longest go first
Seen = dict[int, tuple[Any, str]]


class ClassNode(Node[..., Any]):
    """A node whose function is a method of a class, with one instance per node id."""

    def __init__(self, spec: NodeSpec, cls: type, host: Host) -> None:
        method = getattr(cls, cls.FUNCTION)  # type: ignore[attr-defined]
        super().__init__(spec, method, lazy=getattr(cls, "check_lazy_status", None), takes_context=True)
        self.cls = cls
        self.host = host
        self.deferred = self.lazy_names | frozenset(  # as in the peer: what a raw link leads to runs first, unless lazy
            each.name for each in spec.inputs if each.raw_link and each.lazy
        )
        self._instances: OrderedDict[str, Any] = OrderedDict()

    def instance(self, node_id: str) -> Any:
        """The instance for a node of the graph; made without arguments when it is first needed."""
        if node_id not in self._instances:
            self._instances[node_id] = self.cls()
            if len(self._instances) > MAX_INSTANCES:
                self._instances.popitem(last=False)
        self._instances.move_to_end(node_id)
        return self._instances[node_id]

    def function_for(self, node_id: str) -> Callable[..., Any]:
        """The method of the node's instance, between Easel's values and the pack's."""
        method = getattr(self.instance(node_id), self.cls.FUNCTION)  # type: ignore[attr-defined]

        def call(context: Any, **arguments: Any) -> Any:
            before = running.set(context)
            try:
                seen: Seen = {}
                return self._results(method(**self._arguments(arguments, seen)), seen)
            finally:
                running.reset(before)  # a context knows its whole job, which would stay as long as this thread idles

        async def call_async(context: Any, **arguments: Any) -> Any:
            before = running.set(context)
            try:
                seen: Seen = {}
                return self._results(await method(**self._arguments(arguments, seen)), seen)
            finally:
                running.reset(before)

        return call_async if self.is_async else call

    def lazy_for(self, node_id: str) -> Callable[..., Any] | None:
        """``check_lazy_status`` of the node's instance."""
        if self.lazy is None:
            return None
        method = self.instance(node_id).check_lazy_status
        return lambda **arguments: method(**self._arguments(arguments, {}))

    def token(self, literals: Mapping[str, Any], links: Iterable[str]) -> object:
        """What ``IS_CHANGED`` says; it gets linked inputs as None. If it fails, the node runs each time."""
        function = getattr(self.cls, "IS_CHANGED", None)
        if function is None:
            return None
        try:
            known = {**literals, **dict.fromkeys(links)}
            value = _await(function(**(_listed(known) if self.spec.whole_lists else _accepted(function, known))))
        except Exception:  # noqa: BLE001 - as in ComfyUI: said in the log, and the node is not held to be unchanged
            traceback.print_exc()
            return float("nan")
        return value if value is None or isinstance(value, str | int | float | bool) else repr(value)

    def complaint(self, literals: Mapping[str, Any], links: Mapping[str, str]) -> str | None:
        """What ``VALIDATE_INPUTS`` finds wrong, or None; it gets linked inputs as None."""
        function = getattr(self.cls, "VALIDATE_INPUTS", None)
        if function is None:
            return None
        known: dict[str, Any] = _accepted(function, {**literals, **dict.fromkeys(links)})
        if "input_types" in inspect.signature(function).parameters:
            known["input_types"] = dict(links)
        answer = _await(function(**known))
        if answer is True:
            return None
        return answer if isinstance(answer, str) else "VALIDATE_INPUTS refused the inputs without saying why"

    # -- values --------------------------------------------------------------------------------------------------

    def _arguments(self, arguments: Mapping[str, Any], seen: Seen) -> dict[str, Any]:
        whole = self.spec.whole_lists
        made: dict[str, Any] = {}
        for name, value in arguments.items():
            if name in self.spec.hidden:
                made[name] = [value] if whole else value
            elif whole and isinstance(value, list):
                made[name] = [_out(each, seen) for each in value]
            else:
                made[name] = _out(value, seen)
        return made

    def _results(self, returned: Any, seen: Seen) -> Any:
        """What the method returned, as Easel's ``Ui``, ``Expand`` or ``Blocker``. Raises TypeError."""
        if isinstance(returned, ExecutionBlocker):
            return Blocker(returned.message)
        ui: Mapping[str, Any] = {}
        expand: Mapping[str, Any] | None = None
        if isinstance(returned, Mapping):
            ui, expand = returned.get("ui") or {}, returned.get("expand")
            returned = returned.get("result", ())
        if isinstance(returned, ExecutionBlocker):
            returned = [returned] * len(self.spec.outputs)
        values = list(returned) if isinstance(returned, tuple | list) else [] if returned is None else [returned]
        if len(values) < len(self.spec.outputs) and (values or not self.spec.output_node):
            wanted = len(self.spec.outputs)
            raise TypeError(f"{self.spec.class_type} returned {len(values)} values; it has {wanted} outputs")
        values += [None] * (len(self.spec.outputs) - len(values))
        linked = expand is not None
        result = tuple(
            self._value(value, output.kind, output.is_list, linked, seen)
            for output, value in zip(self.spec.outputs, values, strict=False)
        )
        if expand is not None:
            return Expand(result, {name: self._inner(entry, seen) for name, entry in expand.items()}, ui)
        return Ui(ui, self._files(ui), result)

    def _value(self, value: Any, kind: str, is_list: bool, linked: bool, seen: Seen) -> Any:
        if linked and is_link(value):
            return Link(value[0], int(value[1]))
        if is_list:
            if isinstance(value, ExecutionBlocker):
                return [Blocker(value.message)]
            if not isinstance(value, list | tuple):
                found = type(value).__name__
                raise TypeError(f"{self.spec.class_type} has a list of {kind} as output; it returned {found}")
            return [inwards(each, kind, seen) for each in value]
        return inwards(value, kind, seen)

    def _inner(self, entry: Mapping[str, Any], seen: Seen) -> Mapping[str, Any]:
        """A node of an expansion; values that were put into it become Easel's, as the node there wants them."""
        impl = self.host.nodes.get(str(entry.get("class_type")))
        kinds = {each.name: each.kind for each in impl.spec.inputs} if impl else {}
        inputs = {
            name: value if is_link(value) else inwards(value, kinds.get(name, "*"), seen)
            for name, value in entry.get("inputs", {}).items()
        }
        return {**entry, "inputs": inputs}

    def _files(self, ui: Mapping[str, Any]) -> tuple[Path, ...]:
        """The files that are shown, so that a later run can tell whether they are still there."""
        found = []
        for entries in ui.values():
            for each in entries if isinstance(entries, list | tuple) else ():
                if isinstance(each, Mapping) and isinstance(each.get("filename"), str):
                    folder = self.host.folders.files_kind(str(each.get("type", "output")))
                    path = folder / str(each.get("subfolder") or "") / each["filename"] if folder else None
                    if path is not None and path.is_file():
                        found.append(path)
        return tuple(found)


def _out(value: Any, seen: Seen) -> Any:
    return [value.node, value.slot] if isinstance(value, Link) else outwards(value, seen)


def _accepted(function: Callable[..., Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the inputs that a function has parameters for."""
    parameters = inspect.signature(function).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return dict(known)
    return {name: value for name, value in known.items() if name in parameters}


def _listed(known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [value] for name, value in known.items()}


def _await(value: Any) -> Any:
    """The result of a function that may be async; called where no loop runs."""
    if not inspect.isawaitable(value):
        return value

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


