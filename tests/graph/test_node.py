"""Specifications read from signatures."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
import pytest

from engine.graph.node import (
    Choice,
    Context,
    ControlAfterGenerate,
    Files,
    Lazy,
    LinkOnly,
    Name,
    Omittable,
    Range,
    Text,
    Ui,
    node,
)
from engine.graph.types import Image, Latent, Mask


class Both(NamedTuple):
    image: Image
    mask: Annotated[Mask, Name("hole")]


@node("Everything", category="test", display_name="All", version=3, lane="device", deprecated=True)
def everything(
    context: Context,
    *,
    picture: Image,
    seed: Annotated[int, Range(0, 2**64 - 1), ControlAfterGenerate()] = 0,
    text: Annotated[str, Text(multiline=True, dynamic_prompts=True)],
    kind: Annotated[str, Choice(["a", "b"])] = "b",
    file: Annotated[str, Files("input", upload="image")],
    either: Image | Mask,
    anything: Any,
    maybe: Latent | None = None,
    odd: Annotated[float, Name("in.0"), Range(0, 1, step=0.1, round=0.01)] = 0.5,
    later: Annotated[int, Lazy()] = 1,
    wired: Annotated[int, LinkOnly()] = 2,
    flag: bool = True,
) -> Both:
    """Do everything.

    In two paragraphs.

    seed: The number
        it starts from.
    """
    return Both(picture, Mask(picture.pixels))


SPEC = everything.spec


def test_the_signature_is_the_specification() -> None:
    kinds = {each.name: each.kind for each in SPEC.inputs}
    assert kinds == {
        "picture": "IMAGE",
        "seed": "INT",
        "text": "STRING",
        "kind": "COMBO",
        "file": "COMBO",
        "either": "IMAGE,MASK",
        "anything": "*",
        "maybe": "LATENT",
        "in.0": "FLOAT",
        "later": "INT",
        "wired": "INT",
        "flag": "BOOLEAN",
    }
    assert [each.kind for each in SPEC.outputs] == ["IMAGE", "MASK"]
    assert [each.name for each in SPEC.outputs] == ["IMAGE", "hole"]
    assert (SPEC.version, SPEC.lane, SPEC.deprecated, SPEC.display_name) == (3, "device", True, "All")


def test_an_input_that_may_be_none_is_optional() -> None:
    assert [each.name for each in SPEC.inputs if not each.required] == ["maybe"]


def test_docstring_lines_become_tooltips_and_the_rest_the_description() -> None:
    seed = SPEC.input("seed")
    assert seed is not None
    assert seed.tooltip == "The number it starts from."
    assert SPEC.description == "Do everything.\n\nIn two paragraphs."


def test_widgets_are_what_can_be_typed_in() -> None:
    assert [each.name for each in SPEC.inputs if each.widget] == [
        "seed",
        "text",
        "kind",
        "file",
        "in.0",
        "later",
        "flag",
    ]


def test_names_that_python_cannot_spell_keep_their_parameter() -> None:
    assert everything.parameters["in.0"] == "odd"


def test_specifications_survive_the_wire() -> None:
    again = msgspec.msgpack.decode(msgspec.msgpack.encode({"x": SPEC}), type=dict[str, type(SPEC)])
    assert again["x"] == SPEC


def test_a_missing_annotation_names_the_parameter() -> None:
    with pytest.raises(TypeError, match="node Bad: parameter size has no annotation"):

        @node("Bad", category="test")
        def bad(*, size=3) -> int:
            return 1


def test_a_meaningless_annotation_names_the_parameter() -> None:
    with pytest.raises(TypeError, match="parameter size is annotated"):

        @node("Bad", category="test")
        def bad(*, size: bytes) -> int:
            return 1


def test_a_missing_return_annotation_is_an_error() -> None:
    with pytest.raises(TypeError, match="return annotation is missing"):

        @node("Bad", category="test")
        def bad(*, size: int):
            return 1


def test_whole_lists_come_together_or_not_at_all() -> None:
    with pytest.raises(TypeError, match="either all inputs are list"):

        @node("Bad", category="test")
        def bad(*, many: list[int], one: int) -> int:
            return 1


def test_what_is_shown_makes_an_output_node() -> None:
    @node("Show", category="test")
    def show(*, images: Image) -> Ui:
        return Ui({})

    assert show.spec.output_node
    assert show.spec.outputs == ()


def test_an_unknown_lane_is_refused() -> None:
    with pytest.raises(ValueError, match="no lane is called 'gpu'"):
        node("Bad", category="test", lane="gpu")


def test_an_input_with_a_default_may_be_left_out() -> None:
    @node("Faded", category="x")
    def faded(*, strength: Annotated[float, Range(0.0, 1.0), Omittable()] = 0.5) -> float:
        """Give it back."""
        return strength

    (entry,) = faded.spec.inputs
    assert (entry.required, entry.default, entry.maximum) == (False, 0.5, 1.0)
    assert faded() == 0.5
    with pytest.raises(TypeError, match="parameter strength may be left out, so it has to have a default"):

        @node("Broken", category="x")
        def broken(*, strength: Annotated[float, Omittable()]) -> float:
            """Give it back."""
            return strength
