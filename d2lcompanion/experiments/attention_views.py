"""Where the heads of a trained encoder look: weights to print, to draw, and to explore."""

import json
from base64 import b64encode
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.word_senses import Pretrained, pretrained, rows_of

# Sentences written for this course, from SENSES and one with a pronoun.
SENTENCES = (
    "A crane stood on one leg in the shallow water.",
    "A crane lifted the steel beams to the tenth floor.",
    "The dog barked at the cat until it climbed a tree.",
)
ORIGIN = "/* Attention of MiniLM, by d2lcompanion.experiments.attention_views. */"
MARKS = ("[CLS]", "[SEP]", ".")  # pieces that stand in every sentence


class AttentionView(NamedTuple):
    """One sentence, and where each head looks from each of its pieces.

    Attributes:
        pieces: T of them, [CLS] and [SEP] included.
        weights: [L, heads, T, T], rows sum to 1.
    """

    pieces: tuple[str, ...]
    weights: Tensor


@torch.no_grad()
def attention_views(
    sentences: tuple[str, ...] = SENTENCES, part: Pretrained | None = None
) -> list[AttentionView]:
    """Each sentence by itself, without padding.

    Raises:
        ValueError: if there is no sentence.
    """
    part = part or pretrained()
    rows = rows_of(list(sentences), part)
    found = []
    for ids, pieces in zip(rows.ids, rows.pieces, strict=True):
        weights = part.model.attention_weights(ids[None, : len(pieces)])
        found.append(AttentionView(tuple(pieces), weights[:, 0]))
    return found


def share_on(view: AttentionView, pieces: tuple[str, ...] = MARKS) -> Tensor:
    """How much of its attention each head gives to these pieces, mean over the rows: [L, heads].

    A head that looks everywhere alike gives them their share of the T places.
    """
    wanted = torch.tensor([piece in pieces for piece in view.pieces])
    return view.weights[..., wanted].sum(3).mean(2)


def neighbour_share(view: AttentionView, offset: int) -> Tensor:
    """How much of its attention each head gives to the place `offset` away: [L, heads].

    Args:
        view: T pieces.
        offset: −1 is the piece before; 0 the piece itself. Mean over the places that
            have such a neighbor.
    Raises:
        ValueError: if no place has one.
    """
    length = len(view.pieces)
    if abs(offset) >= length:
        raise ValueError(
            f"offset must be within {length - 1} of 0 for {length} pieces, got {offset}"
        )
    return view.weights.diagonal(offset, 2, 3).mean(2)


def explorer_script(views: list[AttentionView]) -> str:
    """The data of the explorer as JavaScript: weights in 255ths, as base64 of bytes."""
    found = [
        {
            "pieces": view.pieces,
            "layers": view.weights.shape[0],
            "heads": view.weights.shape[1],
            "weights": _bytes(view.weights),
        }
        for view in views
    ]
    return f"{ORIGIN}\nglobalThis.courseAttention = {json.dumps(found, indent=1)};\n"


def _bytes(weights: Tensor) -> str:
    steps = (255 * weights).round().to(torch.uint8)
    return b64encode(bytes(steps.flatten().tolist())).decode()
