"""The numbers that the chapter on approximate training computes by hand."""

import math

import pytest
import torch

from d2lcompanion.text.hierarchical_softmax import (
    all_probabilities,
    hierarchical_softmax_rows,
    huffman_codes,
)
from d2lcompanion.text.negative_sampling import (
    negative_sampling_gradients,
    negative_sampling_loss,
    optimal_score,
)
from d2lcompanion.text.noise import AliasSampler, noise_distribution

LN2, LN3 = math.log(2), math.log(3)


def test_one_step_of_negative_sampling():
    v = torch.tensor([[1.0, 0], [0, 0], [0, 0]], dtype=torch.float64)
    u = torch.tensor([[LN3, 1], [0, 2], [-LN3, 0]], dtype=torch.float64)
    pair = torch.tensor([0]), torch.tensor([0]), torch.tensor([[1, 2]])
    loss = float(negative_sampling_loss(*pair, v, u))
    assert loss == pytest.approx(-math.log(9 / 32))
    dv, du = negative_sampling_gradients(*pair, v, u)
    assert dv[0].tolist() == pytest.approx([-LN3 / 2, 3 / 4])
    assert du.tolist() == [pytest.approx(row) for row in ([-1 / 4, 0], [1 / 2, 0], [1 / 4, 0])]


def test_the_noise():
    found = noise_distribution(torch.tensor([16.0, 81, 256], dtype=torch.float64))
    assert found.tolist() == pytest.approx([8 / 99, 27 / 99, 64 / 99])


def test_an_alias_table():
    sampler = AliasSampler(torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64))
    assert sampler.thresholds.tolist() == pytest.approx([0.4, 0.8, 1, 0.8])
    assert sampler.aliases.tolist() == [3, 3, 2, 2]
    assert sampler.probabilities().tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_an_optimal_score():
    joint = torch.tensor([[0.3, 0.1], [0.1, 0.5]], dtype=torch.float64)
    word = joint.sum(1)
    score = optimal_score(joint, word[:, None], word, 5)[0, 1]
    assert float(score) == pytest.approx(-math.log(12))
    share = float(score.sigmoid())
    assert 0.1 * (1 - share) == pytest.approx(5 * 0.4 * 0.6 * share)


def test_a_tree():
    tree = huffman_codes(torch.tensor([5, 2, 1, 1]))
    assert tree.lengths().tolist() == [1, 2, 3, 3]
    counts = torch.tensor([5.0, 2, 1, 1], dtype=torch.float64)
    assert float(tree.expected_length(counts)) == pytest.approx(15 / 9)
    nodes = torch.tensor([[LN2], [0], [LN3]], dtype=torch.float64)
    center = torch.ones(1, 1, dtype=torch.float64)
    found = all_probabilities(center, nodes, tree)[0]
    assert found.tolist() == pytest.approx([1 / 4, 3 / 8, 1 / 4, 1 / 8])
    rows = hierarchical_softmax_rows(torch.tensor([0]), torch.tensor([2]), center, nodes, tree)
    assert rows.others.tolist() == [[2, 1, 0]]
    assert rows.other_rows.flatten().tolist() == pytest.approx([-1 / 4, 1 / 2, -1 / 3])
