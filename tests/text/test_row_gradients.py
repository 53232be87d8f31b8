"""Gradients in a few rows against autograd and torch's loss, dense and in place."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from d2lcompanion.text.row_gradients import logistic_row_gradients

CENTERS = torch.tensor([2, 0, 2])
OTHERS = torch.tensor([[1, 1, 3], [4, 0, -1], [99, 1, 2]])
LABELS = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 1]]).bool()
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 1, 1]]).bool()


def tables(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((3, 4), (5, 4))  # the two need not have equally many rows
    v, u = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return v, u


def by_torch(v, u, shift, scale):
    scores = torch.einsum("bd,bmd->bm", v[CENTERS], u[OTHERS.masked_fill(~MASK, 0)]) - shift
    each = binary_cross_entropy_with_logits(scores, LABELS.double(), reduction="none")
    return each[MASK].sum() / scale


@pytest.mark.parametrize("shift", [None, 0.75, torch.arange(9.0).double().view(3, 3)])
@pytest.mark.parametrize("scale", [1.0, 3])
def test_against_autograd(shift, scale):
    v, u = (table.requires_grad_() for table in tables())
    loss = by_torch(v, u, 0 if shift is None else shift, scale)
    expected = torch.autograd.grad(loss, (v, u))
    at = v.detach(), u.detach()
    shift = torch.tensor(shift).double() if isinstance(shift, float) else shift
    more = {"mask": MASK, "shift": shift, "scale": scale}
    found = logistic_row_gradients(CENTERS, OTHERS, LABELS, *at, **more)
    assert found.center_rows.shape == (3, 4)
    assert found.other_rows.shape == (3, 3, 4)
    assert not bool(found.other_rows[~MASK].any())
    for ours, theirs in zip(found.dense(*at), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


def test_a_step_in_place_is_the_dense_step_and_touches_nothing_else():
    v, u = tables(1)
    rows = logistic_row_gradients(CENTERS, OTHERS, LABELS, v, u, mask=MASK)
    dense = rows.dense(v, u)
    expected = v - 0.3 * dense.center_vectors, u - 0.3 * dense.context_vectors
    before = v.clone(), u.clone()
    rows.descend(v, u, lr=0.3)
    for now, wanted in zip((v, u), expected, strict=True):
        torch.testing.assert_close(now, wanted, rtol=1e-13, atol=1e-14)
    assert torch.equal(v[1], before[0][1])  # word 1 is no center
    assert not torch.equal(v[2], before[0][2])


def test_bad_arguments_are_named():
    v, u = tables()
    good = {"centers": CENTERS, "others": OTHERS, "labels": LABELS, "mask": MASK}
    for change, message in {
        "flat": ({"others": OTHERS[0]}, r"others \[B, m\], got \[3\] and \[3\]"),
        "rows": ({"others": OTHERS[:2]}, r"others must have shape \[3, 3\], got \[2, 3\]"),
        "labels": ({"labels": LABELS.long()}, "labels must be of booleans, got torch.int64"),
        "mask": ({"mask": MASK[:2]}, r"mask must have shape \[3, 3\], got \[2, 3\]"),
        "id": ({"mask": None}, r"others must be ids in \[0, 5\), got -1"),
        "center": ({"centers": CENTERS + 1}, r"centers must be ids in \[0, 3\), got 3"),
    }.values():  # fmt: skip
        arguments = {**good, **change, "center_vectors": v, "other_vectors": u}
        with pytest.raises(ValueError, match=message):
            logistic_row_gradients(**arguments)
