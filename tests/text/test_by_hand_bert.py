"""The small numbers that the chapter computes by hand."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from d2lcompanion.text.bert import Bert
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_heads import Predictions
from d2lcompanion.text.bert_loss import loss_sums, pretraining_loss
from d2lcompanion.text.masking import IGNORE, number_to_choose

TINY = BertConfig(10, 4, 1, 1, 8, 6, 2, dropout=0.0)


def test_attention_of_two_keys():
    """A query with the products 2 ln 3 and 0, d = 4: weights 3/4 and 1/4; without the root .9."""
    model = Bert(TINY).eval()
    block = model.layers[0]
    rows = torch.zeros(12, 4)
    rows[:4] = torch.eye(4)  # q = x
    rows[4:8] = torch.eye(4)  # k = x
    with torch.no_grad():
        block.qkv.weight.copy_(rows)
        block.qkv.bias.zero_()
    x = torch.tensor([[[math.log(3) ** 0.5, math.log(3) ** 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
    q, k, _ = block.split(x)
    assert float(q[0, 0, 0] @ k[0, 0, 0]) == pytest.approx(2 * math.log(3))
    scores = (q @ k.mT / 4**0.5)[0, 0, 0].detach()
    assert scores.softmax(0).tolist() == pytest.approx([0.75, 0.25])
    assert (2 * scores).softmax(0).tolist() == pytest.approx([0.9, 0.1])


def test_three_of_twenty_words():
    maskable = torch.ones(1, 20, dtype=torch.bool)
    assert number_to_choose(maskable).tolist() == [3]


def test_the_loss_of_two_hidden_words_and_one_place_of_padding():
    p = torch.tensor([0.5, 0.25, 0.01])
    logits = torch.stack([p, 1 - p], 1).log()
    targets = torch.tensor([[0, 0, IGNORE]])
    sums = loss_sums(Predictions(logits[None], torch.zeros(1, 2)), targets, torch.tensor([0]))
    loss = float(pretraining_loss(sums, sums.hidden, sums.rows, next_weight=0.0))
    assert loss == pytest.approx(math.log(8) / 2)
    assert round(loss, 3) == 1.040
    with_padding = float(cross_entropy(logits, torch.zeros(3).long()))
    assert with_padding == pytest.approx((math.log(8) + math.log(100)) / 3)
    assert round(with_padding, 3) == 2.228


def test_parameters_of_a_tiny_model():
    assert TINY.parameters() == 80 + 172 + 20 == sum(p.numel() for p in Bert(TINY).parameters())
