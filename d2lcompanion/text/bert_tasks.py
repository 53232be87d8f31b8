"""Four shapes of a task on BERT: a linear map of one vector, or of the vector of each token.

A text → its class; two texts → a class; a text → a tag for each token; a question and a
passage → first and last token of the answer. The rows are made in `task_rows`.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from d2lcompanion.text.bert import Bert, Encoded, initialize
from d2lcompanion.text.checks import (
    require_at_least,
    require_choice,
    require_ids,
    require_mask,
    require_shape,
    require_unit_interval,
)
from d2lcompanion.text.masking import IGNORE

# ------------------------------------------------------------------------------------ three heads


class Head(nn.Module):
    """An encoder, dropout and a linear map: what the three heads share.

    Args:
        bert: is trained with the map, unless its parameters are frozen.
        outputs: numbers for each vector, ≥ 2.
        generator: of the map's first weights, N(0, 0.02²). None: torch's own.
        dropout: of the vectors before the map.
    """

    def __init__(
        self,
        bert: Bert,
        outputs: int,
        generator: torch.Generator | None = None,
        *,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        require_at_least("outputs", outputs, 2)
        require_unit_interval("dropout", dropout)
        self.bert = bert
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(bert.config.width, outputs)
        initialize(self.linear, generator)

    def forward(
        self, ids: Tensor, segments: Tensor | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """[B, T], with `segments` and `valid` as of `Bert` → as of `score`."""
        return self.score(self.bert(ids, segments, valid), valid)

    def score(self, encoded: Encoded, valid: Tensor | None = None) -> Tensor:
        """The same from vectors that the encoder has made; valid: [B, T], bool."""
        raise NotImplementedError


class SequenceClassifier(Head):
    """A class of a text, or of two texts in a row: logits [B, C].

    Args:
        pooling: "cls": the pooled vector of [CLS], as published; "mean": the mean of all
            tokens that are no padding.
    """

    def __init__(
        self,
        bert: Bert,
        classes: int,
        generator: torch.Generator | None = None,
        *,
        pooling: Literal["cls", "mean"] = "cls",
        dropout: float = 0.1,
    ) -> None:
        require_choice("pooling", pooling, ("cls", "mean"))
        super().__init__(bert, classes, generator, dropout=dropout)
        self.pooling = pooling

    def pool(self, encoded: Encoded, valid: Tensor | None = None) -> Tensor:
        """The one vector that the class is read from, [B, d]."""
        if self.pooling == "cls":
            return encoded.pooled
        return masked_mean(encoded.hidden, valid)

    def score(self, encoded: Encoded, valid: Tensor | None = None) -> Tensor:
        """Logits, [B, C]."""
        logits: Tensor = self.linear(self.dropout(self.pool(encoded, valid)))
        return logits


class TokenClassifier(Head):
    """A tag of each token: logits [B, T, C], also at padding, where they mean nothing."""

    def score(self, encoded: Encoded, valid: Tensor | None = None) -> Tensor:
        """Logits, [B, T, C]."""
        logits: Tensor = self.linear(self.dropout(encoded.hidden))
        return logits


class AnswerFinder(TokenClassifier):
    """Where an answer begins and ends: logits [B, T, 2], of start and of end.

    As published there is no dropout before the map.
    """

    def __init__(self, bert: Bert, generator: torch.Generator | None = None) -> None:
        super().__init__(bert, 2, generator, dropout=0.0)


def masked_mean(hidden: Tensor, valid: Tensor | None = None) -> Tensor:
    """The mean of the vectors of a row that are no padding: [B, T, d] → [B, d].

    Raises:
        ValueError: if shapes differ, or a row is all padding.
    """
    if valid is None:
        return hidden.mean(1)
    require_mask("valid", valid, hidden.shape[:2])
    _require_some("valid", valid, "a token")
    weights = valid[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


# ----------------------------------------------------------------------------- losses and answers


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean −ln softmax(logits)[label], nats: [B, C] and [B] → [].

    Raises:
        ValueError: if shapes differ; on the CPU, if a label is not in [0, C).
    """
    require_shape("labels", labels, logits.shape[:1])
    _require_labels("labels", labels, logits.shape[1])
    return cross_entropy(logits, labels)


def tag_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over all tokens that have a tag: padding counts for nothing.

    Args:
        logits: [B, T, C].
        targets: [B, T], int64; −100 where a token has no tag.
    Raises:
        ValueError: if shapes differ, no token has a tag or, on the CPU, one is not in
            [0, C).
    """
    require_shape("targets", targets, logits.shape[:2])
    tagged = targets != IGNORE
    if not bool(tagged.any()):
        raise ValueError(f"targets must hold a tag, got {IGNORE} everywhere")
    _require_labels("targets", targets.where(tagged, 0), logits.shape[2])
    return cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


def span_loss(
    logits: Tensor, start: Tensor, end: Tensor, passage: Tensor | None = None
) -> Tensor:
    """½ (−ln p(start) − ln p(end)), its mean over rows, nats.

    Args:
        logits: [B, T, 2], of start and end.
        start, end: [B], int64, first and last token of the answer.
        passage: [B, T], bool: probabilities are shared among these tokens only. None:
            among all, as published.
    Raises:
        ValueError: if shapes differ; on the CPU, if a place is out of range or outside the
            passage, or an end comes before its start.
    """
    rows, length = logits.shape[:2]
    require_shape("logits", logits, (rows, length, 2))
    for name, place in (("start", start), ("end", end)):
        require_shape(name, place, (rows,))
        _require_labels(name, place, length)
    if start.device.type == "cpu" and not bool((start <= end).all()):
        row = int((start > end).nonzero()[0, 0])
        raise ValueError(
            f"an end must not come before its start, got {int(start[row])} and "
            f"{int(end[row])} in row {row}"
        )
    if passage is not None:
        require_mask("passage", passage, logits.shape[:2])
        inside = passage.gather(1, torch.stack([start, end], 1)).all(1)
        if start.device.type == "cpu":
            _require_some("passage", inside[:, None], "the answer")
        logits = logits.masked_fill(~passage[:, :, None], -torch.inf)
    first, last = logits.unbind(2)
    return (cross_entropy(first, start) + cross_entropy(last, end)) / 2


class Spans(NamedTuple):
    """The best span of each row.

    Attributes:
        start, end: [B], int64, first and last token.
        score: [B], logit of start + logit of end.
    """

    start: Tensor
    end: Tensor
    score: Tensor


def best_span(logits: Tensor, passage: Tensor, max_length: int) -> Spans:
    """argmax of start_i + end_j over i ≤ j < i + max_length, i and j in the passage.

    At a tie the smallest i, and for this the smallest j. The best end alone may come
    before the best start.

    Args:
        logits: [B, T, 2], finite.
        passage: [B, T], bool, a run of tokens in each row.
        max_length: of an answer, tokens.
    Raises:
        ValueError: if shapes differ, max_length < 1, a logit is not finite, or a row
            has no passage.
    """
    rows, length = logits.shape[:2]
    require_shape("logits", logits, (rows, length, 2))
    require_mask("passage", passage, (rows, length))
    require_at_least("max_length", max_length, 1)
    _require_some("passage", passage, "a token")
    if not bool(logits.isfinite().all()):
        raise ValueError("logits must be finite, got nan or inf")
    reach = min(max_length, length)
    start, end = logits.masked_fill(~passage[:, :, None], -torch.inf).unbind(2)
    # scores[b, i, k] = start_i + end_(i+k)
    ends = pad(end, (0, reach - 1), value=-torch.inf).unfold(1, reach, 1)
    scores = start[:, :, None] + ends
    score, place = scores.flatten(1).max(1)
    first = place // reach
    return Spans(first, first + place % reach, score)


def _require_labels(name: str, labels: Tensor, classes: int) -> None:
    if labels.device.type == "cpu":  # elsewhere reading back would wait for the device
        require_ids(name, labels, classes)


def _require_some(name: str, mask: Tensor, what: str) -> None:
    """Every row has a true entry."""
    if not bool(mask.any(1).all()):
        row = int((~mask.any(1)).nonzero()[0, 0])
        raise ValueError(f"{name} must hold {what} in each row, got none in row {row}")
