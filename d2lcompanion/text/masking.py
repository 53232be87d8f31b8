"""BERT's masked language modelling: which tokens are hidden, and what stands in their place.

Masks are drawn anew each time a batch is seen ("dynamic"), for a whole batch at once, on
the device of its ids.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_mask,
    require_unit_interval,
)

IGNORE = -100  # the target that `torch.nn.functional.cross_entropy` leaves out
SHARE = 0.15


class Masked(NamedTuple):
    """A batch with holes.

    Attributes:
        ids: [B, T], int64, what the model sees.
        targets: [B, T], int64, the hidden token where one is to be predicted, else
            IGNORE.
    """

    ids: Tensor
    targets: Tensor


class Choice(NamedTuple):
    """Which tokens are chosen, as places: they are few.

    Attributes:
        place: [B, K], int64, in [0, T), each once in its row.
        taken: [B, K], bool, whether that place is chosen.
    """

    place: Tensor
    taken: Tensor

    def mark(self, length: int) -> Tensor:
        """[B, T], bool, true where a token is chosen."""
        mask = self.taken.new_zeros(len(self.taken), length)
        return mask.scatter(1, self.place, self.taken)


def mask_tokens(
    ids: Tensor,
    maskable: Tensor,
    *,
    mask_id: int,
    random_ids: Tensor,
    generator: torch.Generator,
    share: float = SHARE,
    replace: tuple[float, float] = (0.8, 0.1),
    words: Tensor | None = None,
) -> Masked:
    """Choose 15 % of the tokens of each row; 80 % become [MASK], 10 % any word, 10 % stay.

    Of n maskable tokens a row loses max(1, ⌊share·n + ½⌋): the number is exact, which
    tokens they are is chance, each as likely as the others. With `words`, whole words are
    taken in random order until there are as many tokens: up to a word more.

    Args:
        ids: [B, T], int64.
        maskable: [B, T], bool, what may be chosen: neither padding nor [CLS], [SEP].
        mask_id: of [MASK].
        random_ids: [W], int64, what a random word is drawn from: no special tokens.
        generator: draws where it lies; all the rest happens on the device of `ids`.
        share: of the maskable tokens, in [0, 1]; 0 chooses none.
        replace: the shares of [MASK] and of random words among the chosen; the others
            stay.
        words: [B, T], int64, the number of the word of each token, never falling in a
            row.
    Raises:
        ValueError: if shapes do not fit, a share is not one, or `random_ids` is empty or
            holds `mask_id`.
    Source:
        Devlin et al. (2019), *BERT*, §3.1; whole words: their code, 31 May 2019;
        dynamic: Liu et al. (2019), *RoBERTa*, §4.1.
    """
    require_mask("maskable", maskable, ids.shape)
    require_unit_interval("share", share)
    _require_replacement(replace, mask_id, random_ids)
    if words is None:
        place, taken = choose_tokens(maskable, generator, share=share)
    else:
        place, taken = choose_words(maskable, words, generator, share=share)
    there = ids.gather(1, place)
    put = corrupt(there, taken, mask_id, random_ids, generator, replace=replace)
    targets = torch.full_like(ids, IGNORE)
    return Masked(
        ids.scatter(1, place, put),
        targets.scatter_(1, place, there.where(taken, IGNORE)),
    )


def number_to_choose(maskable: Tensor, share: float = SHARE) -> Tensor:
    """max(1, ⌊share·n + ½⌋) of n maskable tokens; 0 where there is none, or share = 0.

    Args:
        maskable: [B, T], bool.
        share: in [0, 1].
    Returns:
        [B], int64.
    """
    n = maskable.sum(1)
    number = (n * share + 0.5).floor().long()
    return number.clamp(min=1 if share > 0 else 0).minimum(n)


def choose_tokens(
    maskable: Tensor, generator: torch.Generator, *, share: float = SHARE
) -> Choice:
    """So many tokens of each row, all subsets of that size equally likely.

    Each token gets a random number; the k tokens with the largest are chosen.
    """
    keys = _uniform(maskable, generator).masked_fill(~maskable, -1.0)
    number = number_to_choose(maskable, share)
    most = int(min(maskable.shape[1], max(1, share * maskable.shape[1] + 0.5)))
    place = keys.topk(most, dim=1).indices  # the largest first
    return Choice(place, torch.arange(most, device=keys.device) < number[:, None])


def choose_words(
    maskable: Tensor,
    words: Tensor,
    generator: torch.Generator,
    *,
    share: float = SHARE,
) -> Choice:
    """Whole words of each row in random order, until there are k tokens or more.

    Args:
        maskable: [B, T], bool; of a word either all tokens or none.
        words: [B, T], int64, never falling in a row; equal for the tokens of one word.
        generator: draws a key for each word.
        share: of the tokens.
    Raises:
        ValueError: if shapes differ, or the words of a row fall.
    """
    require_mask("maskable", maskable, words.shape)
    steps = words.diff(dim=1)
    if not bool((steps >= 0).all()):
        raise ValueError("words must not fall within a row")
    first = torch.nn.functional.pad(steps, (1, 0), value=1) != 0
    number = first.cumsum(1) - 1  # 0, 0, 1, 2, 2, …: a word's tokens share its key
    keys = _uniform(maskable, generator).gather(1, number)
    keys = keys.masked_fill(~maskable, 2.0)
    # by key, ties (two words never in practice) by word: a word's tokens stay together
    place = keys.argsort(dim=1, stable=True)
    begins = first.gather(1, place)
    position = torch.arange(words.shape[1], device=words.device).expand_as(place)
    begin = position.where(begins, 0).cummax(1).values  # tokens before this word
    taken = begin < number_to_choose(maskable, share)[:, None]
    return Choice(place, taken & maskable.gather(1, place))


def corrupt(
    ids: Tensor,
    chosen: Tensor,
    mask_id: int,
    random_ids: Tensor,
    generator: torch.Generator,
    *,
    replace: tuple[float, float] = (0.8, 0.1),
) -> Tensor:
    """Put [MASK], a random word or the token itself where `chosen` is true.

    Each chosen token decides for itself: u < 0.8 is [MASK], u < 0.9 a word drawn
    uniformly from `random_ids` (which may be the token by chance).

    Returns:
        [B, T], int64, new.
    """
    require_mask("chosen", chosen, ids.shape)
    _require_replacement(replace, mask_id, random_ids)
    u = _uniform(chosen, generator)
    drawn = (_uniform(chosen, generator) * len(random_ids)).long()
    place = drawn.clamp(max=len(random_ids) - 1).flatten()
    random = random_ids.to(ids.device).index_select(0, place).view_as(ids)
    masked = ids.masked_fill(chosen & (u < replace[0]), mask_id)
    swapped = chosen & (u >= replace[0]) & (u < sum(replace))
    return random.where(swapped, masked)


def maskable_positions(ids: Tensor, special: Sequence[int]) -> Tensor:
    """Where no special token stands: what may be hidden, [B, T], bool.

    Args:
        ids: [B, T], int64.
        special: ids of [PAD], [CLS], [SEP], [MASK]; [UNK] stands for a word and may be
            hidden.
    """
    largest = max(special, default=-1)
    table = torch.ones(largest + 2, dtype=torch.bool, device=ids.device)
    table[list(special)] = False  # the last entry stands for all ids above
    place = ids.clamp(max=largest + 1).flatten()
    return table.index_select(0, place).view_as(ids)


def ordinary_ids(size: int, special: Sequence[int]) -> Tensor:
    """All ids of a vocabulary but the special ones, [size − special], int64.

    Raises:
        ValueError: if a special id is not in [0, size), or none is left.
    """
    require_at_least("size", size, 1)
    require_ids("special", torch.tensor(special, dtype=torch.long), size)
    left = torch.ones(size, dtype=torch.bool)
    left[list(special)] = False
    if not bool(left.any()):
        raise ValueError(f"special must leave a word of {size}, got {list(special)}")
    return left.nonzero()[:, 0]


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Of that shape, in [0, 1), drawn where the generator is."""
    drawn = torch.rand(like.shape, generator=generator, device=generator.device)
    return drawn.to(like.device)


def _require_replacement(
    replace: tuple[float, float], mask_id: int, random_ids: Tensor
) -> None:
    if (
        min(replace) < 0
        or not sum(replace) <= 1 + 1e-12
        or not math.isfinite(sum(replace))
    ):
        raise ValueError(f"replace must be two shares, together ≤ 1, got {replace}")
    if random_ids.ndim != 1 or random_ids.numel() == 0:
        raise ValueError(
            f"random_ids must be [W] with W ≥ 1, got shape {list(random_ids.shape)}"
        )
    if not bool((random_ids != mask_id).all()):
        raise ValueError(f"random_ids must not hold [MASK], got id {mask_id}")
