"""Random numbers for a batch of images: one for every image, from the generator given.

They are drawn where the generator lies and moved to the images, so that a generator on the
CPU gives the same augmentation on every device and for every dtype.
"""

import torch
from torch import Tensor

from d2lcompanion.vision.checks import require_positive, require_unit_interval


def uniform(
    images: Tensor, generator: torch.Generator, low: float = 0.0, high: float = 1.0
) -> Tensor:
    """One number a row of `images`, uniform in [low, high): [N], its dtype and device.

    Raises:
        ValueError: unless low ≤ high.
    """
    if not low <= high:
        raise ValueError(f"a range must have low ≤ high, got [{low}, {high}]")
    u = torch.rand(len(images), generator=generator, device=generator.device)
    return low + (high - low) * u.to(images.device, images.dtype)


def coins(images: Tensor, generator: torch.Generator, probability: float) -> Tensor:
    """True with the given probability, for each image by itself: [N] booleans.

    Raises:
        ValueError: if the probability is not in [0, 1].
    """
    require_unit_interval("probability", probability)
    u = torch.rand(len(images), generator=generator, device=generator.device)
    return (u < probability).to(images.device)


def integers(images: Tensor, generator: torch.Generator, high: int) -> Tensor:
    """One of 0 … high − 1 for each image, all equally likely: [N] int64."""
    size = (len(images),)
    drawn = torch.randint(high, size, generator=generator, device=generator.device)
    return drawn.to(images.device)


def partners(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random order of the batch: image i is mixed with image partner[i]; [N] int64."""
    order = torch.randperm(len(images), generator=generator, device=generator.device)
    return order.to(images.device)


def beta_weights(images: Tensor, generator: torch.Generator, alpha: float) -> Tensor:
    """λ ~ Beta(α, α) for each image: [N] in [0, 1], its dtype and device.

    Small α puts λ near 0 and 1; α = 1 is uniform. Drawn as g₁ / (g₁ + g₂) with two
    Gamma(α) numbers, by torch's sampler of the Dirichlet law, in float64.

    Raises:
        ValueError: unless α > 0.
    """
    require_positive("alpha", alpha)
    concentration = torch.full(
        (len(images), 2), alpha, dtype=torch.float64, device=generator.device
    )
    weights = torch._sample_dirichlet(concentration, generator=generator)
    return weights[:, 0].to(images.device, images.dtype)
