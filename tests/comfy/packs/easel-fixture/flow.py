"""One node per row of the engine's semantics."""

import asyncio
import itertools

import comfy.utils
from comfy.comfy_types.node_typing import IO, ComfyNodeABC, InputTypeDict
from comfy.model_management import InterruptProcessingException, throw_exception_if_processing_interrupted
from comfy_api.v0_0_2 import ComfyAPI, ComfyAPISync
from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder, is_link

from server import PromptServer

api, api_sync = ComfyAPI(), ComfyAPISync()
draws = itertools.count()
calls = []


class Any(str):
    def __ne__(self, other):
        return False


class Whatever(dict):
    def __contains__(self, key):
        return True


@PromptServer.instance.routes.get("/fixture")
async def route(request):
    return None


class Base:
    FUNCTION, CATEGORY, RETURN_TYPES = "run", "fixture/flow", ("INT",)
    inputs = {}

    @classmethod
    def INPUT_TYPES(cls):
        return cls.inputs


class Options(ComfyNodeABC):
    """What it is for."""

    RETURN_TYPES, RETURN_NAMES, FUNCTION, CATEGORY = (IO.INT, "CUSTOM", IO.ANY), list("123"), "go", "fixture"
    OUTPUT_IS_LIST, OUTPUT_TOOLTIPS, DESCRIPTION = (False, True, False), ("first",), "Described."
    DEPRECATED = EXPERIMENTAL = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypeDict:
        number = {"default": 3, "min": 1, "max": 9, "step": 2, "tooltip": "How many.", "control_after_generate": True}
        return {
            "required": {
                "count": (IO.INT, number), "size": ("FLOAT", {"round": 0.01}), "mode": (["a", "b"],),
                "text": ("STRING", {"multiline": True}), "forced": ("STRING", {"forceInput": True}),
                "union": ("IMAGE,FLOAT",), "any": (Any("THING"),), "new": ("COMBO", {"options": ["x", 1]}),
            },
            "optional": {"raw": ("*", {"rawLink": True}), "later": ("INT", {"lazy": True})},
            "hidden": {"me": "UNIQUE_ID", "iteration": ("INT", {"default": 0})},
        }

    def go(self, **given):
        return (1, [], None)


class Mix(Base):
    inputs = {"required": {"flag": ("BOOLEAN",), "yes": ("INT", {"lazy": True}), "no": ("INT", {"lazy": True})}}

    def check_lazy_status(self, flag, yes=None, no=None):
        name = "yes" if flag else "no"
        return [name] if {"yes": yes, "no": no}[name] is None else []

    def run(self, flag, yes=None, no=None):
        return (yes if flag else no,)


class MixLater(Mix):
    async def check_lazy_status(self, flag, yes=None, no=None):
        await asyncio.sleep(0)
        return ["yes" if flag else "no"]


class Plus(Base):
    inputs = {"required": {"a": ("INT",), "b": ("INT",)}}

    def run(self, a, b):
        calls.append(("Plus", a, b))
        return (a + b,)


class Wait(Base):
    inputs = {"required": {"value": ("INT",)}}

    async def run(self, value):
        await api.execution.set_progress(value=1, max_value=2)
        await asyncio.sleep(0.2)
        return (value,)


class Grow(Base):
    """Two builders in one call; the third result is a plain value."""

    RETURN_TYPES = ("INT", "INT", "STRING")
    inputs = {"required": {"value": ("INT",)}}

    def run(self, value):
        first, second = GraphBuilder(), GraphBuilder()
        plus = first.node("Plus", a=value, b=1)
        named = second.node("Plus", "named", a=plus.out(0), b=10)
        lost = second.node("Plus", "lost", a=0, b=0)
        second.replace_node_output("lost", 0, None)
        second.remove_node("lost")
        assert second.lookup_node("lost") is None
        assert is_link(lost.out(0))
        return {"result": (plus.out(0), named.out(0), "plain"), "expand": {**first.finalize(), **second.finalize()}}


class GrowImage(Base):
    """A tensor is put into an expansion that a core node reads."""

    RETURN_TYPES = ("IMAGE",)
    inputs = {"required": {"image": ("IMAGE",)}}

    def run(self, image):
        graph = GraphBuilder()
        return {"result": (graph.node("ImageInvert", image=image * 0.5).out(0),), "expand": graph.finalize()}


class LoopOpen(Base):
    RETURN_TYPES = ("FLOW", "INT")
    inputs = {"required": {"value": ("INT",)}}

    def run(self, value):
        return ("flow", value)


class LoopClose(Base):
    """While the value is below a limit, the nodes between open and close are run again."""

    inputs = {
        "required": {"flow": ("FLOW", {"rawLink": True}), "value": ("INT",), "below": ("INT",)},
        "hidden": {"graph": "DYNPROMPT", "me": "UNIQUE_ID"},
    }

    def run(self, flow, value, below, graph, me):
        assert is_link(flow)
        if value >= below:
            return (value,)
        body, stack = set(), [me]
        while stack:
            for given in graph.get_node(stack.pop())["inputs"].values():
                if is_link(given) and given[0] not in body:
                    body.add(given[0])
                    stack += [given[0]] if given[0] != flow[0] else []
        builder = GraphBuilder()
        for name in (*body, me):
            builder.node(graph.get_node(name)["class_type"], "again" if name == me else name)
        for name in (*body, me):
            copy = builder.lookup_node("again" if name == me else name)
            for key, given in graph.get_node(name)["inputs"].items():
                inside = is_link(given) and given[0] in body
                copy.set_input(key, builder.lookup_node(given[0]).out(given[1]) if inside else given)
        builder.lookup_node(flow[0]).set_input("value", value)
        return {"result": (builder.lookup_node("again").out(0),), "expand": builder.finalize()}


class Block(Base):
    inputs = {"required": {"value": ("INT",), "message": ("STRING", {"default": ""})}}

    def run(self, value, message):
        return (ExecutionBlocker(message or None) if value % 2 else value,)


class SeeLink(Base):
    RETURN_TYPES = ("STRING",)
    inputs = {
        "required": {"link": ("*", {"rawLink": True})}, "optional": {"later": ("*", {"rawLink": True, "lazy": True})},
    }

    def run(self, link, later=None):
        calls.append(("SeeLink", link, later))
        return (f"{link} {later}",)


class Numbers(Base):
    OUTPUT_IS_LIST = (True,)
    inputs = {"required": {"upto": ("INT",)}}

    def run(self, upto):
        return (list(range(upto)),)


class Total(Base):
    INPUT_IS_LIST = 1
    RETURN_TYPES = ("INT", "STRING")
    inputs = {"required": {"values": ("INT",), "twice": ("BOOLEAN", {"default": False})}, "hidden": {"me": "UNIQUE_ID"}}

    def run(self, values, twice, me):
        return (sum(values) * (2 if twice[0] else 1), me[0])


class Checked(Base):
    inputs = {"required": {"value": ("INT", {"max": 5}), "other": ("INT", {"max": 5}), "link": ("FLOAT",)}}

    @classmethod
    async def VALIDATE_INPUTS(cls, value, link, input_types):
        assert link is None
        return True if value < 100 and input_types == {"link": "INT"} else f"{value} is too much of {input_types}"

    def run(self, value, other, link):
        return (value,)


class Fresh(Base):
    inputs = {"required": {"value": ("INT",)}}

    @classmethod
    def IS_CHANGED(cls, value):
        assert value is None
        return float("nan")

    def run(self, value):
        return (next(draws),)


class Counter(Base):
    inputs = {"required": {"value": ("INT",)}}

    def __init__(self):
        self.times = 0

    def run(self, value):
        self.times += 1
        return (self.times,)


class Show(Base):
    OUTPUT_NODE, RETURN_TYPES = True, ()
    inputs = {"required": {"value": (Any("*"), {})}}

    def run(self, value):
        return {"ui": {"text": [value]}}


class Quiet(Base):
    OUTPUT_NODE, RETURN_TYPES = True, ()
    inputs = {"required": {"value": ("*",)}}

    def run(self, value):
        return None


class Anything(Base):
    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}, "optional": Whatever()}

    def run(self, **given):
        return (" ".join(f"{key}={given[key]}" for key in sorted(given)),)


class Linked(Base):
    RETURN_TYPES = ("STRING",)

    def run(self, **given):
        return (" ".join(f"{key}={given[key]}" for key in sorted(given)),)


class Pass(Base):
    RETURN_TYPES = ("*",)
    inputs = {"required": {"value": ("*",)}}

    def run(self, value):
        return (value,)


class Iterate(Base):
    inputs = {"required": {"value": ("INT",)}, "hidden": {"iteration": ("INT", {"default": 0})}}

    def run(self, value, iteration=0):
        if iteration >= 3:
            return (value,)
        graph = GraphBuilder()
        again = graph.node("Iterate", value=value * 2, iteration=iteration + 1)
        again.set_override_display_id("somewhere")
        return {"result": (again.out(0),), "expand": graph.finalize()}


class Steps(Base):
    inputs = {"required": {"value": ("INT",)}}

    def run(self, value):
        bar = comfy.utils.ProgressBar(value)
        for _ in range(value):
            throw_exception_if_processing_interrupted()
            bar.update(1)
        api_sync.execution.set_progress(value=1, max_value=1)
        PromptServer.instance.send_sync("fixture.said", {"value": value})
        return (value,)


class Stop(Base):
    inputs = {"required": {"value": ("INT",)}}

    def run(self, value):
        raise InterruptProcessingException


NODES = [
    Options, Mix, MixLater, Plus, Wait, Grow, GrowImage, LoopOpen, LoopClose, Block, SeeLink, Numbers, Total, Checked,
    Fresh, Counter, Show, Quiet, Anything, Linked, Pass, Iterate, Steps, Stop,
]
