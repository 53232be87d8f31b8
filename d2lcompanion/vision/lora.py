"""Low-rank adapters: the weights stay, and a product of two thin matrices is learned.

W + s·BA with A [r, in], B [out, r] and s = α/r. B starts at 0, so the network starts as
it was. A convolution's filters are a matrix [out, in·h·w]; then A is a convolution to r
channels, and B one of a single pixel behind it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from d2lcompanion.vision.checks import require_at_least, require_positive
from d2lcompanion.vision.fine_tuning import find_part, set_part


class Adapted(nn.Module):
    """A frozen linear map or convolution, and its adapter.

    Args:
        base: Linear, or Conv2d of one group with zero padding. It is frozen.
        rank: r, at most that of the weight's matrix.
        alpha: α; the update is scaled by α/r, so that rates carry over between ranks.
        generator: on the CPU, draws A uniformly in ±1/√inputs.
    Raises:
        ValueError: if the part is another, or a number is out of range.
    Source:
        Hu et al. (2022), *LoRA: Low-Rank Adaptation of Large Language Models*, §4.1.
    """

    def __init__(
        self,
        base: nn.Module,
        rank: int,
        alpha: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        base = _require_adaptable(base)
        matrix = base.weight.flatten(1)  # [out, in] or [out, in·h·w]
        require_at_least("rank", rank, 1)
        require_positive("alpha", alpha)
        if rank > min(matrix.shape):
            raise ValueError(
                f"rank must be ≤ {min(matrix.shape)}, that of a weight "
                f"{list(matrix.shape)}, got {rank}"
            )
        outputs, inputs = matrix.shape
        self.base = base.requires_grad_(requires_grad=False)
        self.scale = alpha / rank
        down = torch.empty(rank, inputs).uniform_(-1, 1, generator=generator)
        self.down = nn.Parameter((down / inputs**0.5).to(base.weight))  # A
        self.up = nn.Parameter(base.weight.new_zeros(outputs, rank))  # B

    def forward(self, x: Tensor) -> Tensor:
        """The base's output + s·B(Ax), without the product BA."""
        base: Tensor = self.base(x)
        return base + self.scale * self._update(x)

    def _update(self, x: Tensor) -> Tensor:
        if isinstance(self.base, nn.Linear):
            return linear(linear(x, self.down), self.up)
        conv = self.base
        assert isinstance(conv, nn.Conv2d)
        filters = self.down.view(-1, *conv.weight.shape[1:])
        few = conv2d(
            x, filters, None, conv.stride, conv.padding, conv.dilation
        )  # [n, r, h, w]
        return conv2d(few, self.up[:, :, None, None])

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """The base with W + s·BA: one matrix again, no cost at inference."""
        weight = self.base.weight
        assert isinstance(weight, Tensor)
        weight += self.scale * (self.up @ self.down).view_as(weight)
        return self.base


def _require_adaptable(base: nn.Module) -> nn.Linear | nn.Conv2d:
    if isinstance(base, nn.Conv2d):
        if base.groups != 1 or base.padding_mode != "zeros":
            raise ValueError(
                "a convolution with an adapter must have groups 1 and zero padding, got "
                f"groups {base.groups} and padding {base.padding_mode!r}"
            )
        return base
    if not isinstance(base, nn.Linear):
        raise ValueError(f"base must be Linear or Conv2d, got {type(base).__name__}")
    return base


def add_adapters(
    net: nn.Module,
    names: Sequence[str],
    rank: int,
    *,
    alpha: float | None = None,
    generator: torch.Generator | None = None,
) -> None:
    """Give these parts adapters, in place; others stay trainable or frozen as they are.

    Args:
        names: of Linear or Conv2d parts.
        rank: r, for all.
        alpha: by default r, so that s = 1.
    Raises:
        ValueError: if a part is missing, of another kind, or twice named; if the rank
            does not fit. Nothing is changed then.
    """
    if len(set(names)) != len(names):
        raise ValueError(f"names must be different, got {list(names)}")
    require_at_least("rank", rank, 1)
    for name in names:
        base = find_part(net, name)
        try:
            most = min(_require_adaptable(base).weight.flatten(1).shape)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if rank > most:
            raise ValueError(f"{name}: rank must be ≤ {most}, got {rank}")
    for name in names:
        adapted = Adapted(
            find_part(net, name), rank, rank if alpha is None else alpha, generator
        )
        set_part(net, name, adapted)


def merge_adapters(net: nn.Module) -> int:
    """Add every adapter to its weight and take it out, in place; weights stay frozen.

    Returns:
        How many there were.
    """
    found = [name for name, part in net.named_modules() if isinstance(part, Adapted)]
    for name in found:
        part = find_part(net, name)
        assert isinstance(part, Adapted)
        set_part(net, name, part.merged())
    return len(found)


def remove_adapters(net: nn.Module) -> int:
    """Take every adapter out, in place: the network that was adapted, bit for bit.

    Returns:
        How many there were.
    """
    found = [name for name, part in net.named_modules() if isinstance(part, Adapted)]
    for name in found:
        part = find_part(net, name)
        assert isinstance(part, Adapted)
        set_part(net, name, part.base)
    return len(found)
