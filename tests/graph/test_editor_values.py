"""``widgets_values`` ⇄ names: every rule of order, extras and old habits."""

import pytest

from engine.graph.editor_format import read_editor, write_editor
from engine.graph.node import Files, InputSpec
from engine.graph.workflow import Link, write_api
from tests.graph.editor_files import TXT2IMG_API, file, file_1, node, sampler, txt2img
from tests.graph.specs import SPECS

KSAMPLER = {"seed": 42, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}


def inputs_of(kind, values, slots=(), node_id=1, **more):
    return read_editor(file(node(node_id, kind, values, slots, **more)), SPECS).workflow.nodes[str(node_id)].inputs


def test_the_default_graph_converts_to_its_api_form():
    assert write_api(read_editor(txt2img(), SPECS).workflow) == TXT2IMG_API


def test_the_root_may_be_version_1():
    data = file_1(node(4, "CheckpointLoaderSimple", ["a"], [], "MODEL CLIP VAE"),
                  node(6, "CLIPTextEncode", ["x"], ["clip:CLIP=4.1"]))
    assert read_editor(data, SPECS).workflow.nodes["6"].inputs == {"text": "x", "clip": Link("4", 1)}


@pytest.mark.parametrize("version", [0.4, 0.3, None, "1", True])
def test_every_version_but_1_means_version_04(version):
    assert len(read_editor(txt2img(version=version), SPECS).workflow.nodes) == 7


@pytest.mark.parametrize("control", ["fixed", "increment", "decrement", "randomize", "increment-wrap", True, False])
def test_what_follows_a_seed_says_how_it_changes_and_is_no_value(control):
    assert inputs_of("KSampler", [42, control, 20, 8, "euler", "normal", 1]) == KSAMPLER


def test_a_list_without_control_values_is_read_as_well():
    assert inputs_of("KSampler", [42, 20, 8, "euler", "normal", 1]) == KSAMPLER


def test_the_control_follows_a_seed_in_the_middle_of_the_form():
    values = ["enable", 7, "randomize", 16, 7, "dpmpp_sde", "normal", 0, 4, "enable"]
    assert inputs_of("KSamplerAdvanced", values) == {
        "add_noise": "enable", "noise_seed": 7, "steps": 16, "cfg": 7, "sampler_name": "dpmpp_sde",
        "scheduler": "normal", "start_at_step": 0, "end_at_step": 4, "return_with_leftover_noise": "enable"}


def test_a_seed_has_a_control_by_its_name_alone():
    from tests.graph.specs import spec, whole
    plain = {"Noise": spec("Noise", [whole("seed", 0), whole("count", 1)], "NOISE")}
    found = read_editor(file(node(1, "Noise", [5, "fixed", 9])), plain).workflow.nodes["1"].inputs
    assert found == {"seed": 5, "count": 9}
    old = read_editor(file(node(1, "Noise", [5, True, 9])), plain).workflow.nodes["1"].inputs
    assert old == {"seed": 5, "count": 9}


def test_a_control_is_skipped_where_the_declaration_has_none():
    from tests.graph.specs import spec, whole
    plain = {"Count": spec("Count", [whole("start", 0), whole("stop", 1)], "INT")}
    found = read_editor(file(node(1, "Count", [5, "randomize", 9, "fixed"])), plain).workflow.nodes["1"].inputs
    assert found == {"start": 5, "stop": 9}


def test_required_fields_come_first_then_the_upload_button_then_optional_ones():
    from tests.graph.specs import spec
    mixed = {"Mixed": spec("Mixed", [
        InputSpec("note", "STRING", required=False),
        InputSpec("image", "COMBO", choices=Files("input"), options={"image_upload": True})])}
    for values in (["x.png", "image", "hello"], ["x.png", "hello"]):
        found = read_editor(file(node(1, "Mixed", values)), mixed).workflow.nodes["1"].inputs
        assert found == {"image": "x.png", "note": "hello"}


def test_an_old_boolean_control_in_front_of_a_boolean_field_is_told_by_the_length():
    assert inputs_of("SeededSwitch", [5, True, False, 7]) == {"seed": 5, "on": False, "count": 7}
    assert inputs_of("SeededSwitch", [5, True, 7]) == {"seed": 5, "on": True, "count": 7}


def test_a_boolean_before_the_seed_stays_a_value():
    assert inputs_of("SamplerCustom", [True, 3, "fixed", 7.5]) == {"add_noise": True, "noise_seed": 3, "cfg": 7.5}


@pytest.mark.parametrize("button", ["image", "upload", "choose file to upload", None])
def test_the_upload_button_is_no_value(button):
    assert inputs_of("LoadImage", ["sub/x.png [output]", button]) == {"image": "sub/x.png [output]"}
    assert inputs_of("LoadImageMask", ["x.png", "red", button]) == {"image": "x.png", "channel": "red"}


def test_values_may_be_an_object_by_name():
    found = inputs_of("LatentUpscale", {"width": 64, "upscale_method": "area", "height": 32, "crop": "center",
                                        "preview": {"hidden": True}})
    assert found == {"upscale_method": "area", "width": 64, "height": 32, "crop": "center"}


def test_a_converted_field_keeps_its_place_among_the_values_and_the_link_wins():
    data = file(node(1, "PrimitiveInt", [64, "fixed"], [], "INT"),
                node(2, "LatentUpscale", ["area", 512, 300, "center"], ["samples:LATENT", "width!:INT=1.0"]))
    assert read_editor(data, SPECS).workflow.nodes["2"].inputs == {
        "upscale_method": "area", "width": Link("1", 0), "height": 300, "crop": "center"}


def test_a_converted_field_whose_link_is_cut_shows_its_value_again():
    assert inputs_of("EmptyLatentImage", [64, 32, 2], ["width!:INT"]) == {"width": 64, "height": 32, "batch_size": 2}


def test_old_files_hold_a_dummy_for_an_input_that_comes_by_wire_only():
    assert inputs_of("Keyframes", [-1, 0.1, 0.9, "old"]) == {"start": 0.1, "stop": 0.9, "note": "old"}
    assert inputs_of("Keyframes", [0.1, 0.9, "new"]) == {"start": 0.1, "stop": 0.9, "note": "new"}


def test_values_beyond_the_form_are_ignored():
    assert inputs_of("EmptyLatentImage", [64, 32, 2, 9, "more", {"x": 1}]) == {
        "width": 64, "height": 32, "batch_size": 2}


def test_missing_values_are_the_defaults_and_reported():
    converted = read_editor(file(node(1, "EmptyLatentImage", [64])), SPECS)
    assert converted.workflow.nodes["1"].inputs == {"width": 64, "height": 512, "batch_size": 1}
    assert [str(note) for note in converted.notes] == [
        "node 1 (EmptyLatentImage) height: the file holds no value for 'height'; its default 512 is used",
        "node 1 (EmptyLatentImage) batch_size: the file holds no value for 'batch_size'; its default 1 is used"]


def test_a_missing_value_that_a_link_stands_for_is_not_reported():
    data = file(node(1, "PrimitiveInt", [64, "fixed"], [], "INT"),
                node(2, "EmptyLatentImage", [8, 8], ["batch_size!:INT=1.0"]))
    assert read_editor(data, SPECS).notes == ()


def test_no_file_is_invented_where_the_value_is_missing():
    converted = read_editor(file(node(1, "CheckpointLoaderSimple")), SPECS)
    assert converted.workflow.nodes["1"].inputs == {}
    assert "choose one" in converted.notes[0].message


def test_seeds_keep_all_64_bits():
    assert inputs_of("KSampler", [2**64 - 1, "fixed", 20, 8, "euler", "normal", 1])["seed"] == 2**64 - 1


def test_a_whole_number_written_with_a_point_is_whole():
    found = inputs_of("KSampler", [3.0, "fixed", 20.0, 8.0, "euler", "normal", 1])
    assert found == KSAMPLER | {"seed": 3}
    assert isinstance(found["seed"], int) and isinstance(found["steps"], int)


def test_a_list_as_a_value_is_wrapped_so_that_it_is_no_link():
    workflow = read_editor(file(node(1, "Curve", [["3", 0]])), SPECS).workflow
    assert write_api(workflow)["1"]["inputs"] == {"points": {"__value__": ["3", 0]}}


def test_null_stands_for_no_value():
    assert inputs_of("EmptyLatentImage", [64, None, 2]) == {"width": 64, "batch_size": 2}


def test_titles_become_meta():
    converted = read_editor(file(node(1, "EmptyLatentImage", [8, 8, 1], title="Small")), SPECS)
    assert converted.workflow.nodes["1"].meta == {"title": "Small"}


def test_positions_may_be_objects_with_numbered_keys():
    data = txt2img()
    for each in data["nodes"]:
        each["pos"], each["size"] = {"0": 1.5, "1": 2}, {"0": 200, "1": 100}
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


# -- unknown types -----------------------------------------------------------------------------------------------


def test_an_unknown_type_keeps_its_links_and_is_named():
    data = file(node(4, "CheckpointLoaderSimple", ["a"], [], "MODEL CLIP VAE"),
                node(7, "Sharpen", None, ["model:MODEL=4.0"], "MODEL"),
                sampler(3))
    data["nodes"][2]["inputs"][0]["link"] = 9
    data["links"].append([9, 7, 0, 3, 0, "MODEL"])
    converted = read_editor(data, SPECS)
    assert converted.missing == {"Sharpen": ("7",)}
    assert converted.workflow.nodes["7"].inputs == {"model": Link("4", 0)}
    assert converted.workflow.nodes["3"].inputs["model"] == Link("7", 0)


def test_an_unknown_types_values_are_named_by_its_own_inputs():
    slots = ["image:IMAGE", "seed!:INT", "scale!:FLOAT", "method!:COMBO"]
    assert inputs_of("Sharpen", [2**63, "randomize", 0.5, "fast"], slots) == {
        "seed": 2**63, "scale": 0.5, "method": "fast"}


def test_an_unknown_types_values_that_cannot_be_named_are_reported_not_guessed():
    converted = read_editor(file(node(5, "Sharpen", [1, 2, 3], ["a!:INT"])), SPECS)
    assert converted.workflow.nodes["5"].inputs == {}
    assert "[1, 2, 3]" in str(converted.notes[0]) and converted.notes[0].node == "5"


def test_an_unknown_types_object_of_values_is_kept_whole():
    assert inputs_of("Sharpen", {"a": 1, "b": None, "c": [1, 2]}) == {"a": 1, "b": None, "c": [1, 2]}


# -- writing -----------------------------------------------------------------------------------------------------


def test_values_are_written_in_the_order_of_the_form_with_their_extras():
    written = write_editor(read_editor(txt2img(), SPECS).workflow, SPECS)
    values = {each["id"]: each["widgets_values"] for each in written["nodes"]}
    assert values[3] == [42, "fixed", 20, 8, "euler", "normal", 1]
    assert write_editor(read_editor(file(node(1, "LoadImage", ["x.png"])), SPECS).workflow,
                        SPECS)["nodes"][0]["widgets_values"] == ["x.png", "image"]
