"""What an answer to each task shape is worth, and rules without an encoder to compare with."""

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.data.wikipedia import words_of
from d2lcompanion.experiments.fine_tuning import encode_rows
from d2lcompanion.experiments.linear_probe import fit, in_few_columns, spread
from d2lcompanion.experiments.task_examples import NAME, TAGS, Examples
from d2lcompanion.experiments.text_features import by_counts, sublinear_tfidf
from d2lcompanion.experiments.word_senses import pretrained
from d2lcompanion.text.bert_tasks import best_span, masked_mean
from d2lcompanion.text.similarity import unit
from d2lcompanion.text.task_rows import Rows, join_rows

Scores = dict[str, float]
LONGEST_ANSWER = 12  # tokens
NEAR = 60  # characters to both sides of a candidate

# --------------------------------------------------------------------------------------- judges


def judge_classes(logits: Tensor, targets: Tensor, rows: Rows) -> Scores:
    """The share of rows whose largest logit is the target's."""
    return {"accuracy": float((logits.argmax(1) == targets).double().mean())}


def judge_tags(logits: Tensor, targets: Tensor, rows: Rows) -> Scores:
    """The mean F₁ of all tags but the first, which most words have."""
    tagged = targets >= 0
    return tag_scores(logits.argmax(2)[tagged], targets[tagged])


def tag_scores(said: Tensor, true: Tensor) -> Scores:
    """F₁ = 2·right/(said + true), 0 where a tag is never said and never true; accuracy."""
    found = {}
    for number, name in enumerate(TAGS[1:], 1):
        right = int(((said == number) & (true == number)).sum())
        total = int((said == number).sum() + (true == number).sum())
        found[name] = 2 * right / max(total, 1)
    accuracy = float((said == true).double().mean())
    return {"f1": sum(found.values()) / len(found), "accuracy": accuracy, **found}


def judge_answers(logits: Tensor, targets: Tensor, rows: Rows) -> Scores:
    """Both ends right; and F₁ of the tokens, averaged over questions."""
    found = best_span(logits, rows.second, LONGEST_ANSWER)
    return span_scores(torch.stack([found.start, found.end], 1), targets)


def span_scores(said: Tensor, true: Tensor) -> Scores:
    """[N, 2] each, first and last token."""
    both = torch.minimum(said, true)[:, 1] - torch.maximum(said, true)[:, 0] + 1
    sizes = (said[:, 1] - said[:, 0] + 1) + (true[:, 1] - true[:, 0] + 1)
    return {
        "exact": float((said == true).all(1).double().mean()),
        "f1": float((2 * both.clamp(min=0) / sizes).double().mean()),
    }


# ------------------------------------------------------------------------- rules without an encoder


def topic_rules(data: Examples, train: Tensor, test: Tensor) -> Scores:
    """TF-IDF of the words and a linear classifier."""
    words = [words_of(text) for (text,) in data.texts]
    parts = [[words[n] for n in part.tolist()] for part in (train, test)]
    few = in_few_columns(by_counts(parts, sublinear_tfidf).features)
    scale = spread(few[0])
    labels = data.targets.numpy()
    classes = int(labels.max()) + 1
    probe = fit(few[0] / scale, labels[train], classes, 1e-3)
    return {
        "accuracy": probe.accuracy(few[1] / scale, labels[test]),
        "majority": float(np.bincount(labels[test]).max() / len(test)),
    }


def tag_rules(data: Examples, train: Tensor, test: Tensor) -> Scores:
    """The most frequent tag of the word in training; plain for a word that was not there."""
    counts: dict[str, list[int]] = {}
    for word, tag in _tagged(data, train):
        counts.setdefault(word, [0] * len(TAGS))[tag] += 1
    pairs = _tagged(data, test)
    said = [int(np.argmax(counts.get(word, [1, 0, 0]))) for word, _ in pairs]
    true = torch.tensor([tag for _, tag in pairs])
    majority = float((true == 0).double().mean())
    return {**tag_scores(torch.tensor(said), true), "majority": majority}


def _tagged(data: Examples, which: Tensor) -> list[tuple[str, int]]:
    found = []
    for n in which.tolist():
        tags = data.targets[n][data.targets[n] >= 0].tolist()
        found += list(zip(data.texts[n], tags, strict=True))
    return found


def pair_rules(data: Examples, train: Tensor, test: Tensor) -> Scores:
    """Words that both have, |A ∩ B|/|A ∪ B|; and the cosine of two vectors of MiniLM.

    Above a threshold: the best in training.
    """
    sets = [tuple(set(words_of(text)) for text in both) for both in data.texts]
    overlap = torch.tensor([len(a & b) / max(1, len(a | b)) for a, b in sets])
    right: Callable[[Tensor], float] = lambda x: threshold_accuracy(  # noqa: E731
        x[train], data.targets[train], x[test], data.targets[test]
    )
    return {
        "accuracy": right(overlap),
        "cosine": right(_cosines(data.texts)),
        "majority": 0.5,
    }


@functools.cache
def _cosines(texts: tuple[tuple[str, ...], ...]) -> Tensor:
    """Of the mean vectors of the two texts of each row, made once for all seeds."""
    part = pretrained()
    ids = [part.tokenizer.encode(text) for both in texts for text in both]
    rows = join_rows(ids, special=part.special, longest=part.longest)
    vectors = unit(masked_mean(encode_rows(part.model, rows).hidden, rows.valid))
    return (vectors[::2] * vectors[1::2]).sum(1)


def threshold_accuracy(
    x: Tensor, labels: Tensor, other: Tensor, truth: Tensor
) -> float:
    """Say 1 from a threshold on: the best for x and labels, the lowest at a tie."""
    right = ((x[:, None] >= x) == labels[:, None].bool()).double().mean(0)
    values, order = x.sort()
    threshold = values[right[order].argmax()]
    return float(((other >= threshold) == truth.bool()).double().mean())


def answer_rules(data: Examples, train: Tensor, test: Tensor) -> Scores:
    """The name or number with most words of the question near it, the first at a tie."""
    tokenizer = pretrained().tokenizer
    said = []
    for n in test.tolist():
        question, passage = data.texts[n]
        start, end = nearest_name(question, passage)
        begin = len(tokenizer.encode(question)) + 2
        first = begin + len(tokenizer.encode(passage[:start]))
        length = max(1, len(tokenizer.encode(passage[start:end])))
        said.append([first, first + length - 1])
    return span_scores(torch.tensor(said), data.targets[test])


def nearest_name(question: str, passage: str) -> tuple[int, int]:
    """Its first character and the one after its last; the whole passage if it has no name."""
    asked = {w for w in words_of(question) if len(w) > 3}
    best, found = -1, (0, len(passage))
    for name in NAME.finditer(passage):
        start, end = name.span()
        around = passage[max(0, start - NEAR) : start] + passage[end : end + NEAR]
        near = len(asked & set(words_of(around)))
        new = not asked & set(words_of(name[0]))
        if new and near > best:
            best, found = near, (start, end)
    return found


RULES: dict[str, Callable[[Examples, Tensor, Tensor], Scores]] = {
    "topic": topic_rules,
    "tags": tag_rules,
    "pairs": pair_rules,
    "answers": answer_rules,
}
JUDGES: dict[str, Callable[[Tensor, Tensor, Rows], Scores]] = {
    "topic": judge_classes,
    "tags": judge_tags,
    "pairs": judge_classes,
    "answers": judge_answers,
}
