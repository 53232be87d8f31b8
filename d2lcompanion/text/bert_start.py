"""Two other beginnings for a narrow BERT: weights scaled to its width, positions as sinusoids.

Published weights begin as N(0, 0.02²), whatever the width d. Scores qᵀk/√d_h of vectors
that LayerNorm has made then begin with standard deviation 0.02² d: 0.31 for 768, but 0.05
for 128, where attention is nearly uniform. With N(0, 1/d) it is 1 for any d.

Sine and cosine of one frequency turn by the same angle from each place to the next: "one to
the left" is one linear map for all places. Of random vectors it has to be learned for each
place by itself.

Source: Vaswani et al. (2017), *Attention is all you need*, section 3.5, for the sinusoids.
"""

import torch
from torch import Tensor, nn

from d2lcompanion.text.bert import Bert
from d2lcompanion.text.checks import require_at_least

BASE = 1000.0  # the slowest turns once in 2π·BASE^(1 − 2/d) places
SD = 0.04  # root mean square of each row: twice that of the words it is added to


def sinusoids(places: int, width: int, *, base: float = BASE) -> Tensor:
    """[P, d]: sin ω_i t for i = 0 … d/2 − 1, then cos ω_i t, with ω_i = base^(−2i/d).

    The mean square of each row is 1/2; the inner product of two rows depends on their
    distance only.

    Raises:
        ValueError: if there is no place, the width is odd or < 2, or base ≤ 1.
    """
    require_at_least("places", places, 1)
    if width < 2 or width % 2:
        raise ValueError(f"width must be even and at least 2, got {width}")
    if not 1 < base < float("inf"):
        raise ValueError(f"base must be > 1 and finite, got {base}")
    exponent = torch.arange(0, width, 2, dtype=torch.float64) / width
    angle = torch.arange(places, dtype=torch.float64)[:, None] * base**-exponent
    return torch.cat([angle.sin(), angle.cos()], 1).to(torch.get_default_dtype())


@torch.no_grad()
def start_with_sinusoids(model: Bert) -> None:
    """Overwrite the position embeddings by sinusoids whose rows have mean square 0.04².

    Raises:
        ValueError: if the width of the model is odd.
    """
    weight = model.embeddings.position.weight
    weight.copy_(2**0.5 * SD * sinusoids(*weight.shape))


@torch.no_grad()
def scale_to_width(
    model: nn.Module, width: int, generator: torch.Generator | None = None
) -> None:
    """Draw the weights of all linear maps again, from N(0, 1/width).

    Also where the input is wider (the outer map of a layer); biases and embeddings
    stay.

    Raises:
        ValueError: if the width is not at least 1.
    """
    require_at_least("width", width, 1)
    for part in model.modules():
        if isinstance(part, nn.Linear):
            part.weight.normal_(0, width**-0.5, generator=generator)
