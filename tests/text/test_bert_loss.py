"""The losses against hand counts, torch and the book's own function."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_data import Batch
from d2lcompanion.text.bert_documents import SpecialIds
from d2lcompanion.text.bert_heads import BertForPretraining, Predictions
from d2lcompanion.text.bert_loss import (
    loss_sums,
    mask_batch,
    masked_step,
    pretraining_loss,
)
from d2lcompanion.text.masking import IGNORE, ordinary_ids

SPECIAL = SpecialIds(0, 1, 2, 3, 4)
CONFIG = BertConfig(30, 16, 2, 2, 32, 12, 2, dropout=0.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(count=6, padding=2):
    """[CLS] A [SEP] B [SEP] and padding."""
    ids = torch.randint(5, 30, (count, 12), generator=seeded(1))
    ids[:, 0], ids[:, 5], ids[:, 11 - padding] = 2, 3, 3
    t = torch.arange(12)
    ids[:, t > 11 - padding] = 0
    valid = (t <= 11 - padding).expand(count, 12)
    segments = ((t > 5) & (t <= 11 - padding)).long().expand(count, 12)
    return Batch(ids, segments, valid, t.expand(count, 12), torch.arange(count) % 2)


def hidden_words(batch, **options):
    return mask_batch(batch, SPECIAL, ordinary_ids(30, SPECIAL), seeded(2), share=0.4, **options)


def test_by_hand_two_hidden_words_of_three_places():
    """p = ½ and ¼: −ln ½ − ln ¼ = ln 8; the third place counts for nothing."""
    logits = torch.tensor([[[0.0, 0.0], [0.0, math.log(3)], [5.0, -5.0]]])
    targets = torch.tensor([[1, 0, IGNORE]])
    sums = loss_sums(Predictions(logits, torch.zeros(1, 2)), targets, torch.tensor([1]))
    assert float(sums.words) == pytest.approx(math.log(8))
    assert float(sums.next) == pytest.approx(math.log(2))
    loss = pretraining_loss(sums, sums.hidden, sums.rows)
    assert float(loss) == pytest.approx(math.log(8) / 2 + math.log(2))
    assert float(pretraining_loss(sums, sums.hidden, sums.rows, next_weight=0.0)) == pytest.approx(
        math.log(8) / 2
    )


def test_erratum_e16_padding_counts_in_d2l_and_not_here():
    """Its loss is a mean over all places already when the weights come: padding asks for word 0."""
    from d2l import torch as d2l

    logits = torch.randn(2, 3, 7, generator=seeded())
    labels = torch.tensor([[4, 2, 0], [5, 0, 0]])  # a 0 is padding
    weights = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])

    class Net(nn.Module):
        def forward(self, tokens, segments, valid, positions):
            return None, logits, torch.zeros(2, 2)

    arguments = (torch.zeros(2, 3), None, torch.tensor([3.0, 3.0]), None, weights, labels)
    theirs, _, _ = d2l._get_batch_loss_bert(
        Net(), nn.CrossEntropyLoss(), 7, *arguments, torch.tensor([0, 1])
    )
    places = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    assert float(theirs) == pytest.approx(float(places.mean()), abs=1e-5)  # all six places
    right = float(places[weights.flatten() == 1].mean())  # the three that are asked for
    assert abs(float(theirs) - right) > 0.05
    targets = labels.where(weights == 1, IGNORE)
    sums = loss_sums(Predictions(logits, torch.zeros(2, 2)), targets, torch.tensor([0, 1]))
    ours = pretraining_loss(sums, sums.hidden, sums.rows, next_weight=0.0)
    assert float(ours) == pytest.approx(right)


def test_padding_changes_neither_loss_nor_gradient():
    """The same rows with more padding behind them."""
    long, short = rows(padding=4), rows(padding=4)
    short = Batch(*(x[:, :8] for x in short[:4]), short.label)
    masked = hidden_words(long)
    cut = type(masked)(*(x[:, :8] for x in masked))
    found = []
    for batch, holes in ((long, masked), (short, cut)):
        model = BertForPretraining(CONFIG, seeded())
        sums = masked_step(model, batch, holes)
        loss = pretraining_loss(sums, sums.hidden, sums.rows)
        loss.backward()
        found.append((loss.detach(), model.bert.layers[0].inner.weight.grad))
    torch.testing.assert_close(*(f[0] for f in found))
    torch.testing.assert_close(*(f[1] for f in found), atol=1e-7, rtol=1e-4)


def test_the_head_sees_the_same_words_as_if_it_saw_all():
    batch = rows()
    masked = hidden_words(batch)
    model = BertForPretraining(CONFIG, seeded())
    some = masked_step(model, batch, masked)
    every = loss_sums(model(masked.ids, batch.segments, batch.valid), masked.targets, batch.label)
    for one, other in zip(some, every, strict=True):
        torch.testing.assert_close(one, other)


def test_a_batch_in_parts_is_the_batch():
    """Parts with different numbers of hidden words: sums add up, a mean of means would not."""
    batch = rows()
    masked = hidden_words(batch)
    targets = masked.targets.clone()
    targets[3:, 2:] = IGNORE  # the second part has fewer
    masked = masked._replace(targets=targets)
    model = BertForPretraining(CONFIG, seeded())
    whole = masked_step(model, batch, masked)
    parts = [
        masked_step(
            model, Batch(*(x[part] for x in batch)), type(masked)(*(x[part] for x in masked))
        )
        for part in (slice(3), slice(3, 6))
    ]
    added = sum(pretraining_loss(part, whole.hidden, whole.rows) for part in parts)
    torch.testing.assert_close(added, pretraining_loss(whole, whole.hidden, whole.rows))
    means = [float(pretraining_loss(p, p.hidden, p.rows, next_weight=0.0)) for p in parts]
    mean = float(pretraining_loss(whole, whole.hidden, whole.rows, next_weight=0.0))
    assert abs(sum(means) / 2 - mean) > 1e-3
    total = parts[0] + parts[1]
    assert float(total.words) == pytest.approx(float(whole.words))
    assert int(total.rows) == int(whole.rows) == 6


def test_nothing_hidden_is_a_loss_of_zero_and_no_nan():
    batch = rows(2)
    none = torch.full_like(batch.ids, IGNORE)
    model = BertForPretraining(CONFIG, seeded())
    sums = masked_step(model, batch, hidden_words(batch)._replace(targets=none))
    loss = pretraining_loss(sums, sums.hidden, sums.rows, next_weight=0.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_erratum_e17_positions_are_trained():
    """Every position that a row has gets a gradient, and moves."""
    model = BertForPretraining(CONFIG, seeded())
    batch = rows(padding=0)
    sums = masked_step(model, batch, hidden_words(batch))
    pretraining_loss(sums, sums.hidden, sums.rows).backward()
    positions = model.bert.embeddings.position.weight
    assert bool((positions.grad.norm(dim=1) > 0).all())


def test_erratum_e17_data_blocks_the_gradient():
    """The Chinese edition adds `pos_embedding.data`: the sum is the same, the gradient is none."""
    for blocked in (True, False):
        positions = nn.Parameter(torch.randn(1, 4, 3, generator=seeded()))
        x = torch.randn(2, 4, 3, generator=seeded(1), requires_grad=True)
        added = x + (positions.data if blocked else positions)[:, :4]
        added.square().sum().backward()
        assert (positions.grad is None) == blocked
        assert x.grad is not None


def test_whole_words_are_hidden_whole():
    batch = rows()
    batch = batch._replace(word=torch.tensor([0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 8]).expand(6, 12))
    hidden = hidden_words(batch, whole_words=True).targets != IGNORE
    assert torch.equal(hidden[:, 1], hidden[:, 2])
    assert torch.equal(hidden[:, 6], hidden[:, 7])


BAD = {
    "words": (lambda: loss_sums(Predictions(torch.zeros(3, 7), torch.zeros(1, 2)), torch.tensor([[4, IGNORE]]), torch.tensor([0])), r"predictions.words must have shape \[1, 7\], got \[3, 7\]"),
    "all": (lambda: loss_sums(Predictions(torch.zeros(1, 3, 7), torch.zeros(1, 2)), torch.tensor([[4, IGNORE]]), torch.tensor([0])), r"predictions.words must have shape \[1, 2, 7\], got \[1, 3, 7\]"),
    "next": (lambda: loss_sums(Predictions(torch.zeros(1, 7), torch.zeros(2, 2)), torch.tensor([[4, IGNORE]]), torch.tensor([0])), r"predictions.next must have shape \[1, 2\], got \[2, 2\]"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
