"""Prompts with learned words, and arithmetic on what they become."""

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.guidance import Area, AreaPart, Condition
from engine.diffusion.standin import write_standin
from engine.graph.types import Conditioning, Mask
from nodes.conditioning import (
    average_texts,
    combine,
    concatenate,
    encode_for_controlnet,
    encode_text,
    set_area,
    set_area_in_parts,
    set_last_layer,
    set_mask,
    set_range,
    set_strength,
    zero_out,
)
from nodes.loaders import load_checkpoint


@pytest.fixture
def clip(desk):
    write_standin(desk.model_folder("checkpoints") / "s.safetensors")
    return load_checkpoint(desk.context, ckpt_name="s.safetensors").clip


def states(desk, clip, text):
    return encode_text(desk.context, text=text, clip=clip).entries[0].states


def test_an_embedding_equal_to_a_words_own_row_changes_nothing(desk, clip):
    encoder = desk.context.text_encoder(clip)
    row = encoder.transformer.embeddings.token_embedding.weight[2368]  # "cat</w>"
    save_file({"emb_params": row[None].clone()}, desk.model_folder("embeddings") / "pet.safetensors")
    plain = states(desk, clip, "a cat on a mat")
    assert torch.allclose(states(desk, clip, "a embedding:pet on a mat"), plain, atol=1e-5)
    assert not torch.allclose(states(desk, clip, "a dog on a mat"), plain, atol=1e-3)
    weighted = states(desk, clip, "a (cat:1.5) on a mat")
    assert torch.allclose(states(desk, clip, "a (embedding:pet:1.5) on a mat"), weighted, atol=1e-5)
    assert desk.warnings == []


def test_an_unknown_or_unfitting_embedding_is_left_out_and_told_of(desk, clip):
    bare = states(desk, clip, "a mat")
    assert torch.equal(states(desk, clip, "a embedding:nothing, mat"), bare)
    assert desk.warnings == ["no embedding is called 'nothing'; it is left out of the prompt"]
    save_file({"emb_params": torch.ones(1, 1280)}, desk.model_folder("embeddings") / "wide.safetensors")
    desk.events.clear()
    assert torch.isfinite(states(desk, clip, "a embedding:wide mat")).all()
    assert "1280 wide and was made for another model" in desk.warnings[0]
    assert bare.shape == (1, 77, 64)


# -- arithmetic (numerics.md, 5.4) -------------------------------------------------------------------------------


def text(*rows, pooled=None, **more):
    """A text of one chunk, two numbers wide, a row per token."""
    states = torch.tensor([rows], dtype=torch.float32)
    return Condition(states, None if pooled is None else torch.tensor([pooled], dtype=torch.float32), **more)


def listed(*entries):
    return Conditioning(entries)


def rows_of(conditioning, entry=0):
    return conditioning.entries[entry].states[0].tolist()


def test_combining_puts_one_list_after_the_other():
    a, b, c = text((1, 2)), text((3, 4)), text((5, 6))
    assert combine(conditioning_1=listed(a, b), conditioning_2=listed(c)).entries == (a, b, c)


def test_an_average_is_weighted_and_only_the_first_entry_of_the_second_list_counts():
    """5.4: w·to + (1−w)·from; 0.25·8 + 0.75·4 = 5."""
    to, other = listed(text((8, 0), pooled=(2, 2))), listed(text((4, 8), pooled=(6, 0)), text((100, 100)))
    made = average_texts(conditioning_to=to, conditioning_from=other, conditioning_to_strength=0.25)
    assert rows_of(made) == [[5, 6]]
    assert made.entries[0].pooled.tolist() == [[5, 0.5]]
    whole = average_texts(conditioning_to=to, conditioning_from=other, conditioning_to_strength=1.0)
    assert rows_of(whole) == rows_of(to)


def test_the_averaged_text_is_cut_or_padded_to_the_length_of_the_first():
    one, two = listed(text((2, 2))), listed(text((4, 4), (8, 8)))
    assert rows_of(average_texts(conditioning_to=one, conditioning_from=two, conditioning_to_strength=0.5)) == [[3, 3]]
    padded = average_texts(conditioning_to=two, conditioning_from=one, conditioning_to_strength=0.5)
    assert rows_of(padded) == [[3, 3], [4, 4]]


def test_an_entry_without_a_pooled_text_takes_the_others():
    pooled = text((1, 1), pooled=(6, 2))
    made = average_texts(
        conditioning_to=listed(text((1, 1))), conditioning_from=listed(pooled), conditioning_to_strength=0.5
    )
    assert made.entries[0].pooled.tolist() == [[6, 2]]
    kept = average_texts(
        conditioning_to=listed(pooled), conditioning_from=listed(text((1, 1))), conditioning_to_strength=0.5
    )
    assert kept.entries[0].pooled.tolist() == [[6, 2]]


def test_concatenation_adds_tokens_and_keeps_options():
    """5.1: entries of a text and its options. 5.4: [to, from[0]] along tokens; pooled and options of `to` are kept."""
    to = text((1, 1), pooled=(3, 3), strength=2.0)
    made = concatenate(conditioning_to=listed(to, to), conditioning_from=listed(text((2, 2)), text((9, 9))))
    assert [rows_of(made, index) for index in (0, 1)] == [[[1, 1], [2, 2]]] * 2
    assert made.entries[1].pooled.tolist() == [[3, 3]]
    assert made.entries[1].strength == 2.0


@pytest.mark.parametrize("change", [concatenate, average_texts])
def test_texts_of_different_families_are_not_mixed(change):
    wide = Condition(torch.zeros(1, 77, 1024))
    with pytest.raises(ValueError, match="entry 0 of conditioning_to is 2 wide and conditioning_from is 1024"):
        change(conditioning_to=listed(text((1, 1))), conditioning_from=listed(wide))
    with pytest.raises(ValueError, match="conditioning_from is an empty list"):
        change(conditioning_to=listed(text((1, 1))), conditioning_from=listed())


def test_an_area_is_kept_in_latent_pixels_height_first():
    masked = text((1, 1), set_area_to_bounds=True)
    entry = set_area(conditioning=listed(masked), width=64, height=128, x=16, y=32, strength=0.5).entries[0]
    assert entry.area == Area(16, 8, 4, 2)
    assert (entry.strength, entry.set_area_to_bounds) == (0.5, False)
    part = set_area_in_parts(conditioning=listed(masked), width=0.5, height=0.25, x=0.1, y=0.2).entries[0]
    assert part.area == AreaPart(0.25, 0.5, 0.2, 0.1)
    again = set_strength(conditioning=listed(part), strength=3.0).entries[0]
    assert (again.area, again.strength) == (part.area, 3.0)


def test_a_mask_says_where_a_text_holds(desk):
    mask = Mask(torch.rand(1, 4, 4))
    kept = set_mask(
        desk.context, conditioning=listed(text((1, 1))), mask=mask, strength=0.7, set_cond_area="mask bounds"
    ).entries[0]  # fmt: skip
    assert kept.mask is mask.values
    assert (kept.mask_strength, kept.strength, kept.set_area_to_bounds) == (0.7, 1.0, True)
    assert desk.warnings == []


def test_a_mask_that_marks_nothing_is_told_of_and_one_without_pixels_refused(desk):
    def with_mask(values):
        return set_mask(
            desk.context, conditioning=listed(text((1, 1))), mask=Mask(values), set_cond_area="default"
        )  # fmt: skip

    with_mask(torch.zeros(1, 4, 4))
    assert desk.warnings == ["mask is 0 everywhere, so this conditioning holds nowhere"]
    with pytest.raises(ValueError, match=r"mask has the shape \(0, 4, 4\), so it has no pixels"):
        with_mask(torch.zeros(0, 4, 4))
    with pytest.raises(ValueError, match="mask holds NaN"):
        with_mask(torch.full((1, 2, 2), torch.nan))


def test_zeroing_out_leaves_options_and_shapes():
    made = zero_out(conditioning=listed(text((1, 2), pooled=(3, 4), strength=2.0), text((5, 6)))).entries
    assert [entry.states.tolist() for entry in made] == [[[[0, 0]]]] * 2
    assert made[0].pooled.tolist() == [[0, 0]]
    assert (made[1].pooled, made[0].strength) == (None, 2.0)


def test_a_time_range_is_kept_as_parts_of_the_run():
    entry = set_range(conditioning=listed(text((1, 1))), start=0.25, end=0.5).entries[0]
    assert (entry.start_percent, entry.end_percent) == (0.25, 0.5)


def test_a_text_for_controlnets_goes_beside_the_pictures(desk, clip):
    plain = listed(text((1, 1)), text((2, 2)))
    made = encode_for_controlnet(desk.context, clip=clip, conditioning=plain, text="a cat")
    assert [rows_of(made, index) for index in (0, 1)] == [[[1, 1]], [[2, 2]]]
    for entry in made.entries:
        assert torch.equal(entry.extra["cross_attn_controlnet"], states(desk, clip, "a cat"))


def test_reading_an_earlier_layer_changes_the_text(desk, clip):
    last = states(desk, set_last_layer(clip=clip, stop_at_clip_layer=-1), "a cat")
    assert torch.equal(states(desk, clip, "a cat"), last)
    earlier = states(desk, set_last_layer(clip=clip, stop_at_clip_layer=-2), "a cat")
    assert not torch.allclose(earlier, last, atol=1e-3)
