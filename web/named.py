"""The inputs of a workflow by the names that people use: prompt, seed, steps, width and others.

They are found by following the links from the sampler; a workflow may name its own in ``extra.easel.inputs`` of the
editor's file, as ``{"mood": "6.text"}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.graph.workflow import Link, Workflow

Target = tuple[str, str]  # node id, input

# From a sampler: name → the input of its own that holds the value.
OF_SAMPLER = {
    "seed": ("seed", "noise_seed"), "steps": ("steps",), "cfg": ("cfg",), "sampler_name": ("sampler_name",),
    "scheduler": ("scheduler",), "denoise": ("denoise",),
}
# name → the sampler's input to follow, and the input to look for on the way up.
ABOVE = {
    "prompt": ("positive", "text"), "negative": ("negative", "text"), "checkpoint": ("model", "ckpt_name"),
    "width": ("latent_image", "width"), "height": ("latent_image", "height"),
    "batch_size": ("latent_image", "batch_size"), "image": ("latent_image", "image"),
    "clip_skip": ("positive", "stop_at_clip_layer"),
}


def named_inputs(workflow: Workflow, saved: Any = None) -> dict[str, Target]:
    """The named inputs of a workflow; ``saved`` is the editor's file that it was read from, if it was."""
    found: dict[str, Target] = {}
    sampler = _first_sampler(workflow)
    if sampler is not None:
        for name, choices in OF_SAMPLER.items():
            targets = (_value(workflow, sampler, each) for each in choices)
            if (target := next((each for each in targets if each), None)) is not None:
                found[name] = target
        for name, (start, wanted) in ABOVE.items():
            targets = (_value(workflow, node, wanted) for node in above(workflow, sampler, start))
            if (target := next((each for each in targets if each), None)) is not None:
                found[name] = target
    return {**found, **_declared(workflow, saved)}


def above(workflow: Workflow, node: str, name: str) -> Iterator[str]:
    """The nodes that an input of a node is made of, nearest first."""
    link = workflow.nodes[node].inputs.get(name)
    waiting = [link.node] if isinstance(link, Link) else []
    seen: set[str] = set()
    while waiting:
        each = waiting.pop(0)
        if each in seen or each not in workflow.nodes:
            continue
        seen.add(each)
        yield each
        waiting += [value.node for value in workflow.nodes[each].inputs.values() if isinstance(value, Link)]


def _first_sampler(workflow: Workflow) -> str | None:
    """The sampler that starts from no other's latent."""
    samplers = [name for name, node in workflow.nodes.items()
                if isinstance(node.inputs.get("positive"), Link) and "latent_image" in node.inputs]
    for name in samplers:
        if not any(each in samplers for each in above(workflow, name, "latent_image")):
            return name
    return None


def _value(workflow: Workflow, node: str, name: str) -> Target | None:
    """Where an input's value is typed in: at the node, or at the primitive that it is linked to."""
    value = workflow.nodes[node].inputs.get(name)
    for _ in range(10):
        if not isinstance(value, Link):
            return (node, name) if value is not None else None
        node, name = value.node, "value"
        value = workflow.nodes[node].inputs.get(name) if node in workflow.nodes else None
    return None


def _declared(workflow: Workflow, saved: Any) -> dict[str, Target]:
    data = saved
    for key in ("extra", "easel", "inputs"):
        data = data.get(key) if isinstance(data, Mapping) else None
    found: dict[str, Target] = {}
    for name, place in data.items() if isinstance(data, Mapping) else ():
        node, _, wanted = str(place).rpartition(".")
        if node in workflow.nodes and wanted in workflow.nodes[node].inputs:
            found[str(name)] = (node, wanted)
    return found
