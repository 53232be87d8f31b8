"""The four task shapes: the examples, the head and the loss of each."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.task_examples import (
    TAGS,
    TOPICS,
    Examples,
    Sizes,
    answer_examples,
    pair_examples,
    tag_examples,
    topic_examples,
)
from d2lcompanion.text.bert import Bert
from d2lcompanion.text.bert_tasks import (
    AnswerFinder,
    Head,
    SequenceClassifier,
    TokenClassifier,
    class_loss,
    span_loss,
    tag_loss,
)
from d2lcompanion.text.task_rows import Rows
from d2lcompanion.training.experiment import Text


class Shape(NamedTuple):
    """One of the four.

    Attributes:
        title: what goes in and comes out.
        examples: made of the sizes.
        head: on an encoder, first weights drawn by the generator.
        loss: of logits, targets and rows.
        score: the main number of its judge.
    """

    title: Text
    examples: Callable[[Sizes], Examples]
    head: Callable[[Bert, torch.Generator], Head]
    loss: Callable[[Tensor, Tensor, Rows], Tensor]
    score: str


def _span_loss(logits: Tensor, targets: Tensor, rows: Rows) -> Tensor:
    passage = rows.second[:, : logits.shape[1]].to(logits.device)
    return span_loss(logits, targets[:, 0], targets[:, 1], passage)


SHAPES = {
    "topic": Shape(
        Text("paragraph → topic", "段落 → 主题"),
        topic_examples,
        lambda bert, g: SequenceClassifier(bert, len(TOPICS), g, pooling="mean"),
        lambda logits, targets, rows: class_loss(logits, targets),
        "accuracy",
    ),
    "tags": Shape(
        Text("words → capitals", "词 → 大写标记"),
        tag_examples,
        lambda bert, g: TokenClassifier(bert, len(TAGS), g),
        lambda logits, targets, rows: tag_loss(logits, targets[:, : logits.shape[1]]),
        "f1",
    ),
    "pairs": Shape(
        Text("two paragraphs → one article?", "两段 → 是否同一条目"),
        pair_examples,
        lambda bert, g: SequenceClassifier(bert, 2, g, pooling="mean"),
        lambda logits, targets, rows: class_loss(logits, targets),
        "accuracy",
    ),
    "answers": Shape(
        Text("question, passage → answer", "问题、短文 → 答案"),
        answer_examples,
        AnswerFinder,
        _span_loss,
        "f1",
    ),
}
