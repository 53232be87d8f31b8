"""Loss and gradient against torch, finite differences and what is known for extreme logits."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from d2lcompanion.text import cross_entropy as cross_entropy_module
from d2lcompanion.text.cross_entropy import cross_entropy_sum


def problem(rows=6, pieces=9, dtype=torch.float64, scale=3.0):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(rows, pieces, generator=generator, dtype=dtype)
    return logits.requires_grad_(), torch.randint(pieces, (rows,), generator=generator)


@pytest.mark.parametrize(
    ("dtype", "loss_error", "gradient_error"),
    [(torch.float64, 1e-12, 1e-14), (torch.float32, 1e-5, 1e-6), (torch.bfloat16, 1e-5, 5e-3)],
)
@pytest.mark.parametrize("shape", [(6, 9), (1, 2), (40, 500)])
def test_torch_s_loss_and_gradient(dtype, loss_error, gradient_error, shape):
    logits, wanted = problem(*shape, dtype=dtype)
    found = cross_entropy_sum(logits, wanted)
    (gradient,) = torch.autograd.grad(2.5 * found, logits)
    wide = logits.detach().double().requires_grad_()
    expected = cross_entropy(wide, wanted, reduction="sum")
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    assert found.item() == pytest.approx(expected.item(), rel=loss_error)
    assert gradient.dtype == dtype
    error = (gradient.double() - torch.autograd.grad(2.5 * expected, wide)[0]).abs().max()
    assert error.item() < 2.5 * gradient_error


def test_finite_differences():
    logits, wanted = problem(3, 4)
    cross_entropy_sum(logits, wanted).backward()
    for place in torch.cartesian_prod(torch.arange(3), torch.arange(4)):
        step = torch.zeros(3, 4, dtype=torch.float64)
        step[tuple(place)] = 1e-5
        ahead, behind = (cross_entropy_sum(logits + h, wanted).item() for h in (step, -step))
        assert logits.grad[tuple(place)].item() == pytest.approx((ahead - behind) / 2e-5, abs=1e-9)


@pytest.mark.parametrize("size", [1, 8, 9, 20, 10_000])
def test_however_many_rows_are_taken_at_a_time(size, monkeypatch):
    monkeypatch.setattr(cross_entropy_module, "IN_CACHE", size)
    logits, wanted = problem()
    loss = cross_entropy_sum(logits, wanted)
    loss.backward()
    again = logits.detach().requires_grad_()
    expected = cross_entropy(again, wanted, reduction="sum")
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.allclose(logits.grad, again.grad, atol=1e-14)


def test_a_right_answer_that_has_no_probability_left():
    """Its p is 0 in float32; the loss is the difference of the logits, and no infinity."""
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = cross_entropy_sum(logits, torch.tensor([1]))
    loss.backward()
    assert loss.item() == 2e4
    assert logits.grad.tolist() == [[1.0, -1.0, 0.0]]


def test_alike_for_all_is_ln_of_their_number():
    assert float(cross_entropy_sum(torch.zeros(5, 7), torch.arange(5))) == pytest.approx(
        5 * math.log(7)
    )


def test_no_row_costs_nothing():
    logits = torch.zeros(0, 7, requires_grad=True)
    loss = cross_entropy_sum(logits, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.shape == (0, 7)


def test_the_logits_stay_as_they_are():
    logits, wanted = problem()
    before = logits.detach().clone()
    cross_entropy_sum(logits, wanted).backward()
    assert torch.equal(logits.detach(), before)


def test_a_second_gradient_of_one_loss_is_refused():
    logits, wanted = problem()
    loss = cross_entropy_sum(logits, wanted)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    ("logits", "wanted", "message"),
    [
        (torch.zeros(7), torch.zeros(7, dtype=torch.int64), r"logits must be \[N, V\], got \[7\]"),
        (torch.zeros(3, 7), torch.zeros(2, dtype=torch.int64), r"wanted .*\[3\].*\[2\]"),
        (torch.zeros(2, 7), torch.tensor([0, 7]), r"wanted must be ids in \[0, 7\), got 7"),
        (torch.zeros(2, 7), torch.tensor([0, -100]), r"got -100"),
        (torch.zeros(2, 7), torch.tensor([0.0, 1.0]), "whole numbers"),
    ],
)
def test_what_does_not_fit_is_named(logits, wanted, message):
    with pytest.raises(ValueError, match=message):
        cross_entropy_sum(logits, wanted)


def test_where_no_gradient_is_wanted_the_loss_is_the_same_bit_for_bit():
    logits, wanted = problem(40, 500, torch.float32)
    found = cross_entropy_sum(logits.detach(), wanted)
    assert not found.requires_grad
    assert torch.equal(found, cross_entropy_sum(logits, wanted).detach())
