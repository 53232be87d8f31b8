"""Entropies against SciPy, closed forms, and the inequalities of information theory."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.entropy import conditional_entropy, entropy, unigram_loss

ROWS = st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=5)
TABLES = ROWS.filter(lambda rows: any(map(any, rows))).map(torch.tensor)


@settings(max_examples=100, deadline=None)
@given(TABLES)
def test_against_scipy_and_row_by_row(counts):
    assert float(entropy(counts)) == pytest.approx(scipy.stats.entropy(counts.flatten().numpy()))
    by_row = sum(
        int(row.sum()) / int(counts.sum()) * scipy.stats.entropy(row.numpy())
        for row in counts
        if row.any()
    )
    assert float(conditional_entropy(counts)) == pytest.approx(by_row, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(TABLES)
def test_knowing_the_row_never_hurts(counts):
    known, unknown = conditional_entropy(counts), entropy(counts.sum(0))
    assert -1e-12 <= float(known) <= float(unknown) + 1e-12
    assert float(unknown) <= math.log(4) + 1e-12


def test_closed_forms():
    assert float(entropy(torch.ones(8))) == pytest.approx(math.log(8))
    assert float(entropy(torch.tensor([7, 0, 0]))) == 0
    assert float(entropy(torch.tensor([2, 1, 1]))) == pytest.approx(1.5 * math.log(2))
    independent = torch.outer(torch.tensor([1.0, 3]), torch.tensor([2.0, 1, 1]))
    assert float(conditional_entropy(independent)) == pytest.approx(1.5 * math.log(2))
    assert float(conditional_entropy(torch.eye(3))) == pytest.approx(0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=3, max_size=3), st.floats(0.01, 5))
def test_unigram_loss_against_torch_and_gibbs(seen, add):
    """A cross-entropy, never below the entropy of what is asked, and equal for equal shares."""
    seen, asked = torch.tensor(seen), torch.tensor([4, 0, 6])
    found = float(unigram_loss(seen, asked, add=add))
    logits = (seen.double() + add).log()
    words = torch.tensor([0] * 4 + [2] * 6)
    expected = torch.nn.functional.cross_entropy(logits.expand(10, 3), words)
    assert found == pytest.approx(float(expected))
    assert found >= float(entropy(asked)) - 1e-12
    assert float(unigram_loss(asked * 10**9, asked)) == pytest.approx(
        float(entropy(asked)), abs=1e-6
    )


ONES = torch.ones(3)
BAD = {
    "negative": (lambda: entropy(torch.tensor([1.0, -2])), "counts must be ≥ 0 and finite, got -2.0"),
    "nan": (lambda: entropy(torch.tensor([math.nan])), "counts must be ≥ 0 and finite, got nan"),
    "zeros": (lambda: entropy(torch.zeros(3)), "counts must not all be 0, got 3 zeros"),
    "nothing": (lambda: entropy(torch.zeros(0)), "counts must not all be 0, got 0 zeros"),
    "vector": (lambda: conditional_entropy(ONES), r"counts must be \[V, W\], got shape \[3\]"),
    "shapes": (lambda: unigram_loss(ONES, ONES[:2]), r"asked must have shape \[3\], got \[2\]"),
    "add": (lambda: unigram_loss(ONES, ONES, add=0), "add must be > 0 and finite, got 0"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
