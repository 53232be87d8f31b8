import math
from functools import partial

import pytest
import scipy.integrate
import scipy.stats
import torch

from d2lcompanion.optimization.deep_gradients import (
    RELU,
    SIGMOID,
    TANH,
    backpropagate,
    cross_entropy_gradient,
    gaussian_weights,
    gradient_norms,
    mean_field_factor,
    weight_gradients,
)

ACTIVATIONS = pytest.mark.parametrize("activation", [SIGMOID, RELU, TANH], ids=lambda a: a.name)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(n: int = 6, d: int = 4, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(n, d, generator=generator(1), dtype=torch.float64)
    return x, torch.randint(classes, (n,), generator=generator(2))


@ACTIVATIONS
def test_gradients_are_those_of_automatic_differentiation(activation):
    x, labels = data()
    weights = gaussian_weights([4, 5, 6, 3], gain=activation.gain, generator=generator())
    signals = backpropagate(weights, x, activation, partial(cross_entropy_gradient, labels=labels))
    leaves = [w.clone().requires_grad_() for w in weights]
    h = x
    for w in leaves[:-1]:
        h = activation.value(torch.nn.functional.linear(h, w))
    loss = torch.nn.functional.cross_entropy(torch.nn.functional.linear(h, leaves[-1]), labels)
    expected = torch.autograd.grad(loss, leaves)
    for ours, theirs in zip(weight_gradients(signals), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    norms = torch.stack([gradient.norm() for gradient in expected])
    torch.testing.assert_close(gradient_norms(signals), norms)
    assert signals.outputs.shape == (6, 3)
    assert [h.shape[1] for h in signals.inputs] == [4, 5, 6]
    assert [d.shape[1] for d in signals.errors] == [5, 6, 3]


@ACTIVATIONS
def test_the_slope_is_the_derivative(activation):
    z = torch.linspace(-30, 30, 101, dtype=torch.float64, requires_grad=True)  # no 0
    z = (z + 0.1).detach().requires_grad_()
    [expected] = torch.autograd.grad(activation.value(z).sum(), z)
    torch.testing.assert_close(activation.derivative(z.detach()), expected, atol=1e-12, rtol=1e-6)


def test_the_slope_of_sigmoid_is_at_most_a_quarter_and_keeps_its_tails():
    z = torch.linspace(-50, 50, 1001, dtype=torch.float64)
    slope = SIGMOID.derivative(z)
    assert float(slope.max()) == 0.25 == float(SIGMOID.derivative(torch.zeros(1))[0])
    assert float(SIGMOID.derivative(torch.tensor(50.0).double())) == pytest.approx(math.exp(-50))


def test_a_network_without_hidden_layers_is_a_matrix():
    x, labels = data()
    [w] = weights = gaussian_weights([4, 3], gain=7.0, generator=generator())
    signals = backpropagate(weights, x, RELU, partial(cross_entropy_gradient, labels=labels))
    torch.testing.assert_close(signals.outputs, x @ w.T)
    assert len(signals.errors) == 1


def test_cross_entropy_gradient_is_that_of_torch():
    logits = torch.randn(5, 4, generator=generator(), dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 3, 1, 1, 2])
    [expected] = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), logits)
    torch.testing.assert_close(cross_entropy_gradient(logits.detach(), labels), expected)
    with pytest.raises(ValueError, match=r"labels must have shape \[5\], got \[4\]"):
        cross_entropy_gradient(logits.detach(), labels[:4])


def test_weights_have_the_variance_that_was_asked_for():
    weights = gaussian_weights([400, 300, 200], gain=3.0, generator=generator())
    assert [list(w.shape) for w in weights] == [[300, 400], [200, 300]]
    assert float(weights[0].var()) == pytest.approx(9 / 400, rel=0.02)
    assert float(weights[1].var()) == pytest.approx(1 / 300, rel=0.02)
    single = gaussian_weights([4, 3], gain=1.0, generator=generator(), dtype=torch.float32)
    double = gaussian_weights([4, 3], gain=1.0, generator=generator())
    assert torch.equal(single[0], double[0].float())


@pytest.mark.parametrize(
    ("widths", "gain", "message"),
    [
        ([4], 1.0, "number of widths must be a whole number ≥ 2, got 1"),
        ([4, 0], 1.0, "width must be a whole number ≥ 1, got 0"),
        ([4, 3], 0.0, "gain must be > 0 and finite, got 0.0"),
    ],
)
def test_sizes_are_checked(widths, gain, message):
    with pytest.raises(ValueError, match=message):
        gaussian_weights(widths, gain=gain, generator=generator())


def test_shapes_are_checked():
    x, _ = data()
    weights = gaussian_weights([5, 3], gain=1.0, generator=generator())
    with pytest.raises(ValueError, match=r"must fit its input .* got \[3, 5\] and \[6, 4\]"):
        backpropagate(weights, x, RELU, lambda out: out)
    weights = gaussian_weights([4, 3], gain=1.0, generator=generator())
    with pytest.raises(ValueError, match=r"output_gradient must have shape \[6, 3\], got \[6\]"):
        backpropagate(weights, x, RELU, lambda out: out[:, 0])
    with pytest.raises(ValueError, match="number of weights must be a whole number ≥ 1, got 0"):
        backpropagate([], x, RELU, lambda out: out)


# ------------------------------------------------------------------------------------- the theorem


def mean_square_of_one_output(activation, gain, networks=4000, depth=4, width=8):
    """E ‖∂(output)/∂Wˡ‖² over networks with one output, for one input."""
    x = torch.tensor([[1.0, -2.0, 0.5, 1.5]], dtype=torch.float64)
    source, total = generator(3), 0.0
    for _ in range(networks):
        weights = gaussian_weights([4, *[width] * depth, 1], gain=gain, generator=source)
        total = (
            total + gradient_norms(backpropagate(weights, x, activation, torch.ones_like)).square()
        )
    return total / networks, float(x.square().sum())


def test_relu_keeps_the_mean_square_exactly():
    """‖x‖²/2 · m/d in every hidden layer but the first, ‖x‖²/2 in the first (g² = 2)."""
    measured, size = mean_square_of_one_output(RELU, math.sqrt(2))
    expected = torch.tensor([size / 2, *[size / 2 * 8 / 4] * 3], dtype=torch.float64)
    torch.testing.assert_close(measured[:-1], expected, rtol=0.12, atol=0)


def test_sigmoid_stays_below_its_bound():
    """A layer multiplies the mean square by at most g²/16, less where the slope is below ¼."""
    measured, _ = mean_square_of_one_output(SIGMOID, 1.0, networks=500, depth=5)
    ratios = measured[1:4] / measured[2:5]
    assert (ratios < 1 / 16 * 1.1).all()
    assert (ratios > 1 / 16 * 0.8).all()


# ---------------------------------------------------------------------------------- the mean field


def test_relu_at_its_own_gain_neither_grows_nor_shrinks():
    assert mean_field_factor(RELU, math.sqrt(2)) == pytest.approx(1, abs=1e-12)
    assert mean_field_factor(RELU, 1.0) == pytest.approx(math.sqrt(0.5), abs=1e-12)


@pytest.mark.parametrize("gain", [0.5, 1.0, 3.0])
def test_the_factor_of_sigmoid_is_that_of_adaptive_quadrature(gain):
    def mean(function):
        return scipy.integrate.quad(lambda t: function(t) * scipy.stats.norm.pdf(t), -12, 12)[0]

    q = 1.0
    for _ in range(100):
        q = mean(lambda t, q=q: 1 / (1 + math.exp(-gain * math.sqrt(q) * t)) ** 2)

    def slope(t):
        s = 1 / (1 + math.exp(-gain * math.sqrt(q) * t))
        return (s * (1 - s)) ** 2

    expected = gain * math.sqrt(mean(slope))
    assert mean_field_factor(SIGMOID, gain) == pytest.approx(expected, rel=1e-6)
    assert mean_field_factor(SIGMOID, gain) < gain / 4


@ACTIVATIONS
def test_wide_networks_follow_the_mean_field(activation):
    x = torch.randn(1, 400, generator=generator(5), dtype=torch.float64)
    weights = gaussian_weights(
        [400, *[400] * 12, 400], gain=activation.gain, generator=generator(6)
    )
    norms = gradient_norms(backpropagate(weights, x, activation, torch.ones_like))
    measured = float((norms[4] / norms[11]) ** (1 / 7))
    assert measured == pytest.approx(mean_field_factor(activation, activation.gain), rel=0.05)


def test_the_gain_is_checked():
    with pytest.raises(ValueError, match="gain must be > 0 and finite, got -1"):
        mean_field_factor(RELU, -1)
