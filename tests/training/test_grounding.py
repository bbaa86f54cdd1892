"""The text encoder is taught which of a caption's solids is where."""

import torch

from engine.training.checker import COLOUR_NAMES, OFFSETS, SHAPE_NAMES
from engine.training.grounding import Grounder, Standing, grounding_loss, standing
from engine.training.scenes import make_scene

CPU = torch.device("cpu")


def test_the_facts_of_scenes_are_padded_to_the_largest():
    scenes = [make_scene(0, objects=1), make_scene(0, objects=3)]
    facts = standing(scenes, CPU)
    assert facts.there.tolist() == [[True, False, False], [True, True, True]]
    for row, scene in enumerate(scenes):
        for number, solid in enumerate(scene.solids):
            assert SHAPE_NAMES[facts.shapes[row, number]] == solid.shape
            assert COLOUR_NAMES[facts.colours[row, number]] == solid.colour
            place = facts.centres[row, number] + torch.tensor(OFFSETS)
            assert torch.allclose(place, torch.tensor((solid.x, solid.y, solid.z)), atol=1e-6)


def test_places_without_a_solid_count_for_nothing():
    torch.manual_seed(0)
    grounder, states = Grounder(16), torch.randn(1, 9, 16)
    one = standing([make_scene(0, objects=1)], CPU)
    padded = Standing(*(torch.cat([each, torch.full_like(each, 1)], dim=1) for each in one))
    padded.there[:, 1] = False
    assert torch.allclose(grounding_loss(grounder, one, states), grounding_loss(grounder, padded, states), atol=1e-6)


def test_what_stands_where_is_learned_from_states_that_say_it_and_not_from_others():
    """Two solids each; one token per solid holds its side and its name, as a caption's state should."""
    torch.manual_seed(0)

    def final(told):
        grounder = Grounder(16)
        optimizer = torch.optim.AdamW(grounder.parameters(), lr=3e-3)
        for _ in range(150):
            shapes, colours = torch.randint(5, (64, 2)), torch.randint(10, (64, 2))
            side = torch.tensor([-1.0, 1.0]).expand(64, 2)
            facts = Standing(
                torch.stack([side, torch.zeros_like(side), torch.zeros_like(side)], dim=-1),
                torch.ones(64, 2, dtype=torch.bool), shapes, colours,
            )  # fmt: skip
            states = torch.cat([
                side[..., None] if told else torch.zeros(64, 2, 1),
                torch.nn.functional.one_hot(shapes, 5).float(), torch.nn.functional.one_hot(colours, 10).float(),
            ], dim=-1)  # fmt: skip
            loss = grounding_loss(grounder, facts, states)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    assert final(told=True) < 0.5 < 1.2 < final(told=False)
