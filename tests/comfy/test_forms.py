"""What a pack's class may say and its method return: a row of the protocol each."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.graph.problems import WorkflowError
from engine.messages.events import Failed, NodeMessage, NodeProgress, NodeShown, Succeeded
from engine.runtime.calls import find_complaints
from engine.runtime.tasks import Job
from tests.comfy.support import graph_of, previews, run, shows
from tests.runtime.toolbox import started


@pytest.fixture
def forms(packs: Any) -> Any:
    module = sys.modules["custom_nodes.easel-fixture.forms"]
    module.calls.clear()
    packs[1].traces.clear()
    packs[1].cache.clear()
    return module


def test_each_call_of_a_list_may_return_another_form(packs: Any, forms: Any) -> None:
    workflow = {
        "n": ("Numbers", {"upto": 6}), "x": ("Various", {"value": ["n", 0]}), "o": ("Show", {"value": ["x", 0]}),
        "p": ("Show", {"value": ["x", 1]}),
    }
    ending, _ = run(packs, workflow)
    assert isinstance(ending, Succeeded), ending
    assert ending.outputs["o"] == {"text": [0, 1, 12, 3, 5]}
    assert ending.outputs["p"] == {"text": ["tuple", "result", "link", "no link", "shown"]}


def test_sibling_calls_share_what_they_both_expand_to(packs: Any, forms: Any) -> None:
    flow = sys.modules["custom_nodes.easel-fixture.flow"]
    flow.calls.clear()
    ending, _ = run(packs, {"n": ("Numbers", {"upto": 3}), **shows("Siblings", value=["n", 0])})
    assert ending.outputs == {"out": {"text": [42, 43, 44]}}
    assert flow.calls.count(("Plus", 40, 2)) == 1


def test_a_node_that_is_told_its_id_has_it_in_its_key(packs: Any, forms: Any) -> None:
    def two(*names: str) -> dict[str, Any]:
        return {
            **{name: ("Ident", {}) for name in names},
            **{f"show {name}": ("Show", {"value": [name, 0]}) for name in names},
        }

    ending, _ = run(packs, two("a", "b"))
    assert ending.outputs == {"show a": {"text": ["a"]}, "show b": {"text": ["b"]}}
    assert started(run(packs, two("a", "b"))[1]) == []
    assert "c" in started(run(packs, two("a", "c"))[1])
    assert [name for kind, name in forms.calls if kind == "Ident"] == ["a", "b", "c"]


def test_the_recipe_is_told_and_is_in_no_key_and_an_output_node_may_have_sockets(packs: Any, forms: Any) -> None:
    workflow = {"x": ("Recipe", {}), "o": ("Show", {"value": ["x", 0]})}
    for extra in ({"workflow": 1}, {"workflow": 2}):
        job = Job("job", graph_of(packs, workflow), prompt={"x": {}, "o": {}}, extra=extra)
        ending, _ = run(packs, workflow, job)
        assert ending.outputs == {"x": {"text": ["{'workflow': 1}"]}, "o": {"text": ["o x"]}}
    assert forms.calls == [("Recipe", ["o", "x"])]


@pytest.mark.parametrize("kind", ["PlainFunction", "StaticFunction"])
def test_input_types_may_be_a_plain_function_on_the_class(packs: Any, forms: Any, kind: str) -> None:
    assert run(packs, shows(kind, value=3))[0].outputs == {"out": {"text": [3]}}


def test_the_shorter_list_repeats_its_last_and_lists_are_joined(packs: Any, forms: Any) -> None:
    workflow = {
        "three": ("Numbers", {"upto": 3}), "two": ("Numbers", {"upto": 2}),
        "x": ("Joined", {"first": ["three", 0], "second": ["two", 0]}), "o": ("Show", {"value": ["x", 0]}),
        "p": ("Show", {"value": ["x", 1]}),
    }
    assert run(packs, workflow)[0].outputs == {"o": {"text": [1, 2]}, "p": {"text": ["0 0", "1 1", "2 1"]}}
    assert forms.calls == [("Joined", 0, 0), ("Joined", 1, 1), ("Joined", 2, 1)]


def test_a_class_may_check_all_of_its_inputs_itself(packs: Any, forms: Any) -> None:
    assert run(packs, shows("ValidatesAll", value=50, mode="neither"))[0].outputs == {"out": {"text": [50]}}
    with pytest.raises(WorkflowError, match="above the largest"):
        run(packs, shows("Changed", value=50))


@pytest.mark.parametrize(("kind", "said"), [
    ("Refuses", "refused the inputs without saying why"), ("FailsToValidate", "a fault of the pack"),
])  # fmt: skip
def test_a_check_that_says_no_or_fails_is_told_of_its_node(packs: Any, forms: Any, kind: str, said: str) -> None:
    workflow = {**shows(kind, value=3), "n": ("Numbers", {"upto": 1}), "other": ("Show", {"value": ["n", 0]})}
    ((node, complaint),) = find_complaints(graph_of(packs, workflow), packs[1].nodes)
    assert node.id == "x" and said in str(complaint)
    assert isinstance(complaint, KeyError) == (kind == "FailsToValidate")
    ending, _ = run(packs, workflow)
    assert isinstance(ending, Failed) and ending.node == "x" and said in ending.message


def test_a_class_that_says_what_it_depends_on_runs_when_that_changes(packs: Any, forms: Any) -> None:
    run(packs, shows("Changed", value=1))
    assert started(run(packs, shows("Changed", value=1))[1]) == []
    forms.Changed.world += 1
    ending, events = run(packs, shows("Changed", value=1))
    assert started(events) == ["x"], "what it makes is the same, so the change stops there"
    assert [each.cause for each in ending.reports if each.node == "x"] == ["world"]


def test_one_that_takes_lists_is_asked_with_lists_and_one_that_fails_runs_each_time(packs: Any, forms: Any) -> None:
    assert run(packs, shows("ChangedList", value=4))[0].outputs == {"out": {"text": [4]}}
    assert forms.ChangedList.told[-1] == [4]
    assert started(run(packs, shows("ChangedList", value=4))[1]) == []
    for _ in range(2):
        assert "x" in started(run(packs, shows("FailsToSay", value=1))[1])


def test_a_number_stays_as_it_is_where_two_types_are_allowed(packs: Any, forms: Any) -> None:
    for value in (3, 3.5):
        assert run(packs, shows("Union", value=value))[0].outputs == {"out": {"text": [repr(value)]}}
    assert run(packs, shows("PlainFunction", value="3"))[0].outputs == {"out": {"text": [3]}}, "INT is converted"


def test_builders_set_take_away_and_number_as_the_peers_do(packs: Any, forms: Any) -> None:
    ending, events = run(packs, shows("Dynamic", value=5))
    assert isinstance(ending, Succeeded), ending
    assert ending.outputs == {"out": {"text": [6]}}
    assert forms.calls == [("Dynamic", "x.0.0.")] and any("mine.x" in name for name in started(events))


def test_a_pack_tells_progress_with_a_picture_and_sends_messages_to_whoever_listens(packs: Any, forms: Any) -> None:
    from server import PromptServer  # the packs' own, while they are on

    previews.clear()
    ending, events = run(packs, shows("Shows", value=1))
    assert isinstance(ending, Succeeded), ending
    assert [(each.value, each.maximum) for each in events if isinstance(each, NodeProgress)] == [(5, 20)]
    (jpeg,) = previews
    with Image.open(BytesIO(jpeg)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (16, 8))
    assert [each.event for each in events if isinstance(each, NodeMessage)] == ["forms.said", "progress_text"]
    assert PromptServer.instance.client_id is None, "nobody is written to while no node runs"
    assert not [each for each in events if isinstance(each, NodeShown) and each.node == "x"]


def test_nothing_keeps_a_job_that_has_ended(packs: Any, forms: Any) -> None:
    """A context knows its job, and with it the whole graph: the thread that ran a pack's node must forget it."""
    workflow = shows("Shows", value=2)
    job = Job("ended", graph_of(packs, workflow))
    known = weakref.ref(job)
    assert isinstance(run(packs, workflow, job)[0], Succeeded)
    del job
    for _ in range(100):  # until the thread has left the node
        gc.collect()
        if known() is None:
            break
        time.sleep(0.05)
    assert known() is None


def test_packs_read_weights_and_what_is_written_about_them(packs: Any, forms: Any, tmp_path: Path) -> None:
    save_file({"a": torch.tensor([1.0, 2.0])}, tmp_path / "w.safetensors", metadata={"made": "here"})
    ending, _ = run(packs, shows("Reads", path=str(tmp_path / "w.safetensors")))
    assert ending.outputs == {"out": {"text": ["[1.0, 2.0] {'made': 'here'}"]}}


SURFACE = {
    "comfy_execution.graph_utils": ("GraphBuilder", "is_link"), "comfy_execution.graph": ("ExecutionBlocker",),
    "comfy.utils": ("ProgressBar", "common_upscale", "load_torch_file"),
    "comfy.comfy_types": ("IO", "ComfyNodeABC", "InputTypeDict"),
    "comfy.comfy_types.node_typing": ("IO", "ComfyNodeABC", "InputTypeDict"),
    "comfy_api.v0_0_2": ("ComfyAPI", "ComfyAPISync"),
    "comfy.model_management": (
        "get_torch_device", "intermediate_device", "throw_exception_if_processing_interrupted", "soft_empty_cache",
        "InterruptProcessingException",
    ),
    "folder_paths": (
        "get_filename_list", "get_full_path", "get_full_path_or_raise", "get_folder_paths", "add_model_folder_path",
        "get_input_directory", "get_output_directory", "get_temp_directory", "get_annotated_filepath",
        "get_save_image_path", "models_dir", "base_path",
    ),
    "nodes": ("MAX_RESOLUTION", "NODE_CLASS_MAPPINGS", "KSampler", "VAEDecode", "CLIPTextEncode", "SaveImage"),
    "server": ("PromptServer",),
}


@pytest.mark.parametrize("module", SURFACE)
def test_what_packs_import_is_there(packs: Any, module: str) -> None:
    found = sys.modules[module]
    assert not [name for name in SURFACE[module] if not hasattr(found, name)]


def test_what_packs_ask_of_the_machine_is_answered(packs: Any) -> None:
    management, paths = sys.modules["comfy.model_management"], sys.modules["folder_paths"]
    assert management.get_torch_device() == management.intermediate_device() == torch.device("cpu")
    management.soft_empty_cache()
    management.throw_exception_if_processing_interrupted()
    for name in ("input", "output", "temp"):
        assert Path(getattr(paths, f"get_{name}_directory")()).name == name
    assert Path(paths.get_folder_paths("checkpoints")[0]) == Path(paths.models_dir) / "checkpoints"
    assert (Path(paths.base_path) / "server.py").is_file()
