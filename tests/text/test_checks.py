"""What is refused, with the value in the message, and what is let through at the edges."""

import math

import pytest
import torch

from d2lcompanion.text import checks

X = torch.zeros(2, 3)
GOOD = {
    "least": lambda: checks.require_at_least("k", 1, 1),
    "ends": lambda: [checks.require_unit_interval("p", end) for end in (0, 1)],
    "choice": lambda: checks.require_choice("way", "sum", ("sum", "mean")),
    "shape": lambda: checks.require_shape("x", X, (2, 3)),
    "matrix": lambda: checks.require_matrix("x", X.double()),
    "tables": lambda: checks.require_vector_tables(X, X),
    "ids": lambda: checks.require_ids("ids", torch.tensor([[0], [4]]), 5),
    "small ids": lambda: checks.require_ids("ids", torch.tensor([4], dtype=torch.int32), 5),
    "no ids": lambda: checks.require_ids("ids", torch.zeros(0, dtype=torch.int64), 5),
    "mask": lambda: checks.require_mask("mask", X.bool(), (2, 3)),
    "weights": lambda: checks.require_weights("w", torch.tensor([1e-30, 1.0])),
    "zeros": lambda: checks.require_weights("w", torch.tensor([0, 1]), zeros=True),
}  # fmt: skip
BAD = {
    "half": (lambda: checks.require_at_least("k", 2.5, 1), "k must be a whole number ≥ 1, got 2.5"),
    "true": (lambda: checks.require_at_least("k", True, 1), "k must be .* got True"),
    "above": (lambda: checks.require_unit_interval("p", 1.01), r"p must be in \[0, 1\], got 1\.01"),
    "nan": (lambda: checks.require_unit_interval("p", math.nan), "got nan"),
    "choice": (lambda: checks.require_choice("way", "max", ("sum",)), r"of \['sum'\], got 'max'"),
    "shape": (lambda: checks.require_shape("x", X, (3, 2)), r"shape \[3, 2\], got \[2, 3\]"),
    "empty": (lambda: checks.require_matrix("x", X[:0]), r"of floats, got shape \[0, 3\]"),
    "roles": (lambda: checks.require_vector_tables(X, X[:1]), r"shape \[2, 3\], got \[1, 3\]"),
    "id": (lambda: checks.require_ids("w", torch.tensor([0, 5]), 5), r"in \[0, 5\), got 5"),
    "negative": (lambda: checks.require_ids("w", torch.tensor([-1, 9]), 5), "got -1"),
    "booleans": (lambda: checks.require_ids("w", X.bool(), 5), "whole numbers, got torch.bool"),
    "mask": (lambda: checks.require_mask("m", X, (2, 3)), "of booleans, got torch.float32"),
    "weight": (
        lambda: checks.require_weights("w", torch.tensor([1.0, 2.0, -3.0])),
        "w must be > 0 and finite, got -3.0 for word 2",
    ),
    "infinite": (
        lambda: checks.require_weights("w", torch.tensor([1.0, math.inf]), zeros=True),
        "w must be ≥ 0 and finite, got inf for word 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", GOOD.values(), ids=list(GOOD))
def test_edges_pass(call):
    call()


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_values_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
