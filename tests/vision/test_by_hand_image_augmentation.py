"""The numbers of the section *By hand* of the chapter on image augmentation."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from d2lcompanion.vision.geometric import crop
from d2lcompanion.vision.mixing import Mixture, cutmix, soft_labels
from d2lcompanion.vision.warping import affine_matrices, warp, warp_boxes


def affine(size, *, angle=0.0, shift=(0.0, 0.0)):
    return affine_matrices(
        size,
        angle=torch.tensor([angle]),
        shift=torch.tensor([shift]),
        scale=torch.ones(1),
        shear=torch.zeros(1, 2),
    )


def test_the_average_answer_pays_less_by_the_variance():
    answers = torch.tensor([0.2, 0.6])
    errors = (answers - 1).square()
    assert errors.tolist() == pytest.approx([0.64, 0.16])
    averaged = float((answers.mean() - 1).square())
    assert averaged == pytest.approx(0.36)
    assert float(errors.mean()) - averaged == pytest.approx(0.04)
    assert float(answers.var(correction=0)) == pytest.approx(0.04)


def test_what_the_nine_crops_of_a_small_picture_keep():
    padded = torch.nn.functional.pad(torch.ones(9, 1, 4, 4), [1] * 4)
    top, left = torch.cartesian_prod(torch.arange(3), torch.arange(3)).unbind(1)
    seen = crop(padded, top, left, (4, 4))
    assert float(1 - seen[:, 0, 2, 0].mean()) == pytest.approx(1 / 3)
    assert float(seen[:, 0, 0, 0].mean()) == pytest.approx(4 / 9)
    assert float(seen.mean()) == pytest.approx(25 / 36)


def test_the_hull_of_a_turned_box():
    box = torch.tensor([[[8.0, 9, 12, 11]]])
    hull = warp_boxes(box, affine((20, 20), angle=45.0), (20, 20))[0, 0]
    w, h = (hull[2:] - hull[:2]).tolist()
    assert w == pytest.approx(6 / math.sqrt(2), abs=1e-5)
    assert h == pytest.approx(6 / math.sqrt(2), abs=1e-5)
    assert w * h / 8 == pytest.approx(2.25, abs=1e-5)


def test_half_a_pixel():
    row = torch.tensor([[[[0.2, 0.6]]]])
    moved = warp(row, affine((1, 2), shift=(0.5, 0.0)))
    assert float(moved[0, 0, 0, 1]) == pytest.approx(0.4)


def test_a_box_at_the_corner_pastes_one_pixel():
    images = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    boxes = torch.tensor([[-1.0, -1, 1, 1]] * 2)
    mixture = cutmix(images, torch.tensor([1, 0]), boxes)
    assert mixture.weight.tolist() == [15 / 16] * 2
    assert float(mixture.images[0].sum()) == 1


def test_what_two_answers_to_a_mixture_pay():
    mixture = Mixture(torch.zeros(2, 1, 1, 1), torch.tensor([1, 0]), torch.tensor([0.75, 0.75]))
    target = soft_labels(torch.tensor([0, 1]), mixture, 2)[:1]
    assert target.tolist() == [[0.75, 0.25]]
    best = cross_entropy(target.log(), target)
    assert float(best) == pytest.approx(0.5623, abs=5e-5)
    shrug = cross_entropy(torch.zeros(1, 2), target)
    assert float(shrug) == pytest.approx(math.log(2))
    assert math.log(2) == pytest.approx(0.6931, abs=5e-5)
