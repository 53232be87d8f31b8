"""The sizes of BERT, and how many parameters they give."""

from dataclasses import dataclass

from d2lcompanion.text.checks import (
    require_at_least,
    require_unit_interval,
)


@dataclass(frozen=True)
class BertConfig:
    """Sizes; the defaults are those of BERT-base, uncased.

    Attributes:
        vocabulary: V, pieces.
        width: d, of each token's vector; a multiple of `heads`.
        layers: L.
        heads: of attention, each d/heads wide.
        inner: f, width between the two maps of a layer's feed-forward part.
        positions: the longest sequence.
        segments: 2: sentence A and sentence B.
        dropout: of embeddings, attention weights and the output of each half of a layer.
        epsilon: added to the variance in LayerNorm.
    Raises:
        ValueError: if a number is out of range.
    """

    vocabulary: int = 30_522
    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    positions: int = 512
    segments: int = 2
    dropout: float = 0.1
    epsilon: float = 1e-12

    def __post_init__(self) -> None:
        for name in (
            "vocabulary", "width", "layers", "heads", "inner", "positions", "segments"
        ):  # fmt: skip
            require_at_least(name, getattr(self, name), 1)
        require_unit_interval("dropout", self.dropout)
        if self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads, got {self.width} and {self.heads}"
            )

    def parameters(self) -> int:
        """Of the encoder: (V + P + S)d + 2d, L times 4d² + 2df + 9d + f, and d² + d."""
        d, f = self.width, self.inner
        embeddings = (self.vocabulary + self.positions + self.segments) * d + 2 * d
        layer = 4 * d * d + 2 * d * f + 9 * d + f
        return embeddings + self.layers * layer + d * d + d
