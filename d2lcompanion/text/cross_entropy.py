"""Cross-entropy whose gradient is made on the way forward.

Both passes need the probabilities p: the loss −ln p_y, and its gradient p − e_y, where
e_y is 1 at the right answer. So p − e_y is formed once, in the memory of p. For M hidden
words and V pieces this spares several arrays of M × V numbers, the largest that
pretraining makes.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from d2lcompanion.text.checks import require_ids, require_shape

IN_CACHE = 2**18  # numbers


def cross_entropy_sum(logits: Tensor, wanted: Tensor) -> Tensor:
    """Σ −ln softmax(z)_y over rows, nats.

    Its gradient can be taken once: the backward pass overwrites what it has kept.

    Args:
        logits: z, [N, V]; N may be 0. The sum is taken in float32 at least; the gradient
            has the type of z.
        wanted: y, [N], int64.
    Returns:
        [], the same as `torch.nn.functional.cross_entropy(…, reduction="sum")`.
    Raises:
        ValueError: if shapes differ, or an answer that lies on the CPU is not in 0 … V − 1.
    """
    if logits.ndim != 2:
        raise ValueError(f"logits must be [N, V], got {list(logits.shape)}")
    require_shape("wanted", wanted, (logits.shape[0],))
    if wanted.device.type == "cpu":
        require_ids("wanted", wanted, logits.shape[1])
    found: Tensor = _CrossEntropySum.apply(logits, wanted)
    return found


class _CrossEntropySum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, wanted: Tensor) -> Tensor:
        kind = torch.promote_types(logits.dtype, torch.float32)
        total = logits.new_zeros((), dtype=kind)
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        for part in _parts(logits):
            y = wanted[part, None]
            log_p = logits[part].log_softmax(1, dtype=kind)
            total -= log_p.gather(1, y).sum()
            if gradient is not None:
                gradient[part] = log_p.exp_().scatter_add_(
                    1, y, log_p.new_tensor(-1).expand(y.shape)
                )
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(upstream), None


def _parts(logits: Tensor) -> list[slice]:
    """Rows: on a CPU so few at a time that all steps find them in its cache."""
    if logits.device.type != "cpu":
        return [slice(None)]
    size = max(1, IN_CACHE // logits.shape[1])
    return [slice(n, n + size) for n in range(0, logits.shape[0], size)]
