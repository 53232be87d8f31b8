"""Random views of images: what may change without changing what the image shows.

Every image of a batch draws its own numbers. They are drawn where the generator lies and
moved to the images, so that one seed gives the same views on every device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from d2lcompanion.vision.checks import require_images, require_unit_interval


@dataclass(frozen=True)
class ViewRecipe:
    """What a view may change; 0 (for the crop: 1) switches a part off.

    Attributes:
        crop: the smallest share of the area that is kept, in (0, 1].
        flip: the probability of a mirror image.
        jitter: brightness and contrast are multiplied by 1 ± jitter, in [0, 1].
        erase: the largest share of the area that is painted black, in [0, 1).
    """

    crop: float = 0.3
    flip: float = 0.5
    jitter: float = 0.4
    erase: float = 0.0

    def __post_init__(self) -> None:
        for name in ("crop", "flip", "jitter", "erase"):
            require_unit_interval(name, getattr(self, name))
        if self.crop == 0 or self.erase == 1:
            raise ValueError(
                f"a view must keep something, got crop {self.crop}, erase {self.erase}"
            )


def random_view(x: Tensor, recipe: ViewRecipe, generator: torch.Generator) -> Tensor:
    """One view of each image: cropped, mirrored, brighter or darker, with a hole.

    Args:
        x: [n, c, H, W], pixels in [0, 1].
        recipe: how far each may go.
        generator: on any device.
    Returns:
        [n, c, H, W], a new tensor with pixels in [0, 1].
    Raises:
        ValueError: if x is not [n, c, H, W] of floats.
    """
    x = random_resized_crop(x, generator, smallest=recipe.crop)
    x = random_flip(x, generator, probability=recipe.flip)
    x = random_jitter(x, generator, strength=recipe.jitter)
    return random_erase(x, generator, largest=recipe.erase)


def random_resized_crop(
    x: Tensor, generator: torch.Generator, *, smallest: float, ratio: float = 4 / 3
) -> Tensor:
    """A random rectangle of each image, brought back to the full size (bilinear).

    The share of the area is uniform in [smallest, 1], the logarithm of width : height
    uniform in ± log(ratio), and the place uniform; a side never exceeds the image.

    Args:
        x: [n, c, H, W].
        smallest: share of the area, in (0, 1].
        ratio: ≥ 1; with `smallest` = 1 nothing is cut, whatever the ratio.
    """
    require_images("x", x)
    if not 0 < smallest <= 1 or not ratio >= 1:
        raise ValueError(
            f"smallest must be in (0, 1] and ratio ≥ 1, got {smallest} and {ratio}"
        )
    if smallest == 1:
        return x.clone()
    u = _uniform(4, x, generator)
    area = smallest + (1 - smallest) * u[0]
    stretch = ratio ** (u[1] - 0.5)  # the root of width : height
    width = (area.sqrt() * stretch).clamp(max=1)
    height = (area.sqrt() / stretch).clamp(max=1)
    center_x = (2 * u[2] - 1) * (1 - width)  # in [−1, 1], the image's own coordinates
    center_y = (2 * u[3] - 1) * (1 - height)
    none = torch.zeros_like(area)
    rows = [width, none, center_x, none, height, center_y]
    theta = torch.stack(rows, 1).view(-1, 2, 3)
    grid = affine_grid(theta, list(x.shape), align_corners=False)
    view: Tensor = grid_sample(x, grid, padding_mode="border", align_corners=False)
    return view


def random_flip(
    x: Tensor, generator: torch.Generator, *, probability: float = 0.5
) -> Tensor:
    """Left and right exchanged, for each image with the given probability.

    Args:
        x: [n, c, H, W].
        probability: in [0, 1].
    """
    require_images("x", x)
    require_unit_interval("probability", probability)
    chosen = _uniform(1, x, generator)[0] < probability
    return torch.where(chosen[:, None, None, None], x.flip(3), x)


def random_jitter(x: Tensor, generator: torch.Generator, *, strength: float) -> Tensor:
    """Contrast, then brightness: x ← b (m + c (x − m)), clipped to [0, 1].

    m is the mean of the image; b and c are uniform in 1 ± strength.

    Args:
        x: [n, c, H, W], pixels in [0, 1].
        strength: in [0, 1].
    """
    require_images("x", x)
    require_unit_interval("strength", strength)
    b, c = 1 + strength * (2 * _uniform(2, x, generator) - 1)[..., None, None, None]
    mean = x.mean((1, 2, 3), keepdim=True)
    view: Tensor = b * (mean + c * (x - mean))
    return view.clamp(0, 1)


def random_erase(x: Tensor, generator: torch.Generator, *, largest: float) -> Tensor:
    """A rectangle of each image becomes 0; its area is uniform in [0, largest].

    Its sides are in the ratio of the image's; its place is uniform among those inside.

    Args:
        x: [n, c, H, W].
        largest: share of the area, in [0, 1).
    Source:
        Zhong et al. (2020), *Random erasing data augmentation*, with another law of the
        rectangle.
    """
    require_images("x", x)
    if not 0 <= largest < 1:
        raise ValueError(f"largest must be in [0, 1), got {largest}")
    u = _uniform(3, x, generator)
    side = (largest * u[0]).sqrt()
    inside = torch.ones_like(x[:, 0], dtype=torch.bool)
    for dim, place in ((1, u[1]), (2, u[2])):
        size = x.shape[dim + 1]
        center = (torch.arange(size, device=x.device, dtype=x.dtype) + 0.5) / size
        low = (place * (1 - side))[:, None]
        within = (center >= low) & (center < low + side[:, None])
        inside &= within[:, :, None] if dim == 1 else within[:, None, :]
    return x.masked_fill(inside[:, None], 0)


def _uniform(rows: int, x: Tensor, generator: torch.Generator) -> Tensor:
    """[rows, n] in [0, 1), on the device and in the dtype of the images."""
    u = torch.rand(rows, len(x), generator=generator, device=generator.device)
    return u.to(x.device, x.dtype)
