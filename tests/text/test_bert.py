"""The architecture against `transformers`, with the weights of MiniLM and with random ones."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig as TheirConfig
from transformers import BertForPreTraining, BertModel

from d2lcompanion.data.minilm import load_minilm
from d2lcompanion.text.bert import Bert
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_heads import BertForPretraining
from d2lcompanion.text.bert_state import load_bert_state, load_pretraining_state
from d2lcompanion.text.wordpiece import WordPiece

SMALL = BertConfig(50, 24, 2, 4, 40, 16, 2, dropout=0.0)
SENTENCES = (
    "The crane lifted the steel beam over the river bank.",
    "A crane waded through the shallow water.",
    "No.",
    "She went to the bank, which had been closed since Friday, and asked for her money back.",
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def their_small(model=BertForPreTraining):
    torch.manual_seed(3)
    config = TheirConfig(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,  # far from linear: GELU and tanh are told from others
    )
    return model(config).eval()


@pytest.fixture(scope="module")
def minilm():
    found = load_minilm()
    theirs = BertModel(
        TheirConfig(
            vocab_size=30_522,
            hidden_size=384,
            num_hidden_layers=6,
            num_attention_heads=12,
            intermediate_size=1536,
        )
    ).eval()
    missing = theirs.load_state_dict(dict(found.state), strict=False)
    assert missing.missing_keys == []
    return load_bert_state(found.state, heads=found.heads), theirs, WordPiece(found.pieces)


def padded(tokenizer, sentences):
    """[CLS] … [SEP] [PAD] …, and what is no padding."""
    rows = [[101, *tokenizer.encode(s), 102] for s in sentences]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    valid = torch.tensor([[n < len(row) for n in range(longest)] for row in rows])
    return ids, valid


@torch.no_grad()
def test_minilm_equals_transformers_with_padding(minilm):
    ours, theirs, tokenizer = minilm
    ids, valid = padded(tokenizer, SENTENCES)
    found = ours(ids, valid=valid)
    expected = theirs(input_ids=ids, attention_mask=valid.long())
    torch.testing.assert_close(
        found.hidden[valid], expected.last_hidden_state[valid], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found.pooled, expected.pooler_output, atol=1e-5, rtol=0)


@torch.no_grad()
def test_minilm_equals_transformers_without_padding(minilm):
    ours, theirs, tokenizer = minilm
    for sentence in SENTENCES:
        ids, _ = padded(tokenizer, [sentence])
        segments = (torch.arange(ids.shape[1]) > 4).long()[None]
        found = ours(ids, segments)
        expected = theirs(input_ids=ids, token_type_ids=segments)
        torch.testing.assert_close(found.hidden, expected.last_hidden_state, atol=1e-5, rtol=0)


@torch.no_grad()
def test_minilm_at_all_512_positions(minilm):
    ours, theirs, _ = minilm
    ids = torch.randint(1000, 30_000, (2, 512), generator=seeded())
    expected = theirs(input_ids=ids).last_hidden_state
    torch.testing.assert_close(ours(ids).hidden, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_padding_changes_nothing(minilm):
    ours, _, tokenizer = minilm
    ids, valid = padded(tokenizer, SENTENCES)
    together = ours(ids, valid=valid).hidden
    for row, sentence in enumerate(SENTENCES):
        alone = ours(padded(tokenizer, [sentence])[0]).hidden[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-5, rtol=0)


def small_batch():
    ids = torch.randint(0, 50, (3, 16), generator=seeded())
    segments = (torch.arange(16) >= torch.tensor([[5], [9], [12]])).long()
    valid = torch.arange(16) < torch.tensor([[16], [12], [14]])
    chosen = valid & (torch.rand(3, 16, generator=seeded(1)) < 0.4)
    return ids, segments, valid, chosen


def test_both_heads_losses_and_gradients_equal_transformers():
    """Tied embeddings get the gradient of both uses."""
    theirs = their_small()
    ours = load_pretraining_state(theirs.state_dict(), heads=4)
    ids, segments, valid, chosen = small_batch()
    labels, follows = ids.where(chosen, -100), torch.tensor([0, 1, 1])
    expected = theirs(
        input_ids=ids,
        token_type_ids=segments,
        attention_mask=valid.long(),
        labels=labels,
        next_sentence_label=follows,
    )
    found = ours(ids, segments, valid, chosen)
    torch.testing.assert_close(
        found.words, expected.prediction_logits[chosen], atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(found.next, expected.seq_relationship_logits)
    loss = cross_entropy(found.words, ids[chosen]) + cross_entropy(found.next, follows)
    torch.testing.assert_close(loss, expected.loss)
    loss.backward()
    expected.loss.backward()
    their_gradients = {n: p.grad for n, p in theirs.named_parameters()}
    for ours_name, theirs_name in {
        "bert.embeddings.word.weight": "bert.embeddings.word_embeddings.weight",
        "bert.embeddings.position.weight": "bert.embeddings.position_embeddings.weight",
        "bert.embeddings.segment.weight": "bert.embeddings.token_type_embeddings.weight",
        "bert.layers.1.inner.bias": "bert.encoder.layer.1.intermediate.dense.bias",
        "bert.layers.0.out.weight": "bert.encoder.layer.0.attention.output.dense.weight",
        "bert.pooler.weight": "bert.pooler.dense.weight",
        "word_bias": "cls.predictions.bias",
        "transform_norm.weight": "cls.predictions.transform.LayerNorm.weight",
    }.items():
        torch.testing.assert_close(
            ours.get_parameter(ours_name).grad, their_gradients[theirs_name], atol=1e-6, rtol=1e-4
        )


def test_the_next_head_starts_as_the_others_do():
    model = BertForPretraining(BertConfig(200, 64, 1, 4, 64, 8), seeded())
    assert float(model.next.weight.detach().std()) == pytest.approx(0.02, rel=0.3)
    assert float(model.bert.embeddings.word.weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_an_untrained_model_asks_for_ln_v():
    """Small weights: all words about equally likely, the loss ln V + half the logits' variance."""
    model = BertForPretraining(BertConfig(400, 64, 2, 4, 128, 16, dropout=0.0), seeded())
    ids = torch.randint(0, 400, (8, 16), generator=seeded())
    logits = model(ids).words.detach().flatten(0, 1)
    loss = float(cross_entropy(logits, ids.flatten()))
    assert loss == pytest.approx(math.log(400) + float(logits.var()) / 2, abs=0.05)


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (BertConfig(), 109_482_240),  # transformers' count of bert-base-uncased
        (BertConfig(width=1024, layers=24, heads=16, inner=4096), 335_141_888),
    ],
)
def test_the_number_of_parameters(config, published):
    assert config.parameters() == published


def test_the_closed_form_counts_what_is_there():
    assert sum(p.numel() for p in Bert(SMALL).parameters()) == SMALL.parameters()
    assert load_bert_state(load_minilm().state, heads=12).config.parameters() == 22_713_216


def test_weights_of_attention_are_those_that_the_layers_use():
    """A value of 1 is passed on unchanged: rows sum to 1; padding gets nothing."""
    model = Bert(SMALL, seeded()).eval()
    ids, segments, valid, _ = small_batch()
    weights = model.attention_weights(ids, segments, valid)
    assert weights.shape == (2, 3, 4, 16, 16)
    torch.testing.assert_close(weights.sum(4), torch.ones(2, 3, 4, 16))
    assert float(weights[:, 1, :, :, 12:].abs().max()) == 0
    theirs = their_small(BertModel)
    theirs.set_attn_implementation("eager")
    ours = load_bert_state(theirs.state_dict(), heads=4)
    expected = theirs(
        input_ids=ids, token_type_ids=segments, attention_mask=valid.long(), output_attentions=True
    ).attentions
    torch.testing.assert_close(ours.attention_weights(ids, segments, valid), torch.stack(expected))


@pytest.mark.parametrize("causal", [False, True])
def test_vectors_that_are_asked_for_are_those_of_all(causal):
    """[CLS] asked for or not: the pooled vector is there."""
    model = Bert(SMALL, seeded(), causal=causal).eval()
    ids, segments, valid, chosen = small_batch()
    chosen[0, 0], chosen[1, 0] = True, False
    every = model(ids, segments, valid)
    some = model(ids, segments, valid, chosen)
    torch.testing.assert_close(some.hidden, every.hidden[chosen])
    torch.testing.assert_close(some.pooled, every.pooled)
    none = model(ids, segments, valid, torch.zeros_like(chosen))
    assert none.hidden.shape == (0, 24)
    torch.testing.assert_close(none.pooled, every.pooled)


def test_a_causal_encoder_does_not_see_to_the_right():
    both = {}
    for causal in (True, False):
        model = Bert(SMALL, seeded(), causal=causal).eval()
        ids = torch.arange(16)[None]
        other = ids.clone()
        other[0, 10] = 40
        both[causal] = (model(ids).hidden - model(other).hidden).abs().amax(2)[0].detach()
    assert float(both[True][:10].max()) == 0 < float(both[True][10:].min())
    assert float(both[False].min()) > 0


def test_without_positions_words_in_another_order_are_the_same():
    """Attention is equivariant: only the position embeddings tell the order."""
    model = Bert(SMALL, seeded()).eval()
    ids = torch.randint(0, 50, (1, 16), generator=seeded())
    order = torch.randperm(16, generator=seeded(5))
    assert not torch.allclose(model(ids[:, order]).hidden, model(ids).hidden[:, order], atol=1e-4)
    with torch.no_grad():
        model.embeddings.position.weight.zero_()
    torch.testing.assert_close(model(ids[:, order]).hidden, model(ids).hidden[:, order])


def changed(**tensors):
    state = dict(their_small().state_dict())
    for name, tensor in tensors.items():
        name = name.replace("__", ".")
        if tensor is None:
            del state[name]
        else:
            state[name] = tensor
    return state


LONG = torch.zeros(1, 17, dtype=torch.long)
SEEN = torch.zeros(1, 4, dtype=torch.long)
BAD = {
    "long": (lambda: Bert(SMALL)(LONG), "at most 16 tokens, .* got 17"),
    "id": (lambda: Bert(SMALL)(SEEN + 50), r"ids must be ids in \[0, 50\), got 50"),
    "negative": (lambda: Bert(SMALL)(SEEN - 1), r"ids must be ids in \[0, 50\), got -1"),
    "float": (lambda: Bert(SMALL)(SEEN.float()), "ids must be whole numbers, got torch.float32"),
    "empty": (lambda: Bert(SMALL)(SEEN[:, :0]), r"ids must be \[B, T\].* got \[1, 0\]"),
    "segment": (lambda: Bert(SMALL)(SEEN, SEEN + 2), r"segments must be ids in \[0, 2\), got 2"),
    "valid": (lambda: Bert(SMALL)(SEEN, None, SEEN), "valid must be of booleans, got torch.int64"),
    "chosen": (lambda: BertForPretraining(SMALL)(SEEN, chosen=torch.ones(1, 3, dtype=torch.bool)), r"asked must have shape \[1, 4\], got \[1, 3\]"),
    "heads": (lambda: BertConfig(width=10, heads=4), "width must be a multiple of heads, got 10 and 4"),
    "layers": (lambda: BertConfig(layers=0), "layers must be a whole number ≥ 1, got 0"),
    "dropout": (lambda: BertConfig(dropout=1.5), "dropout must be in .* got 1.5"),
    "missing": (lambda: load_bert_state(changed(bert__pooler__dense__bias=None), heads=4), r"must hold pooler.dense.bias, got \d+ other"),
    "no size": (lambda: load_bert_state({}, heads=4), "must hold embeddings.word_embeddings.weight, got 0 other"),
    "shape": (lambda: load_bert_state(changed(bert__encoder__layer__1__attention__self__key__weight=torch.zeros(24, 23)), heads=4), r"encoder.layer.1.attention.self.key.weight must have shape \[24, 24\], got \[24, 23\]"),
    "vector": (lambda: load_bert_state(changed(bert__embeddings__word_embeddings__weight=torch.zeros(50)), heads=4), r"word_embeddings.weight must be a matrix, got shape \[50\]"),
    "extra": (lambda: load_bert_state(changed(bert__adapter=torch.zeros(1)), heads=4), "BERT's tensors only, got adapter too"),
    "no heads": (lambda: load_pretraining_state(load_minilm().state, heads=12), "must hold cls.predictions.transform.dense.weight"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
