"""NT-Xent against a slow loop, torch's cross-entropy, closed forms and its limits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, normalize

from d2lcompanion.vision.contrastive import (
    alignment,
    least_nt_xent,
    nt_xent,
    partner_accuracy,
    uniformity,
    view_scores,
)


def vectors(n, d=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2 * n, d, generator=generator, dtype=torch.float64)


def slow_loss(z, temperature):
    """The definition, view by view, in plain Python."""
    rows, n = [[float(v) for v in row] for row in z], len(z) // 2

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    total = 0.0
    for i, row in enumerate(rows):
        partner = i + n if i < n else i - n
        others = [
            math.exp(cosine(row, other) / temperature) for j, other in enumerate(rows) if j != i
        ]
        total -= math.log(math.exp(cosine(row, rows[partner]) / temperature) / sum(others))
    return total / len(rows)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 6), seed=st.integers(0, 999), temperature=st.floats(0.05, 5))
def test_equals_a_slow_loop(n, seed, temperature):
    z = vectors(n, seed=seed)
    assert float(nt_xent(z, temperature)) == pytest.approx(slow_loss(z, temperature), rel=1e-9)


def test_equals_torchs_cross_entropy_over_the_other_views():
    z, n, temperature = vectors(7), 7, 0.3
    u = normalize(z, dim=1)
    logits, targets = [], []
    for i in range(2 * n):
        others = [j for j in range(2 * n) if j != i]
        logits.append(u[others] @ u[i] / temperature)
        targets.append(others.index((i + n) % (2 * n)))
    expected = cross_entropy(torch.stack(logits), torch.tensor(targets))
    torch.testing.assert_close(nt_xent(z, temperature), expected)


def test_neither_order_nor_length_nor_rotation_matters():
    z, generator = vectors(6), torch.Generator().manual_seed(1)
    loss, first, second = nt_xent(z), *z.chunk(2)
    order = torch.randperm(6, generator=generator)
    turned = torch.linalg.qr(vectors(5, 10, seed=2)[:, :10])[0][:, :5]  # orthonormal columns
    lengths = torch.rand(12, 1, generator=generator, dtype=torch.float64) + 0.1
    for same in (
        torch.cat([second, first]),
        torch.cat([first[order], second[order]]),
        z * lengths,
        z @ turned.T,
    ):
        torch.testing.assert_close(nt_xent(same), loss)


def test_the_gradient_has_a_closed_form():
    """∂L/∂s_ij = (p_ij − [j = partner]) / 2nτ, through both places of s and the norm."""
    z, temperature = vectors(4).requires_grad_(), 0.4
    nt_xent(z, temperature).backward()
    with torch.no_grad():
        length = z.norm(dim=1, keepdim=True)
        u = z / length
        p = view_scores(z, temperature).softmax(1)
        error = (p - torch.eye(8, dtype=p.dtype).roll(4, 0)) / (8 * temperature)
        by_u = (error + error.T) @ u
        by_z = (by_u - (by_u * u).sum(1, keepdim=True) * u) / length
    torch.testing.assert_close(z.grad, by_z)


def test_the_gradient_agrees_with_differences():
    assert torch.autograd.gradcheck(nt_xent, (vectors(3).requires_grad_(),))


def test_a_hot_loss_is_a_guess_and_its_first_order_pulls_and_pushes():
    """L = log(2n − 1) + (mean cosine of others − mean cosine of partners)/τ + O(τ⁻²)."""
    z, n, temperature = vectors(5), 5, 1e4
    u = normalize(z, dim=1)
    cosine = u @ u.T
    partner = cosine.diagonal(n).mean()
    others = (cosine.sum() - 2 * n) / (2 * n * (2 * n - 1))
    expected = math.log(2 * n - 1) + (others - partner) / temperature
    assert float(nt_xent(z, temperature)) == pytest.approx(float(expected), abs=1e-7)


def test_a_cold_loss_sees_the_nearest_other_view_alone():
    z, n, temperature = vectors(5), 5, 1e-3
    scores = view_scores(z, 1.0)
    positive = torch.cat([scores.diagonal(n), scores.diagonal(n)])
    rest = scores.clone()
    rest[torch.arange(10), torch.arange(10).roll(n)] = -math.inf
    hinge = (rest.amax(1) - positive).clamp(min=0).mean()
    assert float(temperature * nt_xent(z, temperature)) == pytest.approx(float(hinge), abs=1e-3)


def simplex(n):
    """n unit vectors with cosine −1/(n − 1), each of them twice."""
    corners = torch.eye(n, dtype=torch.float64) - 1 / n
    return torch.cat([corners, corners])


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_the_least_value_is_that_of_a_simplex(n, temperature):
    least = least_nt_xent(n, temperature)
    assert float(nt_xent(simplex(n), temperature)) == pytest.approx(least, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 6), seed=st.integers(0, 999), temperature=st.floats(0.05, 5))
def test_no_vectors_get_below_it(n, seed, temperature):
    z = vectors(n, seed=seed)
    z = torch.cat([z[:n], z[:n] + 0.1 * z[n:]])
    assert float(nt_xent(z, temperature)) >= least_nt_xent(n, temperature) - 1e-12


def test_a_constant_pays_for_a_guess():
    z = torch.ones(12, 3)
    assert float(nt_xent(z, 0.2)) == pytest.approx(math.log(11), rel=1e-6)
    assert float(alignment(z)) == 0
    assert float(uniformity(z)) == pytest.approx(0, abs=1e-5)


def test_alignment_and_uniformity_equal_slow_loops():
    z, n = vectors(5), 5
    u = normalize(z, dim=1)
    close = sum(float((u[k] - u[n + k]).square().sum()) for k in range(n)) / n
    assert float(alignment(z)) == pytest.approx(close)
    kernel = [
        math.exp(-2 * float((u[i] - u[j]).square().sum()))
        for i in range(2 * n)
        for j in range(2 * n)
        if i % n != j % n
    ]
    assert float(uniformity(z)) == pytest.approx(math.log(sum(kernel) / len(kernel)))


def test_the_share_of_partners_found():
    z = vectors(6)
    assert float(partner_accuracy(torch.cat([z[:6], z[:6]]))) == 1
    swapped = torch.cat([z[:6], z[:6].roll(1, 0)])  # each finds the wrong one
    assert float(partner_accuracy(swapped)) == 0


@pytest.mark.parametrize(
    "function", [nt_xent, view_scores, partner_accuracy, alignment, uniformity]
)
def test_bad_input_is_named(function):
    for bad, message in (
        (torch.zeros(4), r"z must be \[2n, d\], got shape \[4\]"),
        (torch.zeros(5, 2), "even number of rows ≥ 4, got 5"),
        (torch.zeros(2, 2), "even number of rows ≥ 4, got 2"),
        (torch.full((4, 2), math.nan), r"z must be finite, got nan at \[0, 0\]"),
        (torch.zeros(4, 2).long(), "z must be floats, got torch.int64"),
    ):
        with pytest.raises(ValueError, match=message):
            function(bad)


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_bad_temperatures_are_named(temperature):
    for call in (lambda t: nt_xent(vectors(2), t), lambda t: least_nt_xent(2, t)):
        with pytest.raises(
            ValueError, match=f"temperature must be > 0 and finite, got {temperature}"
        ):
            call(temperature)
    with pytest.raises(ValueError, match="images must be a whole number ≥ 2, got 1"):
        least_nt_xent(1)
