"""Each piece hidden in turn: against a slow loop, and what bad input says."""

import math
import re

import pytest
import torch

from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_documents import SpecialIds
from d2lcompanion.text.bert_heads import BertForPretraining
from d2lcompanion.text.hidden_pieces import best_guesses, guesses, hidden_one_by_one

SPECIAL = SpecialIds(pad=0, unknown=1, cls=2, sep=3, mask=4)
SIZE = 30
SENTENCE = torch.tensor([7, 12, 7, 1, 29, 5])


def network(dropout=0.0, seed=0):
    """With weights large enough that guesses differ from place to place."""
    config = BertConfig(SIZE, 16, 2, 2, 32, 12, dropout=dropout)
    model = BertForPretraining(config, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter *= 15
    return model


@pytest.mark.parametrize("seed", range(3))
def test_guesses_are_those_of_a_loop_over_places(seed):
    model = network(seed=seed).eval()
    found = guesses(model, SENTENCE, SPECIAL, top=5)
    firsts = set()
    for place, true in enumerate(SENTENCE.tolist()):
        row = [SPECIAL.cls, *SENTENCE.tolist(), SPECIAL.sep]
        row[place + 1] = SPECIAL.mask
        with torch.no_grad():
            logits = model(torch.tensor([row])).words[0, place + 1].tolist()
        total = sum(math.exp(x) for x in logits)
        p = [math.exp(x) / total for x in logits]
        order = sorted(range(SIZE), key=lambda k: -p[k])
        assert found.ids[place].tolist() == order[:5]
        assert found.shares[place].tolist() == pytest.approx([p[k] for k in order[:5]], abs=1e-6)
        assert float(found.share[place]) == pytest.approx(p[true], abs=1e-6)
        assert int(found.rank[place]) == 1 + order.index(true)
        firsts.add(order[0])
    assert len(firsts) > 1


def test_all_guesses_add_up_to_one():
    model = network()
    shares = hidden_one_by_one(model, SENTENCE, SPECIAL)
    assert shares.shape == (6, SIZE)
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    every = best_guesses(shares, SENTENCE, top=SIZE)
    assert every.ids.sort(1).values.tolist() == [list(range(SIZE))] * 6
    at = every.ids.gather(1, every.rank[:, None] - 1)[:, 0]
    assert torch.equal(at, SENTENCE)


def test_what_is_hidden_is_not_seen():
    model = network()
    other = SENTENCE.clone()
    other[2] = 20
    one, two = (hidden_one_by_one(model, ids, SPECIAL) for ids in (SENTENCE, other))
    assert torch.equal(one[2], two[2])
    assert not torch.allclose(one[3], two[3])


def test_dropout_is_off_meanwhile_and_on_again():
    model = network(dropout=0.5).train()
    one, two = (hidden_one_by_one(model, SENTENCE, SPECIAL) for _ in range(2))
    assert torch.equal(one, two)
    assert model.training
    assert not hidden_one_by_one(model.eval(), SENTENCE, SPECIAL).requires_grad
    assert not model.training


def test_asking_draws_no_random_numbers():
    model = network(dropout=0.5)
    before = torch.random.get_rng_state()
    hidden_one_by_one(model, SENTENCE, SPECIAL)
    assert torch.equal(before, torch.random.get_rng_state())


def test_of_equals_the_smaller_id_comes_first():
    shares = torch.tensor([[0.1, 0.3, 0.3, 0.3]])
    found = best_guesses(shares, torch.tensor([2]), top=2)
    assert found.ids.tolist() == [[1, 2]]
    assert found.rank.tolist() == [2]


@pytest.mark.parametrize("top", [0, 31])
def test_a_number_of_guesses_out_of_range_is_refused(top):
    with pytest.raises(ValueError, match=f"top must be in 1 … 30, got {top}"):
        guesses(network(), SENTENCE, SPECIAL, top)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.zeros(0, dtype=torch.long), "ids must be [T], T ≥ 1, got [0]"),
        (SENTENCE[None], "ids must be [T], T ≥ 1, got [1, 6]"),
        (torch.full((11,), 5), "a sequence must have at most 12 tokens"),
        (torch.tensor([5, 30]), "30"),
    ],
)
def test_sentences_that_cannot_be_asked_about_are_refused(ids, message):
    model = network().train()
    with pytest.raises(ValueError, match=re.escape(message)):
        guesses(model, ids, SPECIAL)
    assert model.training
    assert guesses(model, torch.full((10,), 5), SPECIAL).ids.shape == (10, 6)


def test_targets_of_another_length_are_refused():
    with pytest.raises(ValueError, match=re.escape("ids must have shape [6], got [5]")):
        best_guesses(torch.full((6, SIZE), 1 / SIZE), SENTENCE[:5])
