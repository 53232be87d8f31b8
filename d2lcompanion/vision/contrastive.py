"""Contrastive learning: two views of one image shall be closer than views of others.

Rows k and n + k of a batch [2n, d] are vectors of two views of image k. Only their
directions count: s_ij is the cosine of rows i and j.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from d2lcompanion.vision.checks import (
    require_at_least,
    require_finite,
    require_positive,
)

TEMPERATURE = 0.5


def nt_xent(z: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """The normalized, temperature-scaled cross-entropy of finding the other view.

    L = −1/2n Σ_i log( e^{s_ip/τ} / Σ_{j≠i} e^{s_ij/τ} ), p the other view of i. Each of
    2n views is compared with 2n − 1 others; a guess pays log(2n − 1).

    Args:
        z: [2n, d], n ≥ 2; rows k and n + k are two views of one image.
        temperature: τ > 0.
    Returns:
        [], the mean over all 2n views.
    Raises:
        ValueError: if rows are odd in number or fewer than four, z is not finite, or
            the temperature is not positive.
    Source:
        Chen et al. (2020), *SimCLR*, equation (1); Sohn (2016); van den Oord et al.
        (2018), equation (4).
    """
    scores = view_scores(z, temperature)  # [2n, 2n], −∞ on the diagonal
    n = len(z) // 2
    rows = torch.arange(2 * n, device=z.device)
    positive = scores[rows, rows.roll(n)]  # s_ip / τ
    return (scores.logsumexp(1) - positive).mean()


def view_scores(z: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """s_ij / τ, and −∞ where i = j: no view is asked about itself.

    Args:
        z: [2n, d], as in `nt_xent`.
        temperature: τ > 0.
    Returns:
        [2n, 2n], symmetric.
    Raises:
        ValueError: as in `nt_xent`.
    """
    require_view_pairs("z", z)
    require_positive("temperature", temperature)
    u = normalize(z, dim=1)  # a row of zeros stays one
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return (u @ u.T / temperature).masked_fill(itself, -math.inf)


def partner_accuracy(z: Tensor) -> Tensor:
    """The share of views whose nearest view is the other one of the same image, [].

    Raises:
        ValueError: as in `nt_xent`.
    """
    nearest = view_scores(z).argmax(1)
    partner = torch.arange(len(z), device=z.device).roll(len(z) // 2)
    return (nearest == partner).float().mean()


def least_nt_xent(images: int, temperature: float = TEMPERATURE) -> float:
    """The smallest value that `nt_xent` can take: log(1 + (2n − 2) e^{−n/((n − 1)τ)}).

    Views of one image coincide, and images form a regular simplex, which needs n − 1
    dimensions; in fewer the value is a bound that is not reached.

    Args:
        images: n ≥ 2, in a batch.
        temperature: τ > 0.
    Raises:
        ValueError: if there are fewer than two, or the temperature is not positive.
    """
    require_at_least("images", images, 2)
    require_positive("temperature", temperature)
    n = images
    return math.log1p((2 * n - 2) * math.exp(-n / ((n - 1) * temperature)))


# ------------------------------------------------------------------------------ two properties


def alignment(z: Tensor) -> Tensor:
    """The mean squared distance of two views of one image on the unit sphere, in [0, 4].

    1/n Σ_k ‖u_k − u_{n+k}‖² = 2 − 2 · (mean cosine). Smaller is better; 0 is also what
    a constant gives.

    Args:
        z: [2n, d], as in `nt_xent`.
    Source:
        Wang & Isola (2020), equation (1) with α = 2.
    """
    require_view_pairs("z", z)
    first, second = normalize(z, dim=1).chunk(2)
    return (first - second).square().sum(1).mean()


def uniformity(z: Tensor, t: float = 2.0) -> Tensor:
    """log of the mean of e^{−t ‖u_i − u_j‖²} over pairs i ≠ j of views of different images.

    Smaller is more evenly spread; 0 where all vectors coincide.

    Args:
        z: [2n, d], as in `nt_xent`; views k and n + k are no pair.
        t: > 0, how far a pair is felt.
    Source:
        Wang & Isola (2020), equation (2).
    """
    require_view_pairs("z", z)
    require_positive("t", t)
    n, u = len(z) // 2, normalize(z, dim=1)
    image = torch.arange(2 * n, device=z.device) % n
    distance = 2 - 2 * (u @ u.T)  # ‖u_i − u_j‖²
    same = image[:, None] == image
    total = (-t * distance).masked_fill(same, -math.inf).flatten().logsumexp(0)
    return total - math.log(2 * n * (2 * n - 2))


def require_view_pairs(name: str, z: Tensor) -> None:
    """[2n, d] of finite floats, n ≥ 2 and d ≥ 1.

    Raises:
        ValueError: otherwise.
    """
    if z.ndim != 2 or z.shape[1] == 0:
        raise ValueError(f"{name} must be [2n, d], got shape {list(z.shape)}")
    if len(z) % 2 or len(z) < 4:
        raise ValueError(
            f"{name} must hold two views of each of two or more images, "
            f"so an even number of rows ≥ 4, got {len(z)}"
        )
    require_finite(name, z)
