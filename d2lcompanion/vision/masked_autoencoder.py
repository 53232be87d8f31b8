"""A masked autoencoder: see some of the patches of an image, paint the others.

The encoder is a small vision Transformer and gets the visible patches only, so hidden
ones cannot leak and cost nothing. A lighter decoder gets its vectors, one learned vector
in every hidden place, and positions; the loss is taken on hidden patches alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from d2lcompanion.vision.checks import require_at_least, require_shape
from d2lcompanion.vision.patches import patchify, take


@dataclass(frozen=True)
class MaskedConfig:
    """Sizes.

    Attributes:
        image: (c, H, W).
        patch: side of a patch, divides H and W.
        width, layers, heads: of the encoder.
        decoder_width, decoder_layers: of the decoder, with as many heads.
    """

    image: tuple[int, int, int] = (1, 28, 28)
    patch: int = 4
    width: int = 64
    layers: int = 3
    heads: int = 4
    decoder_width: int = 32
    decoder_layers: int = 1

    def __post_init__(self) -> None:
        for name in ("patch", "layers", "heads", "decoder_layers"):
            require_at_least(name, getattr(self, name), 1)
        if self.image[1] % self.patch or self.image[2] % self.patch:
            raise ValueError(f"patch must divide {self.image[1:]}, got {self.patch}")
        for width in (self.width, self.decoder_width):
            if width < 1 or width % self.heads:
                raise ValueError(
                    f"widths must be multiples of heads, got {width}, {self.heads}"
                )

    @property
    def patches(self) -> int:
        """In an image."""
        return (self.image[1] // self.patch) * (self.image[2] // self.patch)

    @property
    def pixels(self) -> int:
        """Numbers in a patch."""
        return self.image[0] * self.patch**2


class Block(nn.Module):
    """A layer that normalizes first: x ← x + attend(norm(x)); x ← x + map(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.map_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, T, d] → [n, T, d]."""
        n, length, _ = x.shape
        parts = self.qkv(self.norm(x)).view(n, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # [n, heads, T, d/heads] each
        seen = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.out(seen)
        mapped: Tensor = x + self.outer(gelu(self.inner(self.map_norm(x))))
        return mapped


class VisionEncoder(nn.Module):
    """A small vision Transformer on any of the patches of an image."""

    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.pixels, config.width)
        self.position = nn.Parameter(torch.zeros(config.patches, config.width))
        self.layers = nn.Sequential(
            *(Block(config.width, config.heads) for _ in range(config.layers))
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, patches: Tensor, kept: Tensor | None = None) -> Tensor:
        """Vectors of the kept patches in their context.

        Args:
            patches: [n, P, c p²], all of them; only those kept are read.
            kept: [n, v], int64, numbers of the visible patches; None: all.
        Returns:
            [n, v, d], in the order of `kept`.
        """
        place = self.position.expand(len(patches), -1, -1)
        if kept is not None:
            patches, place = take(patches, kept), take(place, kept)
        vectors: Tensor = self.norm(self.layers(self.embed(patches) + place))
        return vectors

    def features(self, x: Tensor) -> Tensor:
        """The mean vector over all patches of an image, [n, c, H, W] → [n, d]."""
        vectors: Tensor = self(patchify(x, self.config.patch))
        return vectors.mean(1)


class Painted(NamedTuple):
    """What the decoder made, and which patches it had not seen.

    Attributes:
        patches: [n, P, c p²], predictions for all places.
        hidden: [n, h], int64, numbers of the hidden patches.
    """

    patches: Tensor
    hidden: Tensor


class MaskedAutoencoder(nn.Module):
    """Encoder, decoder, and what stands between.

    Args:
        config: sizes.
        generator: of the first weights: N(0, 0.02²) for positions and the mask vector,
            Glorot's uniform law for the maps; biases are 0. None: torch's own.
    """

    def __init__(
        self, config: MaskedConfig, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = VisionEncoder(config)
        width = config.decoder_width
        self.narrow = nn.Linear(config.width, width)
        self.mask = nn.Parameter(torch.zeros(width))
        self.position = nn.Parameter(torch.zeros(config.patches, width))
        self.layers = nn.Sequential(
            *(Block(width, config.heads) for _ in range(config.decoder_layers))
        )
        self.norm = nn.LayerNorm(width)
        self.paint = nn.Linear(width, config.pixels)
        initialize(self, generator)

    def forward(self, patches: Tensor, order: Tensor, visible: int) -> Painted:
        """Paint all patches from the first `visible` ones of an order.

        Args:
            patches: [n, P, c p²].
            order: [n, P], int64, from `random_masking`.
            visible: how many of them the encoder sees.
        """
        require_shape("order", order, patches.shape[:2])
        seen = self.narrow(self.encoder(patches, order[:, :visible]))
        n, P = order.shape
        mask = self.mask.to(seen.dtype).expand(n, P - visible, -1)
        shuffled = torch.cat([seen, mask], 1)  # in the order of `order`
        x = take(shuffled, order.argsort(1)) + self.position  # every patch in its place
        return Painted(self.paint(self.norm(self.layers(x))), order[:, visible:])


def hidden_loss(painted: Painted, patches: Tensor) -> Tensor:
    """The mean squared error of the pixels of hidden patches, and of no others.

    Args:
        painted: from the model.
        patches: [n, P, c p²], the truth.
    Returns:
        [].
    Raises:
        ValueError: if the shapes differ.
    Source:
        He et al. (2022), *Masked autoencoders are scalable vision learners*, §3.
    """
    require_shape("patches", patches, painted.patches.shape)
    guess, truth = (take(x, painted.hidden) for x in (painted.patches, patches))
    return (guess - truth).square().mean()


def initialize(model: nn.Module, generator: torch.Generator | None) -> None:
    """Draw maps by Glorot's uniform law and free vectors from N(0, 0.02²); biases 0."""
    for name, parameter in model.named_parameters():
        if name.endswith(("position", "mask")):
            nn.init.normal_(parameter, std=0.02, generator=generator)
        elif parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter, generator=generator)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
