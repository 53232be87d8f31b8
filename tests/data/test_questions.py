"""Every answer stands in its passage, at its place, between whole pieces; bad files are named."""

import pytest

from d2lcompanion.data.minilm import load_minilm
from d2lcompanion.data.questions import (
    Question,
    load_questions,
    parse_questions,
    read_questions,
    require_answers,
)
from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.wordpiece import WordPiece


def test_every_answer_is_in_its_passage_at_its_place():
    texts = load_wikipedia().texts
    found = load_questions()
    assert len(found) >= 100
    assert len({q.text for q in found}) == len(found)
    for q in found:
        assert texts[q.paragraph][q.start :].startswith(q.answer)
        assert q.text.endswith("?")
        assert q.text[0].isupper()
        assert q.answer.lower() not in q.text.lower(), q


def test_many_articles_have_a_question():
    article = load_wikipedia().article.tolist()
    assert len({article[q.paragraph] for q in load_questions()}) >= 30


def test_an_answer_is_a_run_of_whole_pieces():
    """So a span of tokens can be the answer."""
    texts, tokenizer = load_wikipedia().texts, WordPiece(load_minilm().pieces)
    for q in load_questions():
        text, end = texts[q.paragraph], q.start + len(q.answer)
        parts = [text[: q.start], q.answer, text[end:]]
        assert sum(map(tokenizer.encode, parts), []) == tokenizer.encode(text), q  # noqa: RUF017


def test_a_file_of_your_own(tmp_path):
    path = tmp_path / "own.tsv"
    path.write_text("\ufeff# a comment\n\n0\t4\tcat\tWho sat?\n", encoding="utf-8")
    assert read_questions(path) == (Question("Who sat?", "cat", 0, 4),)
    require_answers(read_questions(path), ("The cat sat.",))


BAD = {
    "gbk": ("0\t4\t天\tWho?".encode("gbk"), r"own.tsv is not UTF-8: byte 0x\w\w at 4"),
    "three": (b"# a\n0\t4\tcat\n", r"own.tsv, line 2 must be paragraph, .*got '0\\t4\\tcat'"),
    "number": (b"0\t-4\tcat\tWho?\n", "own.tsv, line 1 must be paragraph"),
    "empty": (b"# a\n", "own.tsv must hold a question, got none"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=list(BAD))
def test_bad_files_are_named(data, message):
    with pytest.raises(ValueError, match=message):
        parse_questions(data, "own.tsv")


def test_an_answer_elsewhere_is_named():
    with pytest.raises(ValueError, match=r"answer to 'Who\?' must be 'cat', got ' ca' at 3"):
        require_answers((Question("Who?", "cat", 0, 3),), ("The cat sat.",))
    with pytest.raises(ValueError, match=r"paragraph of 'Who\?' must be below 1, got 7"):
        require_answers((Question("Who?", "cat", 7, 3),), ("The cat sat.",))
