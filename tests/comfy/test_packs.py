"""Node packs written for ComfyUI, driven through the executor: fixture packs of our own, in ``packs/``."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.comfy.convert import PAIRS, inwards, outwards
from engine.comfy.facades import ClipFacade, ModelFacade, UnsupportedError, VaeFacade
from engine.diffusion.guidance import Area, AreaPart, Condition
from engine.diffusion.sampling import seed_noise
from engine.graph.problems import WorkflowError
from engine.graph.schema import object_info
from engine.graph.types import Clip, Conditioning, Image, Latent, Mask, Model, Noise, Vae
from engine.messages.events import Failed, Interrupted, NodeBlocked, NodeMessage, NodeProgress, NodeShown, Succeeded
from engine.messages.protocol import Pack
from tests.comfy.support import HERE, MODEL, given, run, shows
from tests.runtime.toolbox import started


def test_packs_load_and_one_that_fails_is_reported_with_its_traceback(packs: Any) -> None:
    loaded, _ = packs
    assert {"Options", "Plus", "Single", "TouchImage"} <= set(loaded.nodes)
    assert loaded.nodes["Plus"].spec.module == "custom_nodes.easel-fixture"
    assert set(loaded.failures) == {
        "custom_nodes.broken", "custom_nodes.single.WithoutFunction", "custom_nodes.single.EmptyImage",
    }
    assert "No module named 'nothing_of_that_name'" in loaded.failures["custom_nodes.broken"]
    assert "broken/__init__.py" in loaded.failures["custom_nodes.broken"]
    assert "EmptyImage already" in loaded.failures["custom_nodes.single.EmptyImage"]
    folder = (HERE / "easel-fixture").resolve()
    assert loaded.folders == [Pack("easel-fixture", str(folder), str(folder / "web"))]


def test_a_class_becomes_the_protocols_description(packs: Any) -> None:
    info = object_info(packs[0].nodes["Options"].spec, lambda folder: [])
    required = info["input"]["required"]
    assert required["count"] == ["INT", {
        "default": 3, "min": 1, "max": 9, "step": 2, "tooltip": "How many.", "control_after_generate": True,
    }]
    assert required["size"] == ["FLOAT", {"round": 0.01}]
    assert (required["mode"], required["new"]) == ([["a", "b"]], [["x", 1]])
    assert required["text"] == ["STRING", {"multiline": True}]
    assert required["forced"] == ["STRING", {"forceInput": True}]
    assert (required["union"], required["any"]) == (["IMAGE,FLOAT"], ["*"])
    assert info["input"]["optional"] == {"raw": ["*", {"rawLink": True}], "later": ["INT", {"lazy": True}]}
    assert info["input"]["hidden"] == {"me": "UNIQUE_ID", "iteration": ["INT", {"default": 0}]}
    assert (info["output"], info["output_name"]) == (["INT", "CUSTOM", "*"], ["1", "2", "3"])
    assert (info["output_is_list"], info["output_tooltips"]) == ([False, True, False], ["first", "", ""])
    assert (info["deprecated"], info["experimental"], info["description"]) == (True, True, "Described.")
    assert (info["display_name"], info["python_module"]) == ("All the options", "custom_nodes.easel-fixture")


@pytest.mark.parametrize("kind", ["Mix", "MixLater"])
@pytest.mark.parametrize("flag", [True, False])
def test_lazy_inputs(packs: Any, kind: str, flag: bool) -> None:
    workflow = {
        "y": ("Plus", {"a": 1, "b": 1}), "n": ("Plus", {"a": 2, "b": 2}),
        **shows(kind, flag=flag, yes=["y", 0], no=["n", 0]),
    }
    packs[1].traces.clear()
    ending, events = run(packs, workflow)
    assert ending.outputs == {"out": {"text": [2 if flag else 4]}}
    assert ("y" in started(events), "n" in started(events)) == (flag, not flag)
    assert started(run(packs, workflow)[1]) == []


def test_async_nodes_run_side_by_side_and_report_progress(packs: Any) -> None:
    workflow: dict[str, Any] = {}
    for index in range(5):
        workflow[f"w{index}"] = ("Wait", {"value": index})
        workflow[f"o{index}"] = ("Show", {"value": [f"w{index}", 0]})
    ending, events = run(packs, workflow)
    told = [(type(each).__name__, each.node) for each in events if getattr(each, "node", "").startswith("w")]
    first_end = next(place for place, (name, _) in enumerate(told) if name == "NodeFinished")
    assert {node for name, node in told[:first_end] if name == "NodeProgress"} == {f"w{index}" for index in range(5)}
    assert ending.outputs == {f"o{index}": {"text": [index]} for index in range(5)}
    assert {each.node for each in events if isinstance(each, NodeProgress)} == {f"w{index}" for index in range(5)}


@pytest.mark.parametrize(("slot", "value"), [(0, 6), (1, 16), (2, "plain")])
def test_graph_builders_make_expansions_with_the_same_ids_each_time(packs: Any, slot: int, value: Any) -> None:
    for _ in range(2):
        packs[1].traces.clear()
        ending, events = run(packs, shows("Grow", slot, value=5))
        assert ending.outputs == {"out": {"text": [value]}}
        assert set(started(events)) >= {"x", "x.0.0.1", "x.0.1.named"}


def test_a_tensor_in_an_expansion_reaches_a_core_node(packs: Any) -> None:
    given["value"] = Image(torch.ones(1, 2, 2, 3))
    workflow = {
        "i": ("MakeImage", {}), "g": ("GrowImage", {"image": ["i", 0]}), "o": ("LookImage", {"value": ["g", 0]}),
    }
    assert isinstance(run(packs, workflow)[0], Succeeded)
    assert torch.equal(given["seen"].pixels, torch.full((1, 2, 2, 3), 0.5))


def test_a_loop_of_raw_links_and_the_dynamic_prompt(packs: Any) -> None:
    """open → ×(+3) → close, until the value is 20 or more; a change inside the loop is noticed."""
    def loop(step: int) -> dict[str, Any]:
        return {
            "open": ("LoopOpen", {"value": 0}), "body": ("Plus", {"a": ["open", 1], "b": step}),
            "close": ("LoopClose", {"flow": ["open", 0], "value": ["body", 0], "below": 20}),
            "out": ("Show", {"value": ["close", 0]}),
        }

    assert run(packs, loop(3))[0].outputs == {"out": {"text": [21]}}
    assert started(run(packs, loop(3))[1]) == []
    assert run(packs, loop(7))[0].outputs == {"out": {"text": [21]}}
    assert run(packs, loop(8))[0].outputs == {"out": {"text": [24]}}


def test_hidden_inputs_with_a_type_are_filled_by_expansions(packs: Any) -> None:
    ending, _ = run(packs, shows("Iterate", value=1))
    assert ending.outputs == {"out": {"text": [8]}}
    displays = {each.display for each in ending.reports if each.parent == "x"}
    assert displays == {"somewhere"}


def test_blockers_in_lists_and_with_messages(packs: Any) -> None:
    workflow = {"n": ("Numbers", {"upto": 4}), **shows("Block", value=["n", 0], message="odd one")}
    ending, events = run(packs, workflow)
    assert ending.outputs == {"out": {"text": [0, 2]}}
    assert [each.message for each in events if isinstance(each, NodeBlocked)] == ["odd one"]


def test_whole_lists_come_with_every_input_as_a_list(packs: Any) -> None:
    workflow = {
        "n": ("Numbers", {"upto": 4}), "t": ("Total", {"values": ["n", 0], "twice": True}),
        "o": ("Show", {"value": ["t", 0]}), "p": ("Show", {"value": ["t", 1]}),
    }
    assert run(packs, workflow)[0].outputs == {"o": {"text": [12]}, "p": {"text": ["t"]}}


def test_validate_inputs_takes_over_what_it_names(packs: Any) -> None:
    workflow = {"a": ("Plus", {"a": 1, "b": 0}), **shows("Checked", value=50, other=2, link=["a", 0])}
    assert run(packs, workflow)[0].outputs == {"out": {"text": [50]}}
    ending, _ = run(packs, {**workflow, "x": ("Checked", {"value": 500, "other": 2, "link": ["a", 0]})})
    assert isinstance(ending, Failed)
    assert (ending.node, ending.message) == ("x", "500 is too much of {'link': 'INT'}")
    with pytest.raises(WorkflowError, match="above the largest"):
        run(packs, {**workflow, "x": ("Checked", {"value": 50, "other": 9, "link": ["a", 0]})})


def test_what_a_raw_link_leads_to_runs_first_unless_it_is_lazy(packs: Any) -> None:
    workflow = {
        "a": ("Plus", {"a": 71, "b": 0}), "b": ("Plus", {"a": 72, "b": 0}),
        **shows("SeeLink", link=["a", 0], later=["b", 0]),
    }
    ending, events = run(packs, workflow)
    assert ending.outputs == {"out": {"text": ["['a', 0] ['b', 0]"]}}
    assert started(events) == ["a", "x", "out"]


def test_is_changed_may_be_nan_and_gets_links_as_none(packs: Any) -> None:
    workflow = {"a": ("Plus", {"a": 1, "b": 0}), **shows("Fresh", value=["a", 0])}
    first, second = run(packs, workflow)[0], run(packs, workflow)[0]
    assert first.outputs["out"] != second.outputs["out"]


def test_a_node_keeps_one_instance_per_id(packs: Any) -> None:
    workflow = {"x": ("Counter", {"value": 1}), "y": ("Counter", {"value": 2}), "o": ("Show", {"value": ["x", 0]}),
                "p": ("Show", {"value": ["y", 0]})}
    assert run(packs, workflow)[0].outputs == {"o": {"text": [1]}, "p": {"text": [1]}}
    again = {**workflow, "x": ("Counter", {"value": 3})}
    assert run(packs, again)[0].outputs == {"o": {"text": [2]}, "p": {"text": [1]}}


def test_undeclared_inputs(packs: Any) -> None:
    one = {"a": ("Plus", {"a": 1, "b": 1})}
    assert run(packs, {**one, **shows("Linked", p=["a", 0], q=5)})[0].outputs == {"out": {"text": ["p=2"]}}
    assert run(packs, {**one, **shows("Anything", p=["a", 0], q=5)})[0].outputs == {"out": {"text": ["p=2 q=5"]}}


def test_output_nodes_without_anything_to_show_are_not_shown(packs: Any) -> None:
    workflow = {"a": ("Plus", {"a": 1, "b": 1}), "q": ("Quiet", {"value": ["a", 0]})}
    ending, events = run(packs, workflow)
    assert ending.outputs == {}
    assert not [each for each in events if isinstance(each, NodeShown)]
    assert started(run(packs, workflow)[1]) == []


def test_a_value_keeps_its_type_through_a_node_that_takes_anything(packs: Any) -> None:
    given["value"] = Latent(torch.ones(1, 4, 2, 2), extra={"x": 1})
    workflow = {"i": ("MakeLatent", {}), "p": ("Pass", {"value": ["i", 0]}), "o": ("LookLatent", {"value": ["p", 0]})}
    assert isinstance(run(packs, workflow)[0], Succeeded)
    assert isinstance(given["seen"], Latent)
    assert given["seen"].extra == {"x": 1}


def test_progress_messages_and_stopping(packs: Any) -> None:
    ending, events = run(packs, shows("Steps", value=3))
    assert ending.outputs == {"out": {"text": [3]}}
    assert [(each.value, each.maximum) for each in events if isinstance(each, NodeProgress)] == [
        (1, 3), (2, 3), (3, 3), (1, 1),
    ]
    said = next(each for each in events if isinstance(each, NodeMessage))
    assert (said.event, said.data) == ("fixture.said", {"value": 3})
    assert isinstance(run(packs, shows("Stop", value=1))[0], Interrupted)


def test_a_pack_may_save_files_and_runs_again_when_they_are_gone(packs: Any) -> None:
    workflow = {"i": ("EmptyImage", {"width": 16, "height": 16, "batch_size": 1, "color": 0}),
                "s": ("Save", {"images": ["i", 0]})}
    ending, _ = run(packs, workflow)
    entry = ending.outputs["s"]["images"][0]
    assert entry == {"filename": "name_00001_.txt", "subfolder": "deep", "type": "output"}
    assert started(run(packs, workflow)[1]) == []
    host = packs[0].nodes["Save"].host
    (host.folders.output / "deep" / "name_00001_.txt").unlink()
    assert "s" in started(run(packs, workflow)[1])


def test_core_classes_can_be_called_from_a_pack(packs: Any) -> None:
    given["value"] = Image(torch.full((1, 2, 2, 3), 0.25))
    workflow = {"i": ("MakeImage", {}), "u": ("UseCore", {"image": ["i", 0]}), "o": ("LookImage", {"value": ["u", 0]}),
                "m": ("Show", {"value": ["u", 1]})}
    assert run(packs, workflow)[0].outputs["m"] == {"text": [16384]}
    assert torch.equal(given["seen"].pixels, torch.full((1, 2, 2, 3), 0.75))


@pytest.mark.parametrize(("kind", "value"), [
    (Image, Image(torch.ones(2, 8, 8, 3))), (Mask, Mask(torch.ones(2, 8, 8))),
    (Latent, Latent(torch.zeros(1, 4, 2, 2), torch.ones(1, 1, 16, 16), extra={"theirs": 1})),
    (Conditioning, Conditioning((Condition(torch.ones(1, 77, 8), torch.ones(1, 8), extra={"theirs": 1}),))),
    (Model, MODEL),
])
def test_a_pack_node_sits_between_core_nodes_for_each_type(packs: Any, kind: Any, value: Any) -> None:
    given["value"] = value
    name = kind.socket.title()
    workflow = {
        "make": (f"Make{name}", {}), "touch": (f"Touch{name}", {"value": ["make", 0]}),
        "look": (f"Look{name}", {"value": ["touch", 0]}),
    }
    ending, _ = run(packs, workflow)
    assert isinstance(ending, Succeeded), ending.message
    seen = given["seen"]
    assert type(seen) is kind
    checks: dict[Any, Any] = {
        Image: lambda: seen.pixels.shape == (2, 4, 4, 3) and float(seen.pixels.max()) == 0.5,
        Mask: lambda: float(seen.values.max()) == 0,
        Latent: lambda: (
            float(seen.samples.min()) == 1 and seen.extra == {"theirs": 1, "mine": "kept"}
            and seen.batch_index == (3,) and seen.noise_mask.shape == (1, 1, 16, 16)
        ),
        Conditioning: lambda: (
            seen.entries[0].strength == 0.5 and seen.entries[0].area == Area(8, 8, 0, 0)
            and seen.entries[0].extra == {"theirs": 1, "mine": 7}
        ),
        Model: lambda: seen is value,
    }
    assert checks[kind]()


@pytest.mark.parametrize(("kind", "said"), [
    ("TouchPatched", "add_object_patch"), ("TouchOptioned", "something_new"),
])
def test_what_the_engine_cannot_do_for_a_pack_is_said(packs: Any, kind: str, said: str) -> None:
    given["value"] = MODEL
    workflow = {"i": ("MakeModel", {}), "p": (kind, {"value": ["i", 0]}), "o": ("LookModel", {"value": ["p", 0]})}
    ending, _ = run(packs, workflow)
    assert isinstance(ending, Failed)
    assert ending.node == "p"
    assert said in ending.message


def test_conversion_there_and_back_changes_nothing() -> None:
    condition = Condition(
        torch.ones(1, 77, 8), torch.ones(1, 8), area=AreaPart(0.5, 0.5, 0.0, 0.25), strength=0.7,
        mask=torch.ones(1, 4, 4),
        mask_strength=0.3, set_area_to_bounds=True, start_percent=0.1, end_percent=0.9, extra={"unknown": [1]},
    )
    there = outwards(Conditioning((condition,)))
    assert there[0][1]["area"] == ("percentage", 0.5, 0.5, 0.0, 0.25)
    assert "start_percent" not in outwards(Conditioning((Condition(torch.ones(1)),)))[0][1]
    back = inwards(there, "CONDITIONING").entries[0]
    for name in condition.__dataclass_fields__:
        assert getattr(back, name) is getattr(condition, name) or getattr(back, name) == getattr(condition, name)


@pytest.mark.parametrize("socket", sorted(PAIRS))
def test_a_wrong_value_names_the_type_that_was_wanted(socket: str) -> None:
    with pytest.raises(TypeError, match=socket):
        inwards(object(), socket)


def test_noise_and_sigmas_at_the_border() -> None:
    latent = {"samples": torch.zeros(2, 4, 8, 8)}
    seen = outwards(Noise(7))
    assert seen.seed == 7
    assert torch.equal(seen.generate_noise(latent), seed_noise(latent["samples"], 7))
    assert not outwards(Noise(7, silent=True)).generate_noise(latent).any()
    assert inwards(seen, "NOISE") == Noise(7)

    class Flat:
        seed = 3

        def generate_noise(self, latent: dict[str, Any]) -> torch.Tensor:
            return torch.full_like(latent["samples"], 0.25)

    made = inwards(Flat(), "NOISE")
    assert made.seed == 3
    assert torch.equal(made.make(Latent(latent["samples"])), torch.full((2, 4, 8, 8), 0.25))
    assert torch.equal(outwards(made).generate_noise(latent), torch.full((2, 4, 8, 8), 0.25))
    sigmas = torch.tensor([2.0, 0.0])
    assert torch.equal(outwards(inwards(sigmas, "SIGMAS")), sigmas)
    with pytest.raises(TypeError, match="a SIGMAS is a tensor of one row"):
        inwards(torch.zeros(2, 2), "SIGMAS")
    with pytest.raises(TypeError, match="a NOISE has generate_noise"):
        inwards(5, "NOISE")


def test_clip_and_vae_facades(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.comfy import facades
    from engine.comfy.running import running

    clip: Any = Clip(None, SimpleNamespace(text=None))  # type: ignore[arg-type]
    facade = outwards(clip)
    assert isinstance(facade, ClipFacade)
    copy = facade.clone()
    copy.clip_layer(-2)
    assert (facade.value_of(copy).stop_at, facade.value_of(facade).stop_at) == (-2, None)
    layers: list[Any] = []

    def encode(encoder: Any, tokenizer: Any, text: str, config: Any, layer: Any) -> Any:
        layers.append((encoder, text, layer))
        return SimpleNamespace(states=torch.ones(1, 77, 4), pooled=torch.ones(1, 4))

    monkeypatch.setattr(facades, "encode", encode)
    token = running.set(SimpleNamespace(
        text_encoder=lambda clip: "encoder", decode=lambda vae, samples: (vae, samples.shape)
    ))
    try:
        states, pooled = copy.encode_from_tokens(copy.tokenize("a cat"), return_pooled=True)
        assert (states.shape, pooled.shape) == ((1, 77, 4), (1, 4))
        assert layers == [("encoder", "a cat", 2)]
        scheduled = copy.encode_from_tokens_scheduled(copy.tokenize("a cat"), add_dict={"mine": 1})
        assert sorted(scheduled[0][1]) == ["mine", "pooled_output"]
        vae: Any = Vae(None, None)  # type: ignore[arg-type]
        assert VaeFacade(vae).decode(torch.ones(1, 4, 2, 2)) == (vae, (1, 4, 2, 2))
    finally:
        running.reset(token)
    with pytest.raises(UnsupportedError, match="tokenize"):
        copy.encode_from_tokens({"l": [[1]]})
    with pytest.raises(UnsupportedError, match="get_sd"):
        VaeFacade(vae).get_sd()
    with pytest.raises(RuntimeError, match="inside a node"):
        VaeFacade(vae).encode(torch.ones(1, 8, 8, 3))
    assert isinstance(outwards(MODEL), ModelFacade)


def test_types_that_take_anything_compare_as_packs_expect(packs: Any) -> None:
    from comfy.comfy_types import IO  # type: ignore[import-not-found]

    assert not (IO.ANY != "LATENT")  # noqa: SIM202 - the operator that packs use
    assert not (IO.NUMBER != "INT")  # noqa: SIM202
    assert IO.IMAGE != "LATENT"
    assert IO.IMAGE == "IMAGE"
    assert f"{IO.PRIMITIVE}" == "STRING,FLOAT,INT,BOOLEAN"


def test_folder_paths_find_what_the_engine_finds(packs: Any, tmp_path: Path) -> None:
    import folder_paths  # type: ignore[import-not-found]

    (tmp_path / "thing.safetensors").write_bytes(b"")
    folder_paths.add_model_folder_path("things", str(tmp_path))
    assert folder_paths.get_filename_list("things") == ["thing.safetensors"]
    assert folder_paths.get_full_path("things", "thing.safetensors") == str(tmp_path / "thing.safetensors")
    assert folder_paths.get_full_path("things", "none") is None
    with pytest.raises(FileNotFoundError, match="none"):
        folder_paths.get_full_path_or_raise("things", "none")
    out = folder_paths.get_output_directory()
    assert folder_paths.get_annotated_filepath("a.png [output]") == str(Path(out) / "a.png")
    with pytest.raises(ValueError, match="out of the output folder"):
        folder_paths.get_save_image_path("../../x", out)


def test_files_that_a_pack_offers_are_listed_anew_by_the_server(packs: Any) -> None:
    """A list that the pack has changed is the pack's own and stays as it was."""
    spec = packs[0].nodes["PickFiles"].spec
    info = object_info(spec, lambda folder: [f"new in {folder}"])["input"]["required"]
    assert info["lora"][0] == ["new in loras"]
    assert info["image"] == [["new in input"], {"image_upload": True}]
    assert info["or_none"][0] == ["None"]


def test_files_in_folders_that_a_pack_has_added_are_its_own(packs: Any, tmp_path: Path) -> None:
    import folder_paths

    (tmp_path / "x.safetensors").write_bytes(b"")
    folder_paths.add_model_folder_path("upscale_models", str(tmp_path))
    assert type(folder_paths.get_filename_list("upscale_models")) is list
    assert "x.safetensors" in folder_paths.get_filename_list("upscale_models")
