"""The numbers that the chapter on word2vec computes by hand."""

import math

import pytest
import torch

from d2lcompanion.text.cbow import cbow_gradients, cbow_log_likelihood, cbow_log_probabilities
from d2lcompanion.text.similarity import analogy, average_ranks, cosine, spearman, unit
from d2lcompanion.text.word2vec import (
    skip_gram_gradients,
    skip_gram_log_likelihood,
    skip_gram_log_probabilities,
)

LN2 = math.log(2)


def test_one_step_of_skip_gram():
    v = torch.tensor([[1.0, 0], [0, 0], [0, 0]], dtype=torch.float64)
    u = torch.tensor([[LN2, 1], [0, 2], [0, -1]], dtype=torch.float64)
    center, context = torch.tensor([0]), torch.tensor([[1]])
    p = skip_gram_log_probabilities(center, v, u).exp()
    assert p[0].tolist() == pytest.approx([1 / 2, 1 / 4, 1 / 4])
    assert float(skip_gram_log_likelihood(center, context, v, u)) == pytest.approx(-2 * LN2)
    dv, du = skip_gram_gradients(center, context, v, u)
    assert dv[0].tolist() == pytest.approx([-LN2 / 2, 5 / 4])
    assert du.tolist() == [pytest.approx(row) for row in ([-1 / 2, 0], [3 / 4, 0], [-1 / 4, 0])]
    assert not bool(dv[1:].any())


def test_one_step_of_cbow():
    v = torch.tensor([[2.0, 0], [0, 1], [0, 0]], dtype=torch.float64)
    u = torch.tensor([[LN2, 1], [0, 2], [0, -1]], dtype=torch.float64)
    center, context = torch.tensor([2]), torch.tensor([[0, 2]])
    p = cbow_log_probabilities(context, v, u).exp()  # h = (ln 2 / 2, 0)
    assert p[0].tolist() == pytest.approx([1 / 2, 1 / 4, 1 / 4])
    assert float(cbow_log_likelihood(center, context, v, u)) == pytest.approx(-2 * LN2)
    dv, du = cbow_gradients(center, context, v, u)
    rows = ([-LN2 / 4, 0], [-LN2 / 8, 0], [3 * LN2 / 8, 0])
    assert dv.tolist() == [pytest.approx(row) for row in rows]
    assert du.tolist() == [
        pytest.approx(row) for row in ([-1 / 2, -1 / 8], [0, 0], [-1 / 2, -1 / 8])
    ]


def test_an_analogy():
    root = 1 / math.sqrt(2)
    words = ["man", "woman", "king", "queen", "apple"]
    x = torch.tensor([[1, 0, 0], [0, 1, 0], [root, 0, root], [0, root, root], [root, root, 0]])
    target = unit(x[2]) - unit(x[0]) + unit(x[1])
    assert target.tolist() == pytest.approx([-0.2929, 1, 0.7071], abs=1e-4)
    found = cosine(target[None], x)[0]
    assert found.tolist() == pytest.approx([-0.2326, 0.7941, 0.2326, 0.9586, 0.3971], abs=1e-4)
    answer = analogy(*(torch.tensor([i]) for i in (0, 2, 1)), x)
    assert words[int(answer.ids)] == "queen"


def test_spearman_with_a_tie():
    ratings = torch.tensor([9.0, 7, 7, 3, 1])
    cosines = torch.tensor([0.8, 0.9, 0.4, 0.5, 0.1])
    assert average_ranks(ratings).tolist() == [5, 3.5, 3.5, 2, 1]
    assert average_ranks(cosines).tolist() == [4, 5, 2, 3, 1]
    assert float(spearman(ratings, cosines)) == pytest.approx(6.5 / math.sqrt(9.5 * 10))
