"""The numbers of the section *By hand* of the chapter on self-supervised learning."""

import math

import pytest
import torch

from d2lcompanion.vision.contrastive import least_nt_xent, nt_xent
from d2lcompanion.vision.masked_autoencoder import Painted, hidden_loss

TEMPERATURE = 1 / math.log(3)


def twice(rows):
    return torch.tensor(rows + rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("rows", "loss"),
    [([[1, 0], [0, 1]], 5 / 3), ([[1, 0], [-1, 0]], 11 / 9), ([[1, 1], [1, 1]], 3)],
)
def test_nt_xent(rows, loss):
    assert float(nt_xent(twice(rows), TEMPERATURE)) == pytest.approx(math.log(loss))


def test_the_floor_of_two_images():
    assert least_nt_xent(2, TEMPERATURE) == pytest.approx(math.log(11 / 9))


def test_the_best_span_is_not_of_the_best_ends():
    start, end = torch.tensor([1.0, 3, 0]), torch.tensor([4.0, 1, 1.5])
    assert int(start.argmax()) == 1
    assert int(end.argmax()) == 0
    sums = start[:, None] + end
    sums[torch.ones(3, 3).tril(-1).bool()] = -math.inf
    best = sums.flatten().sort(descending=True)
    assert best.values[:2].tolist() == [5.0, 4.5]
    assert [divmod(int(k), 3) for k in best.indices[:2]] == [(0, 0), (1, 2)]


def test_the_label_is_a_linear_map_away():
    A = torch.tensor([[0.5, 0], [0.5, 0.5], [0, 0.5]], dtype=torch.float64)
    pi = torch.tensor([1 / 8, 1 / 2, 3 / 8], dtype=torch.float64)
    torch.testing.assert_close(
        torch.linalg.pinv(A) @ pi, torch.tensor([0.25, 0.75], dtype=torch.float64)
    )


def test_the_loss_of_a_painting():
    truth = torch.tensor([[[9.0, 9], [1, 1], [3, 5], [9, 9]]])
    painted = torch.tensor([[[0.0, 0], [1, 2], [3, 3], [7, 7]]])
    assert float(hidden_loss(Painted(painted, torch.tensor([[1, 2]])), truth)) == 1.25
