"""softmax(QKᵀ/√d_h) V, by the quickest way that the device has."""

from torch import Tensor, inf
from torch.nn.functional import dropout, scaled_dot_product_attention


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, drop: float = 0.0
) -> Tensor:
    """What each token collects from those that it may look at.

    `scaled_dot_product_attention`, which never holds all weights, where it has a kernel of
    its own. For dropout on a CPU it has none, and its detour computes in float32 what is
    asked for in bfloat16: there the formula itself is quicker, with the same draws.

    Args:
        q, k, v: [B, heads, T, d_h].
        mask: broadcast to [B, heads, T, T], bool, what may be looked at, something in
            each row; None: everything.
        drop: share of the weights that are set to 0, the others divided by 1 − drop.
    Returns:
        [B, heads, T, d_h].
    """
    if drop == 0 or q.device.type != "cpu":
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop)
    scores = q / q.shape[3] ** 0.5 @ k.transpose(2, 3)
    if mask is not None:
        scores = scores.masked_fill(~mask, -inf)
    return dropout(scores.softmax(3), drop) @ v
