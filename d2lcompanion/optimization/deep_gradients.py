"""Gradients in deep networks, layer by layer: backpropagation by hand, and how sizes change.

A network here is a list of weight matrices W¹ … W^{L+1} without biases. For a row x,

    h⁰ = x,  zˡ = Wˡhˡ⁻¹,  hˡ = φ(zˡ) for l = 1 … L,  output = W^{L+1}h^L.

Backpropagation carries δˡ = ∂(loss)/∂zˡ from the output to the input,

    δˡ = (W^{l+1})ᵀδ^{l+1} ⊙ φ′(zˡ),  ∂(loss)/∂Wˡ = δˡ(hˡ⁻¹)ᵀ.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.optimization.checks import (
    require_at_least,
    require_positive,
    require_shape,
)

NODES = 200  # of the Gauss–Hermite rule; even, so that no node is 0, where ReLU bends


class Activation(NamedTuple):
    """φ and φ′, elementwise, and the gain g that its weights usually start with."""

    name: str
    value: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    gain: float  # weights have the variance g²/fan_in


def _sigmoid_slope(z: Tensor) -> Tensor:
    return torch.sigmoid(z) * torch.sigmoid(-z)  # σ(1 − σ) ≤ ¼, without cancellation


SIGMOID = Activation("sigmoid", torch.sigmoid, _sigmoid_slope, 1.0)
RELU = Activation("ReLU", torch.relu, lambda z: (z > 0).to(z.dtype), math.sqrt(2))
TANH = Activation("tanh", torch.tanh, lambda z: 1 - torch.tanh(z) ** 2, 1.0)


def gaussian_weights(
    widths: Sequence[int],
    *,
    gain: float,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> list[Tensor]:
    """Wˡ with independent entries N(0, g²/m_{l−1}); the last matrix has g = 1.

    g = 1 is the choice of Glorot & Bengio (2010) for layers of equal width, g = √2 that
    of He et al. (2015) for ReLU.

    Args:
        widths: m₀ (the inputs), m₁ … m_L (the hidden layers), m_{L+1} (the outputs).
        gain: g > 0.
        generator: of the weights, which are on its device.
        dtype: of the weights; they are drawn in float64 and then rounded.
    Returns:
        L + 1 matrices, [m₁, m₀] … [m_{L+1}, m_L].
    Raises:
        ValueError: if there are fewer than two widths, one is below 1, or g is not
            positive.
    """
    require_positive("gain", gain)
    require_at_least("number of widths", len(widths), 2)
    for width in widths:
        require_at_least("width", width, 1)
    weights = []
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
        g = 1.0 if layer == len(widths) - 2 else gain
        w = torch.randn(
            fan_out,
            fan_in,
            generator=generator,
            device=generator.device,
            dtype=torch.float64,
        )
        weights.append((w * g / math.sqrt(fan_in)).to(dtype))
    return weights


class Signals(NamedTuple):
    """What went forward and what came back, each [N, width of its layer]."""

    inputs: list[Tensor]  # h⁰ … h^L: what each matrix was applied to
    errors: list[Tensor]  # δ¹ … δ^{L+1}: the gradient at what each matrix gave
    outputs: Tensor  # [N, m_{L+1}]


def backpropagate(
    weights: Sequence[Tensor],
    x: Tensor,
    activation: Activation,
    output_gradient: Callable[[Tensor], Tensor],
) -> Signals:
    """Forward: zˡ = Wˡhˡ⁻¹, hˡ = φ(zˡ). Back: δˡ = (W^{l+1})ᵀδ^{l+1} ⊙ φ′(zˡ).

    Args:
        weights: W¹ … W^{L+1}.
        x: [N, m₀], one input a row.
        activation: φ and φ′; the last layer has none.
        output_gradient: outputs [N, m_{L+1}] → the gradient of the loss there, of the
            same shape.
    Raises:
        ValueError: if shapes do not match.
    Source:
        Rumelhart, Hinton & Williams (1986).
    """
    require_at_least("number of weights", len(weights), 1)
    inputs, slopes = [x], []
    for w in weights[:-1]:
        z = _apply(w, inputs[-1])
        slopes.append(activation.derivative(z))  # φ′(zˡ)
        inputs.append(activation.value(z))  # hˡ
    outputs = _apply(weights[-1], inputs[-1])
    delta = output_gradient(outputs)
    require_shape("output_gradient", delta, outputs.shape)
    errors = [delta]
    for w, slope in zip(reversed(weights[1:]), reversed(slopes), strict=True):
        delta = (delta @ w) * slope
        errors.append(delta)
    return Signals(inputs, errors[::-1], outputs)


def weight_gradients(signals: Signals) -> list[Tensor]:
    """∂(loss)/∂Wˡ = Σₙ δₙˡ(hₙˡ⁻¹)ᵀ for l = 1 … L + 1, each of the shape of its matrix."""
    pairs = zip(signals.errors, signals.inputs, strict=True)
    return [delta.T @ h for delta, h in pairs]


def gradient_norms(signals: Signals) -> Tensor:
    """‖∂(loss)/∂Wˡ‖, the root of the sum of squares, for l = 1 … L + 1: [L + 1]."""
    return torch.stack([gradient.norm() for gradient in weight_gradients(signals)])


def cross_entropy_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """(softmax(logits) − one-hot(labels))/N, the gradient of the mean cross-entropy.

    Args:
        logits: [N, classes].
        labels: [N], int64.
    Returns:
        [N, classes].
    Raises:
        ValueError: if the shapes do not match.
    """
    require_shape("labels", labels, logits.shape[:1])
    one_hot = torch.nn.functional.one_hot(labels, logits.shape[-1])
    return (logits.softmax(-1) - one_hot.to(logits.dtype)) / len(logits)


def mean_field_factor(activation: Activation, gain: float) -> float:
    """The factor √χ by which a gradient's size changes in each layer of a very wide network.

    In such a network zˡ is Gaussian with the variance g²q, where q = E h². With ξ
    standard normal,

        q = E φ(g√q ξ)²  (a fixed point),  χ = g² E φ′(g√q ξ)².

    Where there are several fixed points, this takes the one that iteration from q = 1
    finds.

    Args:
        activation: φ and φ′.
        gain: g > 0, weights have the variance g²/fan_in.
    Raises:
        ValueError: if g is not positive.
    Source:
        Schoenholz, Gilmer, Ganguli & Sohl-Dickstein (2017), *Deep information
            propagation*.
    """
    require_positive("gain", gain)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    xi, p = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
    q = 1.0
    for _ in range(200):
        q = float(p @ activation.value(gain * math.sqrt(q) * xi).square())
    chi = gain**2 * float(p @ activation.derivative(gain * math.sqrt(q) * xi).square())
    return math.sqrt(chi)


def _apply(w: Tensor, h: Tensor) -> Tensor:
    """Wh for every row h of [N, m]."""
    if w.ndim != 2 or h.ndim != 2 or w.shape[1] != h.shape[1]:
        raise ValueError(
            f"a weight [out, in] must fit its input [N, in], "
            f"got {list(w.shape)} and {list(h.shape)}"
        )
    return h @ w.T
