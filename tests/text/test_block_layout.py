"""Work counted by formula, by PyTorch's counter, and by a tally of the rows that are touched."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from d2lcompanion.text.block_layout import Layout, block_work, pair_work
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.sgns import Recipe, WordVectors, step_on_pairs
from d2lcompanion.text.sgns_blocks import BlockSteps, step_on_blocks
from d2lcompanion.text.token_stream import TokenStream

WORDS, D = 50, 8


def test_operations_of_blocks_are_those_that_pytorch_counts():
    generator = torch.Generator().manual_seed(0)
    recipe, layout = Recipe(dimension=D, window=3), Layout(4, 6, 7)
    ids = torch.randint(WORDS, (layout.step,), generator=generator)
    sampler = AliasSampler(noise_distribution(torch.ones(WORDS)))
    stream = TokenStream(ids, torch.zeros_like(ids))
    blocks = BlockSteps(stream, recipe, layout, sampler, generator)[0]
    vectors = WordVectors(torch.randn(WORDS, D), torch.randn(WORDS, D))
    with FlopCounterMode(display=False) as counter:
        step_on_blocks(vectors, blocks, 0.1)
    work = block_work(recipe, layout)
    assert counter.get_total_flops() == work.operations * layout.step
    rows = 3 * (blocks.centers.numel() + blocks.words.numel())  # read, and changed
    assert work.numbers * layout.step == pytest.approx(rows * D)


def test_operations_of_pairs_are_three_products_a_score(monkeypatch):
    """With the scores written as products of matrices; a row is read, read again and written."""
    recipe = Recipe(dimension=D, window=2, negatives=3)
    work, pairs = pair_work(recipe), 5
    v = torch.randn(pairs, 1, D, requires_grad=True)
    u = torch.randn(pairs, 1 + recipe.negatives, D, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.softplus(torch.bmm(v, u.transpose(1, 2))).sum().backward()
    assert counter.get_total_flops() == work.operations / (recipe.window + 1) * pairs
    ids = torch.arange(2 + recipe.negatives)
    vectors = WordVectors(torch.randn(WORDS, D), torch.randn(WORDS, D))
    before = [table.clone() for table in vectors]
    step_on_pairs(vectors, ids[:1], ids[1:2], ids[None, 2:], 0.1)
    changed = sum(int((a != b).any(1).sum()) for a, b in zip(vectors, before, strict=True))
    assert work.numbers / (recipe.window + 1) == 3 * changed * D


def test_sharing_raises_the_intensity_far_more_than_the_operations():
    recipe = Recipe()
    alone, shared = pair_work(recipe), block_work(recipe, Layout())
    assert alone.intensity == pytest.approx(2 * 6 / 7)
    assert shared.intensity > 15 * alone.intensity
    assert shared.operations < 2 * alone.operations
