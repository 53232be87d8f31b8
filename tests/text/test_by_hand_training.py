"""The numbers that the chapter on pretraining word2vec computes by hand."""

import math

import pytest
import torch

from d2lcompanion.text.block_layout import Layout
from d2lcompanion.text.noise import AliasSampler
from d2lcompanion.text.sgns import Recipe, WordVectors, step_on_pairs
from d2lcompanion.text.sgns_blocks import BlockSteps
from d2lcompanion.text.skip_gram_pairs import reduced_windows
from d2lcompanion.text.token_stream import TokenStream

LN3 = math.log(3)


def test_one_step_on_a_pair():
    v = torch.tensor([[1.0, 0], [0, 0], [0, 0]], dtype=torch.float64)
    u = torch.tensor([[0.0, 0], [0, 1], [LN3, 0]], dtype=torch.float64)
    pair = torch.tensor([0]), torch.tensor([1]), torch.tensor([[2]])
    loss = step_on_pairs(WordVectors(v, u), *pair, 0.4)
    assert float(loss) == pytest.approx(3 * math.log(2))
    assert v[0].tolist() == pytest.approx([1 - 0.3 * LN3, 0.2])
    assert u[1].tolist() == pytest.approx([0.2, 1])
    assert u[2].tolist() == pytest.approx([LN3 - 0.3, 0])


def seed_with(widths: list[int]) -> torch.Generator:
    """A generator that draws these widths first."""
    for seed in range(1000):
        if reduced_windows(3, 2, torch.Generator().manual_seed(seed)).tolist() == widths:
            return torch.Generator().manual_seed(seed)
    raise AssertionError("no seed draws them")


def test_a_band_of_three_words():
    stream = TokenStream(torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.long))
    recipe, layout = Recipe(window=2, negatives=5), Layout(3, 1, 2)
    sampler = AliasSampler(torch.ones(3))
    blocks = BlockSteps(stream, recipe, layout, sampler, seed_with([1, 2, 1]))[0]
    assert blocks.weight[0].tolist() == [
        [0, 0, 0, 1, 0, 0, 0, 2.5, 2.5],
        [0, 0, 1, 0, 1, 0, 0, 5, 5],
        [0, 0, 0, 1, 0, 0, 0, 2.5, 2.5],
    ]
