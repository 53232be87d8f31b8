"""What pretraining minimizes: the mean over hidden words, and over pairs of sentences.

Sums and counts are kept apart until the end. So a batch in parts, over several steps or
several devices, has the same loss as in one: a mean of means has not, where the parts
have different numbers of hidden words.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from d2lcompanion.text.bert_data import Batch
from d2lcompanion.text.bert_documents import SpecialIds
from d2lcompanion.text.bert_heads import BertForPretraining, Predictions
from d2lcompanion.text.checks import require_shape
from d2lcompanion.text.cross_entropy import cross_entropy_sum
from d2lcompanion.text.masking import (
    IGNORE,
    SHARE,
    Masked,
    mask_tokens,
    maskable_positions,
)


class LossSums(NamedTuple):
    """Of one batch, or of several, added up.

    Attributes:
        words: [], Σ −ln p(hidden word), nats.
        next: [], Σ −ln p(label), nats.
        hidden: [], int64, number of hidden words.
        rows: [], int64, number of pairs.
        words_right: [], int64, how many hidden words got the largest logit.
        next_right: [], int64, how many labels did.
    """

    words: Tensor
    next: Tensor
    hidden: Tensor
    rows: Tensor
    words_right: Tensor
    next_right: Tensor

    def __add__(self, other: object) -> "LossSums":
        """Entry by entry, not one after the other as tuples are."""
        if not isinstance(other, LossSums):
            return NotImplemented
        return LossSums(*(a + b for a, b in zip(self, other, strict=True)))


def mask_batch(
    batch: Batch,
    special: SpecialIds,
    random_ids: Tensor,
    generator: torch.Generator,
    *,
    share: float = SHARE,
    whole_words: bool = False,
) -> Masked:
    """Hide words of a batch, other ones each time it is seen."""
    return mask_tokens(
        batch.ids,
        maskable_positions(batch.ids, special.unmaskable),
        mask_id=special.mask,
        random_ids=random_ids,
        generator=generator,
        share=share,
        words=batch.word if whole_words else None,
    )


def loss_sums(
    predictions: Predictions, targets: Tensor, label: Tensor, *, count: bool = True
) -> LossSums:
    """Cross-entropies of both tasks, added up; what is not hidden counts for nothing.

    Args:
        predictions: `words` [N, V] of the hidden words in row order, or [B, T, V] of all
            tokens.
        targets: [B, T], int64, the hidden words, else −100.
        label: [B], int64, 0 or 1.
        count: what was right; else both numbers are 0, and time is saved.
    Raises:
        ValueError: if the number of predictions does not fit.
    """
    hidden = targets != IGNORE
    logits = predictions.words
    wanted = targets[hidden]
    if logits.ndim == 3:
        require_shape("predictions.words", logits, (*targets.shape, logits.shape[2]))
        logits = logits[hidden]
    require_shape("predictions.words", logits, (wanted.shape[0], logits.shape[-1]))
    require_shape("predictions.next", predictions.next, (label.shape[0], 2))
    number = hidden.sum()
    right = following = torch.zeros_like(number)
    if count:
        right = (logits.argmax(1) == wanted).sum()
        following = (predictions.next.argmax(1) == label).sum()
    return LossSums(
        cross_entropy_sum(logits, wanted),
        cross_entropy(predictions.next.float(), label, reduction="sum"),
        number,
        torch.full_like(number, label.shape[0]),
        right,
        following,
    )


def pretraining_loss(
    sums: LossSums, hidden: Tensor, rows: Tensor, *, next_weight: float = 1.0
) -> Tensor:
    """Σ −ln p(word)/M + λ Σ −ln p(label)/R, nats.

    Args:
        sums: of a part of the batch.
        hidden: M, hidden words of the *whole* batch, all parts and devices; at least 1
            is divided by.
        rows: R, its pairs.
        next_weight: λ; 0 leaves out the next sentence, as RoBERTa does.
    """
    words = sums.words / hidden.clamp(min=1)
    if next_weight == 0:
        return words + 0 * sums.next  # a gradient of 0 for each parameter
    return words + next_weight * sums.next / rows.clamp(min=1)


def masked_step(
    model: BertForPretraining, batch: Batch, masked: Masked, *, count: bool = True
) -> LossSums:
    """Forward pass; the head of words sees hidden words only."""
    hidden = masked.targets != IGNORE
    predictions = model(masked.ids, batch.segments, batch.valid, hidden)
    return loss_sums(predictions, masked.targets, batch.label, count=count)
