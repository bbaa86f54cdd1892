"""What else a class may say, and a method return: one node for each."""

import time

import comfy.utils
import folder_paths
import torch
from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder
from PIL import Image

from server import PromptServer

calls = []


class Base:
    FUNCTION, CATEGORY, RETURN_TYPES = "run", "fixture/forms", ("INT",)
    inputs = {"required": {"value": ("INT", {"max": 5})}}

    @classmethod
    def INPUT_TYPES(cls):
        return cls.inputs

    def run(self, value, **_):
        calls.append((type(self).__name__, value))
        return (value,)


class Various(Base):
    """Each call of a list returns another form."""

    RETURN_TYPES = ("INT", "STRING")

    def run(self, value):
        graph = GraphBuilder()
        plus = graph.node("Plus", a=value, b=10)
        forms = [
            (value, "tuple"), {"result": (value, "result")},
            {"result": (plus.out(0), "link"), "expand": graph.finalize()},
            {"result": (value, "no link"), "expand": {}},
            {"result": ExecutionBlocker(None)}, {"ui": {"text": ["shown"]}, "result": (value, "shown")},
        ]
        return forms[value]


class Siblings(Base):
    """All calls need the same sum inside."""

    def run(self, value):
        graph = GraphBuilder()
        same = graph.node("Plus", a=40, b=2)
        return {"result": (graph.node("Plus", a=same.out(0), b=value).out(0),), "expand": graph.finalize()}


class Ident(Base):
    """Its id is part of what it is."""

    RETURN_TYPES = ("STRING",)
    inputs = {"required": {}, "hidden": {"me": "UNIQUE_ID"}}

    def run(self, me):
        calls.append(("Ident", me))
        return (me,)


class Recipe(Base):
    """What it is told of the graph is not part of what it is. A node with sockets that is an output node too."""

    RETURN_TYPES, OUTPUT_NODE = ("STRING",), True
    inputs = {"required": {}, "hidden": {"prompt": "PROMPT", "extra": "EXTRA_PNGINFO"}}

    def run(self, prompt, extra):
        calls.append(("Recipe", sorted(prompt)))
        return {"ui": {"text": [str(extra)]}, "result": (" ".join(sorted(prompt)),)}


class PlainFunction(Base):
    """Its INPUT_TYPES is a function without a class."""

    def INPUT_TYPES():
        return {"required": {"value": ("INT",)}}


class StaticFunction(Base):
    @staticmethod
    def INPUT_TYPES():
        return {"required": {"value": ("INT",)}}


class Joined(Base):
    """Called for each pair; what it returns are lists that are put one after the other."""

    RETURN_TYPES, OUTPUT_IS_LIST = ("INT", "STRING"), (True, False)
    inputs = {"required": {"first": ("INT",), "second": ("INT",)}}

    def run(self, first, second):
        calls.append(("Joined", first, second))
        return ([first] * second, f"{first} {second}")


class ValidatesAll(Base):
    inputs = {"required": {"value": ("INT", {"max": 5}), "mode": (["a", "b"],)}}

    @classmethod
    def VALIDATE_INPUTS(cls, **given):
        return True


class Refuses(Base):
    @classmethod
    def VALIDATE_INPUTS(cls, value):
        return False


class FailsToValidate(Base):
    @classmethod
    def VALIDATE_INPUTS(cls, value):
        raise KeyError("a fault of the pack")


class Changed(Base):
    """Depends on the world, and says so; asked asynchronously."""

    world = 1

    @classmethod
    async def IS_CHANGED(cls, value):
        return cls.world


class ChangedList(Base):
    INPUT_IS_LIST = True
    told = []

    @classmethod
    def IS_CHANGED(cls, value):
        cls.told.append(value)
        return "the same"

    def run(self, value):
        return (value[0],)


class FailsToSay(Base):
    @classmethod
    def IS_CHANGED(cls, value):
        raise KeyError("a fault of the pack")


class Dated(Base):
    """Names a file, and says a number of its own besides."""

    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"lora": (folder_paths.get_filename_list("loras"),)}}

    @classmethod
    def IS_CHANGED(cls, lora):
        return 1.5

    def run(self, lora):
        with open(folder_paths.get_full_path_or_raise("loras", lora), "rb") as file:  # noqa: PTH123
            return (str(len(file.read())),)


class Union(Base):
    """A number that is typed in is not converted where two types are allowed."""

    RETURN_TYPES = ("STRING",)
    inputs = {"required": {"value": ("INT,FLOAT",)}}

    def run(self, value):
        return (repr(value),)


class Dynamic(Base):
    """An expansion that sets, takes away and leads elsewhere inputs of its nodes."""

    def run(self, value):
        graph = GraphBuilder("mine.")
        assert graph.node("Plus", "x", a=1, b=1) is graph.node("Plus", "x")
        plus = graph.lookup_node("x")
        plus.set_input("a", value)
        plus.set_input("gone", 3)
        plus.set_input("gone", None)
        assert (plus.get_input("a"), plus.get_input("gone")) == (value, None)
        assert set(graph.finalize()) == {"mine.x"}
        first = GraphBuilder.alloc_prefix()
        assert GraphBuilder.alloc_prefix("r", 3, 4) == "r.3.4."
        GraphBuilder.set_default_prefix("other", 7, 2)
        assert (GraphBuilder().prefix, GraphBuilder().prefix) == ("other.7.2.", "other.7.3.")
        calls.append(("Dynamic", first))
        return {"result": (plus.out(0),), "expand": graph.finalize()}


class Shows(Base):
    """Tells how far it is, with a picture; sends a message where somebody listens."""

    def run(self, value):
        bar = comfy.utils.ProgressBar(10)
        bar.update_absolute(5, 20, ("JPEG", Image.new("RGB", (64, 32), "red"), 16))
        if PromptServer.instance.client_id is not None:
            PromptServer.instance.send_sync("forms.said", {"value": value}, PromptServer.instance.client_id)
            PromptServer.instance.send_progress_text("half", "x")
        return (value,)


class Hangs(Base):
    """Never returns, and never looks whether it should."""

    def run(self, value):
        while True:
            time.sleep(3600)


class Reads(Base):
    RETURN_TYPES = ("STRING",)
    inputs = {"required": {"path": ("STRING",)}}

    def run(self, path):
        tensors, about = comfy.utils.load_torch_file(path, safe_load=True, return_metadata=True)
        assert torch.equal(comfy.utils.load_torch_file(path)["a"], tensors["a"])
        return (f"{tensors['a'].tolist()} {about}",)


NODES = [
    Various, Siblings, Ident, Recipe, PlainFunction, StaticFunction, Joined, ValidatesAll, Refuses, FailsToValidate,
    Changed, ChangedList, Dated, FailsToSay, Union, Dynamic, Shows, Hangs, Reads,
]
