"""Sweeps: what is made anew, what is shared, and the sheet; prompts from files."""

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

from engine.diffusion.pictures.grid import sheet
from engine.graph.sweep import NO_AXIS, Axis, axis_of, vary
from engine.graph.types import Image
from engine.graph.workflow import Link
from engine.messages.events import Failed, NodeStarted, Succeeded
from nodes.sweeps import picture_sheet, prompts_from_file


class Fixed:
    """A graph that is given: id → (class, inputs)."""

    def __init__(self, **nodes):
        self.nodes = {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}

    def has_node(self, node_id):
        return node_id in self.nodes

    def get_node(self, node_id):
        return self.nodes[node_id]

    def all_node_ids(self):
        return set(self.nodes)


def diamond():
    """a → b → d and a → c → d: x changes b, y changes c."""
    return Fixed(
        a=("A", {"value": 1}), b=("B", {"value": 2, "of": ["a", 0]}), c=("C", {"value": 0.5, "of": ["a", 0]}),
        d=("D", {"left": ["b", 0], "right": ["c", 1], "text": "t"}), other=("E", {"switch": True}),
    )  # fmt: skip


# -- axes --------------------------------------------------------------------------------------------------------


def test_values_are_read_as_what_the_input_holds():
    graph = diamond()
    assert axis_of(graph, "x", "b.value", "1\n 20 \n\n-3") == Axis("b", "value", (1, 20, -3))
    assert axis_of(graph, "x", "c.value", "1\n2.5").values == (1.0, 2.5)
    assert axis_of(graph, "x", " d.text ", "a red cube\nb").values == ("a red cube", "b")
    assert axis_of(graph, "x", "other.switch", "yes\nFalse").values == (True, False)
    assert axis_of(graph, "y", "", "") == NO_AXIS
    assert axis_of(graph, "x", "b.value", "1\n2").labels == ["value 1", "value 2"]
    assert NO_AXIS.labels == [""]


def test_names_with_dots_are_found():
    graph = Fixed(**{"1.2": ("A", {"blocks.0.": 1.0})})
    assert axis_of(graph, "x", "1.2.blocks.0.", "2") == Axis("1.2", "blocks.0.", (2.0,))


@pytest.mark.parametrize(("place", "values", "message"), [
    ("b.value", "1\nfew", r"x_values, line 2: 'few' is no whole number, as b.value wants"),
    ("c.value", "x", r"x_values, line 1: 'x' is no number, as c.value wants"),
    ("c.value", "1\nnan", r"x_values, line 2: 'nan' is no number, as c.value wants"),
    ("other.switch", "perhaps", r"line 1: 'perhaps' is no yes or no, as other.switch wants"),
    ("b.valeu", "1", r"x: node b has no input 'valeu'; did you mean 'value'"),
    ("d.left", "1", r"x: input left of node d is linked to node b; vary an input of that one"),
    ("value", "1", r"x is 'value'; wanted is NODE.INPUT, such as 5.cfg"),
    ("9.value", "1", r"x is '9.value'; wanted is NODE.INPUT"),
    ("b.value", "  \n", r"x_values are empty; write the values of b.value"),
    ("", "1", r"x_values are given, but x is empty"),
])  # fmt: skip
def test_what_cannot_be_varied_is_refused(place, values, message):
    with pytest.raises(ValueError, match=message):
        axis_of(diamond(), "x", place, values)


def test_each_node_is_made_once_for_what_it_depends_on():
    cells, made = vary(diamond(), Link("d", 0), Axis("b", "value", (1, 2, 3)), Axis("c", "value", (0.1, 0.2)))
    kinds = [entry["class_type"] for entry in made.nodes.values()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"B": 3, "C": 2, "D": 6}
    assert len(cells) == 6
    last = made.nodes[cells[-1].node]["inputs"]
    assert last["text"] == "t"
    assert made.nodes[last["left"].node]["inputs"] == {"value": 3, "of": Link("a", 0)}
    assert made.nodes[last["right"].node]["inputs"] == {"value": 0.2, "of": Link("a", 0)}
    assert last["right"].slot == 1


def test_new_ids_are_no_old_ones():
    graph = Fixed(variation1=("A", {"value": 1}), z=("B", {"of": ["variation1", 0]}))
    _, made = vary(graph, Link("z", 0), Axis("variation1", "value", (1, 2)), NO_AXIS)
    assert not made.nodes.keys() & graph.nodes.keys()


def test_both_inputs_may_be_of_one_node():
    cells, made = vary(diamond(), Link("d", 0), Axis("d", "text", ("p", "q")), Axis("d", "left", (1,)))
    assert [made.nodes[cell.node]["inputs"]["text"] for cell in cells] == ["p", "q"]
    assert all(made.nodes[cell.node]["inputs"]["left"] == 1 for cell in cells)


def test_an_input_that_changes_nothing_is_refused():
    with pytest.raises(ValueError, match="y: node other does not lead to the picture"):
        vary(diamond(), Link("d", 0), NO_AXIS, Axis("other", "switch", (True,)))
    with pytest.raises(ValueError, match=r"x and y are both b\.value"):
        vary(diamond(), Link("d", 0), Axis("b", "value", (1,)), Axis("b", "value", (2,)))


# -- sheets ------------------------------------------------------------------------------------------------------


def grey(value, height=4, width=6, batch=1):
    return torch.full((batch, height, width, 3), value)


def test_pictures_stand_in_rows_and_columns():
    made = sheet([[grey(0.1), grey(0.2)], [grey(0.3), grey(0.4)]], ["", ""], ["", ""], letters=24, gap=2)
    assert made.shape == (1, 4 + 2 + 4, 6 + 2 + 6, 3)
    assert [float(made[0, y, x, 0]) for y in (0, 9) for x in (0, 13)] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert made[0, 4:6].min() == made[0, :, 6:8].min() == 1, "paper between"


def test_labels_are_written_above_and_before():
    made = sheet([[grey(0.5, 40, 120)] * 2] * 2, ["cfg 3", "cfg 5"], ["a", "b"], letters=16, gap=4)
    head = 32
    side = made.shape[2] - 120 * 2 - 4
    assert made.shape[1] == head + 40 * 2 + 4
    assert 0 < side <= 120
    first, second = made[0, :head, side : side + 120], made[0, :head, side + 124 :]
    assert first.min() < 0.3, "ink"
    assert not torch.equal(first, second), "3 is not 5"
    assert made[0, head : head + 40, :side].min() < 0.3
    assert torch.equal(made[0, head : head + 40, side : side + 120], grey(0.5, 40, 120)[0])
    bare = sheet([[grey(0.5, 40, 120)] * 2] * 2, ["cfg 3", "cfg 5"], ["a", "b"], letters=0, gap=4)
    assert bare.shape == (1, 84, 244, 3)


def test_a_label_that_is_too_long_is_cut_off():
    long = sheet([[grey(0.5, 20, 60)]], ["a very long prompt about many things " * 9], [""], letters=12, gap=0)
    assert long.shape == (1, 24 + 20, 60, 3)
    assert long[0, :24, -2:].min() == 1, "it ends before the edge"


def test_pictures_of_other_sizes_and_depths_stand_in_the_middle():
    small = torch.cat([grey(0.0, 2, 2), torch.ones(1, 2, 2, 1)], dim=-1)
    made = sheet([[grey(0.5), small]], ["", ""], [""], letters=0, gap=0)
    assert made[0, :, 6:, 0].tolist() == [[1] * 6, [1, 1, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1], [1] * 6]


def test_batches_make_a_sheet_for_each_of_their_pictures():
    two = torch.cat([grey(0.1), grey(0.2)])
    made = sheet([[two, grey(0.5)]], ["", ""], [""], letters=0, gap=0)
    assert made[:, 0, 0, 0].tolist() == pytest.approx([0.1, 0.2])
    assert made[:, 0, -1, 0].tolist() == [0.5, 0.5]


def test_linked_pictures_are_ordered_by_their_numbers():
    cells = {f"cell_{number}": Image(grey(number / 20)) for number in reversed(range(12))}
    plot = picture_sheet(columns=["c"] * 12, rows=["r"], letters=0, gap=0, **cells)
    assert plot.grid.pixels[0, 0, ::6, 0].tolist() == pytest.approx([number / 20 for number in range(12)])
    assert len(plot.images) == 12
    typed = picture_sheet(columns="c\n" * 12, letters=0, gap=0, **cells)
    assert torch.equal(typed.grid.pixels, plot.grid.pixels)
    with pytest.raises(ValueError, match="12 pictures are linked and there are places for 5 × 1"):
        picture_sheet(columns=["c"] * 5, rows=["r"], **cells)


# -- whole -------------------------------------------------------------------------------------------------------


def pixels_of(bench, ending, node):
    files = ending.outputs[node]["images"]
    return [np.asarray(Pictures.open(bench.folders.output / each["filename"])) for each in files]


def colours(**plot):
    """1 is a picture of one colour, 2 makes it wider, 3 is the plot, 4 keeps the sheet and 5 the pictures."""
    return {
        "1": ("EmptyImage", {"width": 8, "height": 8, "batch_size": 1, "color": 0}),
        "2": ("ImageScale", {"image": ["1", 0], "upscale_method": "nearest-exact", "width": 16, "height": 8,
                             "crop": "disabled"}),
        "3": ("XYPlot", {"image": ["2", 0], "x": "1.color", "x_values": "255\n65280", "y": "2.width",
                         "y_values": "8\n16\n24", "letters": 0, "gap": 0, **plot}),
        "4": ("SaveImage", {"images": ["3", 0], "filename_prefix": "sheet"}),
        "5": ("SaveImage", {"images": ["3", 1], "filename_prefix": "cell"}),
    }  # fmt: skip


def test_a_plot_varies_two_inputs_of_the_graph_that_is_run(bench):
    ending, events = bench.run(colours())
    assert isinstance(ending, Succeeded), ending
    (page,) = pixels_of(bench, ending, "4")
    assert page.shape == (24, 48, 3)
    assert page[4, 12].tolist() == [0, 0, 255]
    assert page[20, 40].tolist() == [0, 255, 0]
    cells = pixels_of(bench, ending, "5")
    assert [(cell.shape[1], cell[0, 0].tolist()) for cell in cells] == [
        (8, [0, 0, 255]), (8, [0, 255, 0]), (16, [0, 0, 255]), (16, [0, 255, 0]), (24, [0, 0, 255]), (24, [0, 255, 0]),
    ]  # fmt: skip
    assert len(inner(events)) == 2 + 6 + 1, "two colours, six sizes of them, one sheet: what is alike is shared"


def inner(events):
    """The nodes that the plot made and that ran."""
    return [each.node for each in events if isinstance(each, NodeStarted) and each.node.startswith("3.")]


def test_an_unchanged_plot_is_all_reuse(bench):
    bench.run(colours())
    ending, events = bench.run(colours())
    assert isinstance(ending, Succeeded)
    assert not [each for each in events if isinstance(each, NodeStarted)]
    _, events = bench.run(colours(x_values="255\n16711680"))
    assert len(inner(events)) > 0


def test_the_plots_own_faults_name_its_node(bench):
    ending, _ = bench.run(colours(x="1.colour"))
    assert isinstance(ending, Failed)
    assert (ending.node, "node 1 has no input 'colour'; did you mean 'color'" in ending.message) == ("3", True)
    ending, _ = bench.run(colours(x_values="\n".join(map(str, range(300)))))
    assert "300 values of x and 3 of y are 900 pictures; the limit is 400" in ending.message


def guidance(**inputs):
    return {
        "1": ("CheckpointLoaderSimple", {"ckpt_name": "standin.safetensors"}),
        "2": ("CLIPTextEncode", {"clip": ["1", 1], "text": "a red cube"}),
        "3": ("CLIPTextEncode", {"clip": ["1", 1], "text": ""}),
        "4": ("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 1}),
        "5": ("GuidanceSweep", {
            "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "vae": ["1", 2],
            "seed": 3, "cfg_values": "1, 4", "steps_values": "1, 2", "sampler_name": "euler", "scheduler": "normal",
            "denoise": 1.0, "letters": 0, "gap": 0, **inputs,
        }),
        "6": ("SaveImage", {"images": ["5", 0], "filename_prefix": "sheet"}),
    }  # fmt: skip


def test_a_guidance_sweep_is_the_pictures_that_single_samplers_make(bench):
    ending, _ = bench.run(guidance())
    assert isinstance(ending, Succeeded), ending
    (page,) = pixels_of(bench, ending, "6")
    assert page.shape == (128, 128, 3)
    single = {
        **{name: entry for name, entry in guidance().items() if name < "5"},
        "7": ("KSampler", {
            "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "seed": 3,
            "steps": 2, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
        }),
        "8": ("VAEDecode", {"samples": ["7", 0], "vae": ["1", 2]}),
        "9": ("SaveImage", {"images": ["8", 0], "filename_prefix": "single"}),
    }  # fmt: skip
    ending, _ = bench.run(single)
    assert np.array_equal(pixels_of(bench, ending, "9")[0], page[64:, 64:])
    assert not np.array_equal(page[64:, 64:], page[:64, 64:])


@pytest.mark.parametrize(("inputs", "message"), [
    ({"steps_values": "10, few"}, "steps_values: 'few' is no whole number"),
    ({"steps_values": "2.5"}, "steps_values: '2.5' is no whole number"),
    ({"cfg_values": " , "}, "cfg_values is empty"),
    ({"cfg_values": "3, 101"}, "cfg_values: 101 is out of range; a number here is from 0 to 100"),
    ({"cfg_values": "nan"}, "cfg_values: nan is out of range"),
])  # fmt: skip
def test_a_guidance_sweep_names_what_is_no_number(bench, inputs, message):
    ending, _ = bench.run(guidance(**inputs))
    assert isinstance(ending, Failed)
    assert message in ending.message


# -- prompts -----------------------------------------------------------------------------------------------------

PROMPTS = "# landscapes\na hill\n\n  a lake  \na wood\r\n"


def test_prompts_are_the_lines_that_say_something(desk):
    (desk.folders.input / "prompts.txt").write_text("\ufeff" + PROMPTS, encoding="utf-8")
    (desk.folders.input / "picture.png").write_bytes(b"")
    assert desk.folders.list("texts") == ["prompts.txt"]
    assert prompts_from_file(desk.context, file="prompts.txt") == ["a hill", "a lake", "a wood"]
    assert prompts_from_file(desk.context, file="prompts.txt", start=1, count=1) == ["a lake"]
    with pytest.raises(ValueError, match=r"prompts\.txt holds 3 prompts and start is 3: none is left; start earlier"):
        prompts_from_file(desk.context, file="prompts.txt", start=3)
    with pytest.raises(FileNotFoundError):
        prompts_from_file(desk.context, file="picture.png")


def test_a_file_that_is_no_text_or_too_large_is_refused(desk, monkeypatch):
    path = desk.folders.input / "x.txt"
    path.write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match=r"x\.txt is no UTF-8 text: byte 2 is 0xff"):
        prompts_from_file(desk.context, file="x.txt")
    monkeypatch.setattr("nodes.sweeps.MOST_BYTES", 2)
    with pytest.raises(ValueError, match=r"x\.txt has 3 bytes; the limit is 2"):
        prompts_from_file(desk.context, file="x.txt")


def test_what_follows_runs_once_for_each_prompt(bench):
    (bench.folders.input / "prompts.txt").write_text(PROMPTS, encoding="utf-8")
    ending, _ = bench.run({
        "1": ("PromptsFromFile", {"file": "prompts.txt", "start": 0, "count": 2}),
        "2": ("StringConcatenate", {"string_a": ["1", 0], "string_b": "at dawn", "delimiter": " "}),
        "3": ("PreviewAny", {"source": ["2", 0]}),
    })  # fmt: skip
    assert ending.outputs == {"3": {"text": ["a hill at dawn", "a lake at dawn"]}}
    (bench.folders.input / "prompts.txt").write_text("other", encoding="utf-8")
    ending, _ = bench.run({
        "1": ("PromptsFromFile", {"file": "prompts.txt", "start": 0, "count": 2}),
        "3": ("PreviewAny", {"source": ["1", 0]}),
    })  # fmt: skip
    assert ending.outputs == {"3": {"text": ["other"]}}, "the file's stamp is part of the key"
