"""A network with one hidden layer as a function of one parameter vector, and its symmetries.

Every hidden unit is a column of the first matrix and a row of the second. Units have no
names: put in another order, columns and rows alike, they make the same function.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from d2lcompanion.data.classification import ClassificationData


@dataclass(frozen=True, eq=False)
class TwoLayerNetwork:
    """f(θ) = cross-entropy of Z = tanh(XA)B on one data set; θ holds A [d, h], then B [h, k].

    Dimensions of θ before the last are a batch: many networks run in one matrix product.

    Attributes:
        features: X, [n, d]; a constant column gives the hidden units their biases.
        labels: [n].
        classes: k.
        width: h ≥ 1, the number of hidden units.
    Raises:
        ValueError: if the width is below 1.
    """

    features: Tensor
    labels: Tensor
    classes: int
    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be ≥ 1, got {self.width}")

    @classmethod
    def on(cls, data: ClassificationData, width: int) -> "TwoLayerNetwork":
        """The network for one data set."""
        return cls(data.features, data.labels, data.classes, width)

    @property
    def dim(self) -> int:
        """The number of parameters, h(d + k)."""
        return self.width * (self.features.shape[1] + self.classes)

    def layers(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """θ [..., dim] → A [..., d, h] and B [..., h, k]."""
        d, h, k = self.features.shape[1], self.width, self.classes
        first, second = theta[..., : d * h], theta[..., d * h :]
        batch = theta.shape[:-1]
        return first.reshape(*batch, d, h), second.reshape(*batch, h, k)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        """Random networks, [count, dim]: entries of A have variance 1/d, of B 1/h."""
        d, h, k = self.features.shape[1], self.width, self.classes
        scale = torch.cat(
            [torch.full((d * h,), d**-0.5), torch.full((h * k,), h**-0.5)]
        )
        normal = torch.randn(count, self.dim, generator=generator, dtype=torch.float64)
        return (normal * scale.double()).to(self.features)

    def scores(self, theta: Tensor) -> Tensor:
        """Z = tanh(XA)B, [..., n, k]."""
        a, b = self.layers(theta)
        return torch.tanh(self.features @ a) @ b

    def loss(self, theta: Tensor) -> Tensor:
        """Mean cross-entropy, [..., dim] → [...]."""
        z = self.scores(theta)
        right = z[..., torch.arange(len(self.labels)), self.labels]  # [..., n]
        return (z.logsumexp(-1) - right).mean(-1)

    def gradient(self, theta: Tensor) -> Tensor:
        """∇f, [..., dim] → [..., dim], by the chain rule."""
        a, b = self.layers(theta)
        hidden = torch.tanh(self.features @ a)  # [..., n, h]
        targets = one_hot(self.labels, self.classes).to(self.features)
        slope_z = ((hidden @ b).softmax(-1) - targets) / len(self.labels)
        slope_hidden = (slope_z @ b.mT) * (1 - hidden**2)  # tanh′ = 1 − tanh²
        slope_a = self.features.T @ slope_hidden
        slope_b = hidden.mT @ slope_z
        return torch.cat([slope_a.flatten(-2), slope_b.flatten(-2)], -1)

    def permuted(self, theta: Tensor, order: Tensor) -> Tensor:
        """The same network with its hidden units in another order; order is [h]."""
        a, b = self.layers(theta)
        return torch.cat(
            [a[..., :, order].flatten(-2), b[..., order, :].flatten(-2)], -1
        )


def segment(start: Tensor, end: Tensor, points: int = 41) -> Tensor:
    """Evenly spaced points from start to end, both included: [d], [d] → [points, d].

    Raises:
        ValueError: if points is below 2.
    """
    if points < 2:
        raise ValueError(f"points must be ≥ 2, got {points}")
    t = torch.linspace(0, 1, points, dtype=start.dtype, device=start.device)
    return torch.lerp(start, end, t[:, None])


def shuffled_order(width: int, generator: torch.Generator) -> Tensor:
    """A random order of the hidden units, [width], that is not the one they have.

    Raises:
        ValueError: if there are fewer than two units.
    """
    if width < 2:
        raise ValueError(f"width must be ≥ 2 for another order, got {width}")
    order = torch.randperm(width, generator=generator)
    return order if bool((order != torch.arange(width)).any()) else order.roll(1)
