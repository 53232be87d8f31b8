"""The four shapes against `transformers` with the same weights, torch's losses and slow loops."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from transformers import BertConfig as TheirConfig
from transformers import (
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)

from d2lcompanion.text.bert import Bert, Encoded
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_documents import SpecialIds
from d2lcompanion.text.bert_state import load_bert_state
from d2lcompanion.text.bert_tasks import (
    AnswerFinder,
    SequenceClassifier,
    TokenClassifier,
    best_span,
    class_loss,
    masked_mean,
    span_loss,
    tag_loss,
)
from d2lcompanion.text.task_rows import encode_words, join_rows, tag_targets
from d2lcompanion.text.wordpiece import WordPiece

SMALL = BertConfig(50, 24, 2, 4, 40, 16, 2, dropout=0.0)
SPECIAL = SpecialIds(0, 1, 2, 3, 4)
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "chess", "is", "fun", ".")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def theirs_of(kind, labels):
    """Their model with weights far from linear, and our encoder with the same."""
    torch.manual_seed(3)
    config = TheirConfig(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=16,
        initializer_range=0.2,
        num_labels=labels,
    )
    theirs = kind(config).eval()
    state = dict(theirs.bert.state_dict())
    if theirs.bert.pooler is None:  # theirs has none for tags and answers
        state |= {"pooler.dense.weight": torch.zeros(24, 24), "pooler.dense.bias": torch.zeros(24)}
    return theirs, load_bert_state(state, heads=4)


def with_their_map(ours, linear):
    ours.linear.load_state_dict(linear.state_dict())
    return ours.eval()


def pairs():
    """Three rows of two texts, of unlike lengths."""
    first = [[5, 6, 7], [8], [9, 10]]
    return join_rows(first, [[20, 21], [22, 23, 24, 25, 26], [27]], special=SPECIAL, longest=16)


def inputs(rows):
    return {
        "input_ids": rows.ids,
        "token_type_ids": rows.segments,
        "attention_mask": rows.valid.long(),
    }


def test_a_class_of_two_texts_equals_transformers():
    theirs, bert = theirs_of(BertForSequenceClassification, 3)
    ours = with_their_map(SequenceClassifier(bert, 3), theirs.classifier)
    rows, labels = pairs(), torch.tensor([2, 0, 1])
    expected = theirs(**inputs(rows), labels=labels)
    found = ours(rows.ids, rows.segments, rows.valid)
    torch.testing.assert_close(found, expected.logits)
    torch.testing.assert_close(class_loss(found, labels), expected.loss)


def test_tags_equal_transformers():
    theirs, bert = theirs_of(BertForTokenClassification, 5)
    ours = with_their_map(TokenClassifier(bert, 5), theirs.classifier)
    rows = pairs()
    targets = torch.randint(0, 5, rows.ids.shape, generator=seeded()).where(rows.second, -100)
    expected = theirs(**inputs(rows), labels=targets)
    found = ours(rows.ids, rows.segments, rows.valid)
    torch.testing.assert_close(found[rows.valid], expected.logits[rows.valid])
    torch.testing.assert_close(tag_loss(found, targets), expected.loss)


def test_answers_equal_transformers():
    theirs, bert = theirs_of(BertForQuestionAnswering, 2)
    ours = with_their_map(AnswerFinder(bert), theirs.qa_outputs)
    rows = pairs()
    start, end = torch.tensor([5, 4, 5]), torch.tensor([6, 6, 5])
    expected = theirs(**inputs(rows), start_positions=start, end_positions=end)
    found = ours(rows.ids, rows.segments, rows.valid)
    torch.testing.assert_close(found[:, :, 0], expected.start_logits)
    torch.testing.assert_close(found[:, :, 1], expected.end_logits)
    torch.testing.assert_close(span_loss(found, start, end), expected.loss)


def test_vectors_that_were_kept_give_the_same_logits():
    """Frozen: the encoder runs once."""
    bert = Bert(SMALL, seeded()).eval()
    rows = pairs()
    kept = bert(rows.ids, rows.segments, rows.valid)
    for ours in (
        SequenceClassifier(bert, 3),
        SequenceClassifier(bert, 3, pooling="mean"),
        TokenClassifier(bert, 3),
        AnswerFinder(bert),
    ):
        ours.eval()
        torch.testing.assert_close(
            ours.score(kept, rows.valid), ours(rows.ids, rows.segments, rows.valid)
        )


def test_the_mean_leaves_out_padding():
    hidden, valid = torch.randn(3, 6, 4, generator=seeded()), torch.ones(3, 6, dtype=torch.bool)
    valid[0, 2:], valid[1, 5:] = False, False
    slow = [hidden[n][valid[n]].mean(0) for n in range(3)]
    torch.testing.assert_close(masked_mean(hidden, valid), torch.stack(slow))
    torch.testing.assert_close(masked_mean(hidden), hidden.mean(1))
    with_rubbish = hidden.masked_fill(~valid[:, :, None], 1e6)
    torch.testing.assert_close(masked_mean(with_rubbish, valid), torch.stack(slow))
    encoded = Encoded(hidden, torch.zeros(3, 24))
    ours = SequenceClassifier(Bert(SMALL), 2, pooling="mean")
    torch.testing.assert_close(ours.pool(encoded, valid), torch.stack(slow))
    assert SequenceClassifier(Bert(SMALL), 2).pool(encoded, valid) is encoded.pooled


def test_tags_of_a_batch_count_alike_in_long_and_short_rows():
    """A mean over tokens, not a mean of the means of rows."""
    logits = torch.randn(2, 5, 3, generator=seeded())
    targets = torch.tensor([[0, 1, 2, 1, 0], [2, -100, -100, -100, -100]])
    slow = [
        cross_entropy(logits[b, t], targets[b, t])
        for b, t in itertools.product(range(2), range(5))
        if targets[b, t] >= 0
    ]
    torch.testing.assert_close(tag_loss(logits, targets), torch.stack(slow).mean())


def test_probabilities_of_places_are_shared_in_the_passage_only():
    logits = torch.randn(2, 6, 2, generator=seeded())
    passage = torch.tensor([[False, False, True, True, True, False]] * 2)
    start, end = torch.tensor([2, 3]), torch.tensor([4, 3])
    inside = logits[:, 2:5]
    expected = (
        cross_entropy(inside[:, :, 0], start - 2) + cross_entropy(inside[:, :, 1], end - 2)
    ) / 2
    torch.testing.assert_close(span_loss(logits, start, end, passage), expected)
    assert float(span_loss(logits, start, end)) > float(expected)


def slow_best_span(logits, passage, max_length):
    found = []
    for row, inside in zip(logits.tolist(), passage.tolist(), strict=True):
        best = (-float("inf"), 0, 0)
        for i, j in itertools.product(range(len(row)), repeat=2):
            if inside[i] and inside[j] and i <= j < i + max_length:
                score = row[i][0] + row[j][1]
                if score > best[0]:
                    best = (score, i, j)
        found.append(best)
    return found


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 14), st.booleans())
def test_the_best_span_equals_a_slow_loop(seed, length, max_length, ties):
    """Whole numbers make many ties: the first start, then the first end."""
    generator = seeded(seed)
    logits = torch.randn(4, length, 2, generator=generator, dtype=torch.float64)
    if ties:
        logits = logits.round()
    bounds = torch.randint(0, length, (4, 2), generator=generator).sort(1).values
    t = torch.arange(length)
    passage = (t >= bounds[:, :1]) & (t <= bounds[:, 1:])
    found = best_span(logits, passage, max_length)
    for row, (score, start, end) in enumerate(slow_best_span(logits, passage, max_length)):
        assert (int(found.start[row]), int(found.end[row])) == (start, end)
        assert float(found.score[row]) == pytest.approx(score)


def test_by_hand_the_best_end_may_not_come_before_the_best_start():
    """Alone the best start is 3 and the best end 1; together 2 … 3 wins."""
    logits = torch.tensor([[[9.0, 9.0], [0.0, 5.0], [3.0, 0.0], [4.0, 2.0], [0.0, 1.0]]])
    passage = torch.tensor([[False, True, True, True, True]])
    assert [float(x) for x in best_span(logits, passage, 3)] == [3, 3, 6]
    logits[0, 3] = torch.tensor([2.5, 2.0])
    assert [float(x) for x in best_span(logits, passage, 3)] == [1, 1, 5]
    logits[0, 2, 0] = 4.0
    assert [float(x) for x in best_span(logits, passage, 3)] == [2, 3, 6]
    assert [float(x) for x in best_span(logits, passage, 1)] == [1, 1, 5]


def test_rows_of_one_and_two_texts():
    one = join_rows([[5, 6], [7]], special=SPECIAL, longest=4)
    assert one.ids.tolist() == [[2, 5, 6, 3], [2, 7, 3, 0]]
    assert one.segments.tolist() == [[0] * 4, [0] * 4]
    assert not one.second.any()
    two = join_rows([[5], [6, 7]], [[8, 9], [5]], special=SPECIAL, longest=6)
    assert two.ids.tolist() == [[2, 5, 3, 8, 9, 3], [2, 6, 7, 3, 5, 3]]
    assert two.segments.tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1]]
    assert two.second.long().tolist() == [[0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 0]]
    assert two.valid.all()
    assert two.rows(slice(0, 1)).ids.tolist() == two.ids[:1].tolist()


def test_the_published_tokenizer_joins_two_texts_alike():
    from transformers import BertTokenizer

    from d2lcompanion.data.minilm import load_minilm, minilm_file

    pieces = load_minilm().pieces
    theirs = BertTokenizer(str(minilm_file("vocab.txt")))
    ours = WordPiece(pieces)
    first, second = ["What is albedo?", "Who?"], ["The share that is reflected.", "Aristotle"]
    expected = theirs(first, second, padding=True, return_tensors="pt")
    found = join_rows(
        [ours.encode(s) for s in first],
        [ours.encode(s) for s in second],
        special=SpecialIds.of(pieces),
        longest=512,
    )
    assert torch.equal(found.ids, expected["input_ids"])
    assert torch.equal(found.segments, expected["token_type_ids"])
    assert torch.equal(found.valid.long(), expected["attention_mask"])


def test_a_tag_stands_at_the_first_piece_of_its_word():
    tokenizer = WordPiece(PIECES)
    found = [encode_words(words.split(), tokenizer) for words in ("playing chess is fun", "fun .")]
    assert found[0] == ([5, 6, 7, 8, 9], [0, 2, 3, 4])
    rows = join_rows([ids for ids, _ in found], special=SPECIAL, longest=16)
    targets = tag_targets(
        [places for _, places in found], [[1, 2, 0, 1], [1, 0]], classes=3, length=rows.ids.shape[1]
    )
    assert targets.tolist() == [
        [-100, 1, -100, 2, 0, 1, -100],
        [-100, 1, 0, -100, -100, -100, -100],
    ]


TWO = torch.zeros(2, 5, 2)
ALL = torch.ones(2, 5, dtype=torch.bool)
NONE = torch.tensor([[True] * 5, [False] * 5])
AT = torch.tensor([1, 2])
BAD = {
    "classes": (lambda: SequenceClassifier(Bert(SMALL), 1), "outputs must be a whole number ≥ 2, got 1"),
    "pooling": (lambda: SequenceClassifier(Bert(SMALL), 2, pooling="max"), "pooling must be one of .* got 'max'"),
    "dropout": (lambda: TokenClassifier(Bert(SMALL), 2, dropout=2), "dropout must be in .* got 2"),
    "padding": (lambda: masked_mean(torch.zeros(2, 5, 3), NONE), "valid must hold a token in each row, got none in row 1"),
    "label": (lambda: class_loss(torch.zeros(2, 3), torch.tensor([0, 3])), r"labels must be ids in \[0, 3\), got 3"),
    "labels": (lambda: class_loss(torch.zeros(2, 3), torch.tensor([0])), r"labels must have shape \[2\], got \[1\]"),
    "tag": (lambda: tag_loss(TWO, torch.full((2, 5), 2)), r"targets must be ids in \[0, 2\), got 2"),
    "no tag": (lambda: tag_loss(TWO, torch.full((2, 5), -100)), "targets must hold a tag, got -100 everywhere"),
    "place": (lambda: span_loss(TWO, AT, AT + 3), r"end must be ids in \[0, 5\), got 5"),
    "backwards": (lambda: span_loss(TWO, AT, torch.tensor([1, 1])), "must not come before its start, got 2 and 1 in row 1"),
    "outside": (lambda: span_loss(TWO, AT, AT, NONE), "passage must hold the answer in each row, got none in row 1"),
    "no passage": (lambda: best_span(TWO, NONE, 3), "passage must hold a token in each row, got none in row 1"),
    "length": (lambda: best_span(TWO, ALL, 0), "max_length must be a whole number ≥ 1, got 0"),
    "nan": (lambda: best_span(TWO * torch.nan, ALL, 2), "logits must be finite"),
    "logits": (lambda: best_span(torch.zeros(2, 5, 3), ALL, 2), r"logits must have shape \[2, 5, 2\], got \[2, 5, 3\]"),
    "mask": (lambda: best_span(TWO, ALL.long(), 2), "passage must be of booleans, got torch.int64"),
    "no text": (lambda: join_rows([], special=SPECIAL, longest=9), "first must hold a text, got none"),
    "long": (lambda: join_rows([[5], [5] * 8], special=SPECIAL, longest=9), "at most 9 tokens, got 10 in row 1"),
    "numbers": (lambda: join_rows([[5]], [], special=SPECIAL, longest=9), "second must hold 1 texts, as first does, got 0"),
    "empty": (lambda: join_rows([[5]], [[]], special=SPECIAL, longest=9), "the second text must have a token, got none in row 0"),
    "word": (lambda: encode_words(["fun", "\x00"], WordPiece(PIECES)), r"a word must have a piece, got none for '\\x00'"),
    "tags": (lambda: tag_targets([[0, 1]], [[1]], classes=2, length=9), "row 0 must have a tag for each of its 2 words, got 1"),
    "range": (lambda: tag_targets([[0]], [[2]], classes=2, length=9), r"tags must be in \[0, 2\), got 2 in row 0"),
    "short": (lambda: tag_targets([[0, 7]], [[0, 1]], classes=2, length=8), "row 0 must have at most 8 tokens, got 9"),
    "rows": (lambda: tag_targets([[0]], [], classes=2, length=8), "tags must have 1 rows, got 0"),
    "positions": (lambda: SequenceClassifier(Bert(SMALL), 2)(torch.zeros(1, 17, dtype=torch.long)), "at most 16 tokens, .* got 17"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
