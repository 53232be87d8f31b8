"""What the study of batch sizes trains: least squares, and a small network, many copies at once.

Copies with other rates and other seeds stand side by side as rows of one tensor, x [rates,
runs, p]. All rates of a run see the same batches.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from d2lcompanion.data.regression import RegressionData
from d2lcompanion.experiments.image_classification import Images
from d2lcompanion.optimization.minibatch import NoiseScale, gradient_noise_scale
from d2lcompanion.optimization.stochastic import least_squares_sum

CHUNK = 240  # gradients of single images at a time


@dataclass(frozen=True, eq=False)
class Problem:
    """A loss over n rows that batches can be asked of.

    Attributes:
        name: for the record.
        size: n.
        start: (runs, generator) → x₀, [runs, p].
        gradient: (x [k, runs, p], rows [runs, b]) → [k, runs, p], of the mean loss of the
            rows.
        loss: x [k, runs, p] → [k, runs], what the target is about.
        noise_scales: x [p] → name → noise scale there, "simple" always; "hessian" where
            the Hessian is at hand.
    """

    name: str
    size: int
    start: Callable[[int, torch.Generator], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]
    loss: Callable[[Tensor], Tensor]
    noise_scales: Callable[[Tensor], dict[str, NoiseScale]]


def least_squares_problem(
    data: RegressionData, dtype: torch.dtype, device: torch.device | str
) -> Problem:
    """½ · mean squared error from x₀ = 0; its loss is the gap to the smallest value."""
    terms = least_squares_sum(
        data.features.to(device, dtype), data.target.to(device, dtype)
    )
    minimum = terms.objective.minimum
    assert minimum is not None
    every_row = torch.arange(terms.size, device=device)[:, None]  # [n, 1]

    def start(runs: int, generator: torch.Generator) -> Tensor:
        return data.features.new_zeros(runs, data.features.shape[1]).to(device, dtype)

    def noise_scales(x: Tensor) -> dict[str, NoiseScale]:
        each = terms.sample_gradient(x.expand(terms.size, -1), every_row)  # [n, d]
        hessian = terms.objective.hessian(x)
        return {
            "simple": gradient_noise_scale(each),
            "hessian": gradient_noise_scale(each, hessian=hessian),
        }

    return Problem(
        data.name,
        terms.size,
        start,
        terms.sample_gradient,
        lambda x: terms.objective.value(x) - minimum,
        noise_scales,
    )


def image_problem(images: Images, hidden: int) -> Problem:
    """A network 784 → hidden → 10 with ReLU; its loss is the cross-entropy on the held-out images.

    Weights are drawn by He's rule, on the CPU; biases are 0.

    Args:
        images: on the device to train on.
        hidden: width of the layer.
    """
    pixels, labels = images.train.flatten(1), images.train_labels
    held_out, held_out_labels = images.held_out.flatten(1), images.held_out_labels
    n, d, classes = len(pixels), pixels.shape[1], 10
    sizes = (d * hidden, hidden, hidden * classes, classes)

    def start(runs: int, generator: torch.Generator) -> Tensor:
        first = torch.randn(runs, sizes[0], generator=generator) * (2 / d) ** 0.5
        second = torch.randn(runs, sizes[2], generator=generator) * (2 / hidden) ** 0.5
        zeros = [torch.zeros(runs, size) for size in (sizes[1], sizes[3])]
        return torch.cat([first, zeros[0], second, zeros[1]], 1).to(pixels)

    def losses(x: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of networks x [k, runs, p] on inputs [runs, b, 784]: [k, runs].

        The first layers of all k networks that see the same inputs are one matrix.
        """
        k, runs, _ = x.shape
        w, bias, v, c = x.split(sizes, 2)  # type: ignore[no-untyped-call]
        wide = w.view(k, runs, d, hidden).permute(1, 2, 0, 3).reshape(runs, d, -1)
        h = (inputs @ wide).view(runs, -1, k, hidden).permute(2, 0, 1, 3)
        h = (h + bias[:, :, None]).relu()  # [k, runs, b, hidden]
        z = h @ v.view(k, runs, hidden, classes) + c[:, :, None]
        answers = targets.expand(k, -1, -1)
        each = cross_entropy(z.flatten(0, 2), answers.flatten(), reduction="none")
        return each.view(answers.shape).mean(2)

    def gradient(x: Tensor, rows: Tensor) -> Tensor:
        variable = x.detach().requires_grad_()
        with torch.enable_grad():
            total = losses(
                variable, pixels[rows], labels[rows]
            ).sum()  # networks do not mix
        return torch.autograd.grad(total, variable)[0]

    @torch.no_grad()
    def loss(x: Tensor) -> Tensor:
        networks = x.flatten(0, 1)[:, None]  # [k · runs, 1, p]: all see the same images
        return losses(networks, held_out[None], held_out_labels[None]).view(
            x.shape[:-1]
        )

    def noise_scales(x: Tensor) -> dict[str, NoiseScale]:
        squares, mean = 0.0, torch.zeros_like(x)
        for rows in torch.arange(n, device=x.device).split(CHUNK):  # type: ignore[no-untyped-call]
            each = gradient(x.expand(1, len(rows), -1), rows[:, None])[0]  # [chunk, p]
            squares += float(each.square().sum()) / n
            mean += each.sum(0) / n
        signal = float(mean @ mean)
        return {"simple": NoiseScale(signal, squares - signal)}

    return Problem("fashion-mnist", n, start, gradient, loss, noise_scales)
