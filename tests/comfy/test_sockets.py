"""A pack's node on every wire of a socket type, between core nodes: what comes out is the same, bit for bit."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.files.folders import make_folders
from engine.graph.graph import resolve
from engine.graph.node import Ui, node
from engine.graph.types import SOCKETS, Sampler
from engine.graph.workflow import is_link, read_api
from engine.messages.events import Failed, Succeeded
from engine.runtime.cache import ValueCache
from engine.runtime.execute import execute
from engine.runtime.settings import Settings
from engine.runtime.tasks import Job
from engine.runtime.traces import Traces
from engine.runtime.worker import Engine
from tests.adapters.graphs import GRAPHS as ADAPTERS
from tests.adapters.graphs import graph, write_models
from tests.presets import write_bright_checker
from tests.served import ROOT

HERE = Path(__file__).parent / "packs"
PLAIN = (str, int, float, bool)
kept: dict[str, Any] = {}


@node("Keep", category="test", changed=lambda **_: float("nan"))
def keep(*, value: Any) -> Ui:
    kept["value"] = value
    return Ui({"text": ["kept"]})


CUSTOM = graph(
    **{
        "5": ("SamplerCustomAdvanced", {"noise": ["n", 0], "guider": ["g", 0], "sampler": ["k", 0], "sigmas": ["s", 0],
                                        "latent_image": ["4", 0]}),
        "n": ("RandomNoise", {"noise_seed": 7}), "k": ("KSamplerSelect", {"sampler_name": "euler"}),
        "g": ("CFGGuider", {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "cfg": 3.0}),
        "s": ("BasicScheduler", {"model": ["1", 0], "scheduler": "normal", "steps": 1, "denoise": 1.0}),
    },
)  # fmt: skip
MASKED = graph(
    sampler={"latent_image": ["8", 0], "positive": ["10", 0], "steps": 1},
    **{
        "m": ("SolidMask", {"value": 0.5, "width": 64, "height": 64}), "half": ("PrimitiveFloat", {"value": 0.5}),
        "8": ("SetLatentNoiseMask", {"samples": ["4", 0], "mask": ["m", 0]}),
        "9": ("ConditioningTimestepsRange", {"start_percent": 0.0, "end_percent": ["half", 0]}),
        "10": ("ConditioningSetProperties", {"cond_NEW": ["2", 0], "strength": 1.0, "set_cond_area": "default",
                                             "timesteps": ["9", 0]}),
    },
)  # fmt: skip
PICTURES = {
    "e": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0xF0A050}},
    "u": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "x2.safetensors"}},
    "up": {"class_type": "ImageUpscaleWithModel", "inputs": {"upscale_model": ["u", 0], "image": ["e", 0]}},
    "d": {"class_type": "DepthModelLoader", "inputs": {"depth_model": "estimator.safetensors"}},
    "depth": {"class_type": "EstimateDepth", "inputs": {"depth_model": ["d", 0], "image": ["up", 0]}},
    "b": {"class_type": "ImageBatch", "inputs": {"image1": ["up", 0], "image2": ["depth", 0]}},
    "c": {"class_type": "SafetyCheckerLoader", "inputs": {"checker": "c.safetensors"}},
    "check": {"class_type": "SafetyCheck", "inputs": {"safety_checker": ["c", 0], "image": ["b", 0],
                                                      "action": "blur"}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["check", 0], "filename_prefix": "p"}},
}  # fmt: skip
OPERATED = graph(
    sampler={"latent_image": ["9", 0], "model": ["10", 0], "steps": 1},
    **{
        "8": ("LatentOperationTonemapReinhard", {"multiplier": 1.0}),
        "9": ("LatentApplyOperation", {"samples": ["4", 0], "operation": ["8", 0]}),
        "10": ("LatentApplyOperationCFG", {"model": ["1", 0], "operation": ["8", 0]}),
    },
)
BRANCHED = graph(
    sampler={"steps": ["number", 0], "cfg": ["half", 0]},
    **{
        "2": ("CLIPTextEncode", {"text": ["words", 0], "clip": ["1", 1]}),
        "number": ("PrimitiveInt", {"value": 1}), "half": ("PrimitiveFloat", {"value": 2.5}),
        "words": ("LazyIf", {"condition": ["yes", 0], "then": ["said", 0], "otherwise": ["number", 0]}),
        "yes": ("PrimitiveBoolean", {"value": True}), "said": ("PrimitiveString", {"value": "a red cube"}),
    },
)
SHORT = {name: copy.deepcopy(ADAPTERS[name]) for name in ("controlnet", "gligen", "style", "hook")}
for each in SHORT.values():
    each["5"]["inputs"]["steps"] = 1
GRAPHS: Mapping[str, Any] = {
    **SHORT, "custom": CUSTOM, "masked": MASKED, "pictures": PICTURES, "operated": OPERATED, "branched": BRANCHED,
}
WHERE: Mapping[str, tuple[str, ...]] = {
    "IMAGE": ("pictures",), "MASK": ("masked",), "LATENT": ("custom", "masked"),
    "CONDITIONING": ("controlnet", "gligen", "hook", "masked"), "MODEL": ("custom", "operated"), "CLIP": ("gligen",),
    "VAE": ("custom",), "CLIP_VISION": ("style",), "CLIP_VISION_OUTPUT": ("style",), "STYLE_MODEL": ("style",),
    "CONTROL_NET": ("controlnet",), "GLIGEN": ("gligen",), "HOOKS": ("hook",), "HOOK_KEYFRAMES": ("hook",),
    "TIMESTEPS_RANGE": ("masked",), "LATENT_OPERATION": ("operated",), "UPSCALE_MODEL": ("pictures",),
    "DEPTH_MODEL": ("pictures",), "SAFETY_CHECKER": ("pictures",), "NOISE": ("custom",), "GUIDER": ("custom",),
    "SAMPLER": ("custom",), "SIGMAS": ("custom",), "INT": ("branched",), "FLOAT": ("branched",),
    "STRING": ("branched",), "BOOLEAN": ("branched",), "*": ("branched", "custom", "hook"),
}
CASES = [
    pytest.param(kind, name, marks=[pytest.mark.full] if name in SHORT else []) for kind, names in WHERE.items()
    for name in names
]
plain: dict[str, torch.Tensor] = {}


def test_every_socket_type_is_in_the_table() -> None:
    assert frozenset(WHERE) == SOCKETS - {"LOOP"} | {"INT", "FLOAT", "STRING", "BOOLEAN", "*"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("models")
    write_models(root)
    write_bright_checker(root / "safety_checkers" / "c.safetensors")
    for folder in ("upscale_models", "depth_models"):
        (root / folder).symlink_to(ROOT / "models" / "starter" / folder)
    folders = make_folders(data=tmp_path_factory.mktemp("data"), models=root)
    made = Engine(Settings(folders, cpu=True, precision="fp32", threads=1, packs=(HERE,)))
    yield made
    made.close()


def run(engine: Engine, workflow: Mapping[str, Any]) -> Any:
    """Carry out a workflow with nothing remembered; gives its ending. ``kept`` has what came to its end."""
    nodes = {**engine.machine.nodes, "Keep": keep}
    api = copy.deepcopy(dict(workflow))
    if "7" in api:
        api["7"] = {"class_type": "Keep", "inputs": {"value": api["7"]["inputs"]["images"]}}
    graph = resolve(read_api(api), {name: each.spec for name, each in nodes.items()}, engine.folders,
                    all_or_nothing=True).graph  # fmt: skip
    kept.clear()
    machine = replace(engine.machine, nodes=nodes, cache=ValueCache(0), traces=Traces())
    return execute(Job("job", graph), machine, lambda event: None)


def with_relays(engine: Engine, workflow: Mapping[str, Any], kind: str) -> tuple[dict[str, Any], int]:
    """A workflow with a pack's node on each wire of a type, and how many there are; ``*`` goes on every wire."""
    made: dict[str, Any] = copy.deepcopy(dict(workflow))
    count = 0
    for name, each in workflow.items():
        for key, value in each["inputs"].items():
            if not is_link(value):
                continue
            source = engine.registry.nodes[workflow[value[0]]["class_type"]].spec.outputs[value[1]].kind
            if kind in (source, "*"):
                relay = f"Relay{'Anything' if kind == '*' else kind}"
                made[f"r{count}"] = {"class_type": relay, "inputs": {"value": value}}
                made[name]["inputs"][key] = [f"r{count}", 0]
                count += 1
    return made, count


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_pack_node_between_core_nodes_changes_no_bit(engine: Engine, kind: str, name: str) -> None:
    if name not in plain:
        assert isinstance(run(engine, GRAPHS[name]), Succeeded)
        plain[name] = kept["value"].pixels
    workflow, wires = with_relays(engine, GRAPHS[name], kind)
    passed = sys.modules["custom_nodes.easel-fixture.relays"].passed
    passed.clear()
    ending = run(engine, workflow)
    assert isinstance(ending, Succeeded), ending
    equal = {each.node for each in ending.reports if (each.state, each.cause) == ("reused", "equal")}
    asked = {each.node for each in ending.reports}  # a branch that is not chosen is not made
    relays = {each for each in asked if workflow[each]["class_type"].startswith("Relay")}
    assert wires and passed[kind] == len(relays - equal) > 0
    assert torch.equal(kept["value"].pixels, plain[name])


def test_a_pack_may_choose_one_of_a_core_nodes_choices(engine: Engine) -> None:
    for chosen in ("euler", "heun"):
        ending = run(engine, {
            "r": {"class_type": "RelayCOMBO", "inputs": {"value": chosen}},
            "k": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": ["r", 0]}},
            "out": {"class_type": "Keep", "inputs": {"value": ["k", 0]}},
        })
        assert isinstance(ending, Succeeded), ending
        assert kept["value"] == Sampler(chosen)


def test_a_file_that_a_pack_names_counts_besides_what_the_pack_says_itself(engine: Engine) -> None:
    file = engine.folders.models["loras"][0] / "dated.safetensors"
    workflow = {
        "x": {"class_type": "Dated", "inputs": {"lora": file.name}},
        "out": {"class_type": "PreviewAny", "inputs": {"source": ["x", 0]}},
    }
    for size in (3, 5):
        file.write_bytes(b"." * size)
        graph = resolve(read_api(workflow), engine.registry.specs, engine.folders).graph
        for state in ("ran", "reused"):
            ending = execute(Job("job", graph), engine.machine, lambda event: None)
            assert isinstance(ending, Succeeded), ending
            assert ending.outputs["out"]["text"] == [str(size)]
            assert {each.node: each.state for each in ending.reports}["x"] == state


LATENTS: Mapping[str, Mapping[str, Any]] = {
    "KSampler": {**ADAPTERS["plain"]["5"]["inputs"], "steps": 1, "latent_image": ["mark", 0]},
    "LatentUpscaleBy": {"samples": ["mark", 0], "upscale_method": "nearest-exact", "scale_by": 2.0},
    "SetLatentNoiseMask": {"samples": ["mark", 0], "mask": ["m", 0]},
    "LatentComposite": {"samples_to": ["mark", 0], "samples_from": ["4", 0], "x": 0, "y": 0, "feather": 0},
    "LatentBatch": {"samples1": ["mark", 0], "samples2": ["4", 0]}, "LatentFlip": {
        "samples": ["mark", 0], "flip_method": "x-axis: vertically"},
    "RepeatLatentBatch": {"samples": ["mark", 0], "amount": 2},
    "LatentMultiply": {"samples": ["mark", 0], "multiplier": 2.0},
}  # fmt: skip
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "ConditioningSetArea": {"conditioning": ["mark", 1], "width": 64, "height": 64, "x": 0, "y": 0, "strength": 1.0},
    "ConditioningSetMask": {"conditioning": ["mark", 1], "mask": ["m", 0], "strength": 1.0,
                            "set_cond_area": "default"},
    "ConditioningSetTimestepRange": {"conditioning": ["mark", 1], "start": 0.0, "end": 0.5},
    "ConditioningCombine": {"conditioning_1": ["mark", 1], "conditioning_2": ["mark", 1]},
    "ConditioningConcat": {"conditioning_to": ["mark", 1], "conditioning_from": ["3", 0]},
    "ConditioningAverage": {"conditioning_to": ["mark", 1], "conditioning_from": ["3", 0],
                            "conditioning_to_strength": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("core", [*LATENTS, *CONDITIONS])
def test_keys_that_core_nodes_do_not_know_go_through_them(engine: Engine, core: str) -> None:
    kind = "latent" if core in LATENTS else "conditioning"
    workflow = {name: ADAPTERS["plain"][name] for name in "1234"} | {
        "m": {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 64, "height": 64}},
        "mark": {"class_type": "Mark", "inputs": {"latent": ["4", 0], "conditioning": ["2", 0]}},
        "core": {"class_type": core, "inputs": {**LATENTS, **CONDITIONS}[core]},
        "out": {"class_type": "Marked", "inputs": {kind: ["core", 0]}},
    }
    ending = run(engine, workflow)
    assert isinstance(ending, Succeeded), ending
    text = ending.outputs["out"]["text"]
    assert text == ["kept"] if kind == "latent" else (text[0] is None and set(text[1:]) == {7})


def test_a_loop_leads_straight_from_its_beginning_to_its_end(engine: Engine) -> None:
    """A wire of LOOP says what is between begin and end, so nothing may stand on it: that is said, not guessed."""
    workflow = {
        "list": {"class_type": "NumberList", "inputs": {"start": 1, "stop": 4, "step": 1}},
        "begin": {"class_type": "ForEach", "inputs": {"items": ["list", 0]}},
        "r": {"class_type": "RelayAnything", "inputs": {"value": ["begin", 0]}},
        "end": {"class_type": "ForEachEnd", "inputs": {"loop": ["r", 0], "value": ["begin", 1]}},
        "out": {"class_type": "PreviewAny", "inputs": {"source": ["end", 0]}},
    }
    ending = run(engine, workflow)
    assert isinstance(ending, Failed)
    assert ending.node == "end" and "RelayAnything" in ending.message and "For Each" in ending.message
