"""Other first weights: one turn for all places, scores that do not depend on the width."""

from __future__ import annotations

import math

import pytest
import torch

from d2lcompanion.text.bert import Bert
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_start import (
    SD,
    scale_to_width,
    sinusoids,
    start_with_sinusoids,
)


def test_entries_are_those_of_a_slow_loop():
    table = sinusoids(7, 6, base=50.0)
    for t in range(7):
        for i in range(3):
            angle = t * 50.0 ** (-2 * i / 6)
            assert float(table[t, i]) == pytest.approx(math.sin(angle), abs=1e-6)
            assert float(table[t, 3 + i]) == pytest.approx(math.cos(angle), abs=1e-6)


@pytest.mark.parametrize("step", [1, 5, -3])
def test_a_step_aside_is_one_rotation_for_all_places(step):
    table = sinusoids(40, 16).double()
    turn = step * 1000.0 ** (-torch.arange(0, 16, 2, dtype=torch.float64) / 16)
    c, s = torch.diag(turn.cos()), torch.diag(turn.sin())
    rotation = torch.cat([torch.cat([c, s], 1), torch.cat([-s, c], 1)])
    assert torch.allclose(rotation @ rotation.T, torch.eye(16, dtype=torch.float64))
    first, last = max(0, -step), 40 - max(0, step)
    moved = table[first:last] @ rotation.T
    assert torch.allclose(moved, table[first + step : last + step], atol=1e-5)
    scores = moved @ table.T  # largest at the place aimed at
    assert scores.argmax(1).tolist() == list(range(first + step, last + step))


def test_products_depend_on_the_distance_only():
    gram = sinusoids(30, 8).double() @ sinusoids(30, 8).double().T
    for distance in range(30):
        diagonal = gram.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal), atol=1e-5)
    assert torch.allclose(gram.diagonal(), torch.full((30,), 4.0).double(), atol=1e-5)


def test_only_the_positions_of_the_model_change():
    config = BertConfig(20, 8, 1, 2, 16, positions=12)
    model = Bert(config, torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start_with_sinusoids(model)
    after = model.state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["embeddings.position.weight"]
    place = after[changed[0]]
    assert torch.allclose(place.square().mean(1), torch.full((12,), SD**2))
    assert model.embeddings.position.weight.requires_grad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4), "places must be .*0"),
        ((3, 5), "width must be even and at least 2, got 5"),
        ((3, 0), "width must be even and at least 2, got 0"),
    ],
)
def test_sizes_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sinusoids(*arguments)


@pytest.mark.parametrize("base", [1.0, -2.0, math.inf, math.nan])
def test_bases_that_give_no_frequencies_are_refused(base):
    with pytest.raises(ValueError, match="base must be > 1 and finite, got"):
        sinusoids(3, 4, base=base)


@pytest.mark.parametrize("width", [64, 256])
def test_scores_begin_with_deviation_1_after_scaling_and_with_0_02_squared_d_before(width):
    config = BertConfig(50, width, 1, 4, 2 * width, positions=64)
    generator = torch.Generator().manual_seed(1)
    model = Bert(config, generator)
    x = torch.nn.functional.layer_norm(torch.randn(8, 64, width, generator=generator), [width])

    def spread():
        q, k, _ = model.layers[0].split(x)
        return float((q @ k.transpose(2, 3) / (width // 4) ** 0.5).detach().std())

    assert spread() == pytest.approx(0.02**2 * width, rel=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scale_to_width(model, width, generator)
    assert spread() == pytest.approx(1, rel=0.1)
    linear = {name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    for name, value in model.state_dict().items():
        owner, _, kind = name.rpartition(".")
        redrawn = owner in linear and kind == "weight"
        assert torch.equal(value, before[name]) != redrawn
        if redrawn:
            assert float(value.std()) == pytest.approx(width**-0.5, rel=0.05)


def test_the_draw_is_the_generator_s():
    maps = [torch.nn.Linear(5, 3) for _ in range(2)]
    for linear in maps:
        scale_to_width(linear, 5, torch.Generator().manual_seed(3))
    assert torch.equal(maps[0].weight, maps[1].weight)
    with pytest.raises(ValueError, match=r"width must be .*0"):
        scale_to_width(maps[0], 0)
