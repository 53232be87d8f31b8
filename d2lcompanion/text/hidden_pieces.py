"""What stands there? Each piece of a sentence hidden in turn, and what a model takes it for."""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.bert_documents import SpecialIds
from d2lcompanion.text.bert_heads import BertForPretraining
from d2lcompanion.text.checks import require_shape

TOP = 6


class Guesses(NamedTuple):
    """The best guesses for each of T places, and how the piece that stands there fares.

    Attributes:
        ids: [T, k], int64, best first; of equals, the smaller id.
        shares: [T, k], their probabilities.
        share: [T], the probability of the true piece.
        rank: [T], int64, its place among all V pieces; 1 is the best guess.
    """

    ids: Tensor
    shares: Tensor
    share: Tensor
    rank: Tensor


@torch.no_grad()
def hidden_one_by_one(
    model: BertForPretraining, ids: Tensor, special: SpecialIds
) -> Tensor:
    """p(· | the sentence with piece t hidden) for each t, as [T, V]; rows sum to 1.

    The input is [CLS] sentence [SEP], T times, with [MASK] at another place in each: one
    batch of T rows. Dropout is off meanwhile.

    Args:
        model: encoder and head.
        ids: [T], int64, pieces of one sentence, without [CLS] and [SEP].
        special: ids of [CLS], [SEP] and [MASK].
    Raises:
        ValueError: if there is no piece, T + 2 exceeds the positions, or an id is out of
            range.
    """
    if ids.ndim != 1 or ids.shape[0] == 0:
        raise ValueError(f"ids must be [T], T ≥ 1, got {list(ids.shape)}")
    length = ids.shape[0]
    row = torch.cat((ids.new_tensor([special.cls]), ids, ids.new_tensor([special.sep])))
    chosen = torch.eye(length + 2, dtype=torch.bool, device=ids.device)[1:-1]
    was = model.training
    model.eval()
    try:
        rows = row.expand(length, -1).masked_fill(chosen, special.mask)
        shares: Tensor = model(rows, chosen=chosen).words.float().softmax(1)
    finally:
        model.train(was)
    return shares


def best_guesses(shares: Tensor, ids: Tensor, top: int = TOP) -> Guesses:
    """The `top` most probable pieces of each row, and the rank of the true one.

    Args:
        shares: [T, V], as `hidden_one_by_one` gives them.
        ids: [T], int64, what stands there.
        top: how many.
    Raises:
        ValueError: if top is not in 1 … V, or shapes differ.
    """
    if not 1 <= top <= shares.shape[1]:
        raise ValueError(f"top must be in 1 … {shares.shape[1]}, got {top}")
    require_shape("ids", ids, shares.shape[:1])
    order = shares.argsort(dim=1, descending=True, stable=True)
    best = order[:, :top]
    rank = (order == ids[:, None]).long().argmax(1) + 1
    own = shares.gather(1, ids[:, None])[:, 0]
    return Guesses(best, shares.gather(1, best), own, rank)


def guesses(
    model: BertForPretraining, ids: Tensor, special: SpecialIds, top: int = TOP
) -> Guesses:
    """Hide each piece of a sentence in turn and ask for the `top` best guesses.

    Raises:
        ValueError: as in `hidden_one_by_one` and `best_guesses`.
    """
    return best_guesses(hidden_one_by_one(model, ids, special), ids, top)
