"""Where negatives come from: a distribution over words, and draws from it in constant time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_unit_interval,
    require_weights,
)


def noise_distribution(counts: Tensor, power: float = 0.75) -> Tensor:
    """P_n(w) ∝ count(w)^power: 0 is uniform, 1 the frequency of words.

    Args:
        counts: [V], > 0, V ≥ 2: a reserved token that never occurs must be left out.
        power: in [0, 1].
    Returns:
        [V], sums to 1; in the type of counts, or torch's default type where they are
        whole numbers.
    Raises:
        ValueError: if a count is not positive, or power is out of [0, 1].
    Source:
        Mikolov, Sutskever, Chen, Corrado & Dean (2013), §2.2.
    """
    require_weights("counts", counts)
    require_unit_interval("power", power)
    weights = counts / counts.sum()  # before the power: no overflow in float16
    weights = weights**power
    return weights / weights.sum()


class AliasSampler:
    """Draws from V outcomes in O(1) each, by tables that take O(V) to build.

    A column i of V equal ones is chosen, then i itself with probability tᵢ, else its
    alias aᵢ. So p(i) = (tᵢ + Σ over the j with aⱼ = i of (1 − tⱼ))/V, which
    `probabilities` adds up again.

    Attributes:
        thresholds: t, [V], in [0, 1].
        aliases: a, [V], int64.
    Source:
        Walker (1977); Vose (1991).
    """

    def __init__(self, weights: Tensor) -> None:
        """Build the tables, in double precision, and put them where the weights are.

        Args:
            weights: [V], ≥ 0, not all 0, V ≥ 2; need not sum to 1.
        Raises:
            ValueError: otherwise.
        """
        require_weights("weights", weights, zeros=True)
        thresholds, aliases = _vose(weights.tolist())
        dtype = weights.dtype if weights.is_floating_point() else None
        self.thresholds = torch.tensor(thresholds, dtype=dtype, device=weights.device)
        self.aliases = torch.tensor(aliases, device=weights.device)

    def probabilities(self) -> Tensor:
        """What the tables draw from, [V]."""
        rest = torch.zeros_like(self.thresholds)
        rest = rest.index_add(0, self.aliases, 1 - self.thresholds)
        return (self.thresholds + rest) / len(self.thresholds)

    def sample(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Independent draws, with replacement.

        The random numbers are made where the generator is: with one on the CPU, every
        device draws the same words.

        Args:
            shape: of the result.
            generator: on any device.
        Returns:
            ids, int64, where the weights were.
        """
        tables, source = self.thresholds, generator.device
        column = torch.randint(
            len(tables), tuple(shape), generator=generator, device=source
        )
        height = torch.rand(
            tuple(shape), generator=generator, device=source, dtype=tables.dtype
        )
        column, height = column.to(tables.device), height.to(tables.device)
        place = column.flatten()  # of one vector index_select is faster than [column]
        threshold = tables.index_select(0, place).view(column.shape)
        alias = self.aliases.index_select(0, place).view(column.shape)
        return torch.where(height < threshold, column, alias)


def _vose(weights: list[float]) -> tuple[list[float], list[int]]:
    """Thresholds and aliases: each column below 1 is filled up from one above 1."""
    size, total = len(weights), sum(weights)
    left = [size * weight / total for weight in weights]
    thresholds, aliases = [1.0] * size, list(range(size))
    small = [i for i in range(size) if left[i] < 1]
    large = [i for i in range(size) if left[i] >= 1]
    while small and large:
        low, high = small.pop(), large[-1]
        thresholds[low], aliases[low] = left[low], high
        left[high] -= 1 - left[low]
        if left[high] < 1:
            small.append(large.pop())
    return thresholds, aliases  # what is left over is 1 up to rounding
