"""Readers against the text that was written, d2l, gensim, and real files where they are."""

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.corpus import read_ptb, read_text8, read_wikitext, split_sentences
from d2lcompanion.text.vocab import Vocab

CHINESE = "词嵌入把词变成向量 。\n"


@pytest.fixture(scope="session", params=["valid", "test"])
def wikitext(request) -> Path:
    folder = os.environ.get("D2LC_SHARED_DATA")
    path = Path(folder) if folder else Path(__file__).resolve().parents[3] / "shared" / "data"
    path /= f"wikitext-2-{request.param}.txt"
    if not path.is_file():
        pytest.skip(f"no real file at {path}: set D2LC_SHARED_DATA")
    return path


PTB = " aer banknote berlitz \n pierre <unk> N years old \n\n mr. <unk> is chairman \n"


def test_erratum_e13_the_line_end_of_the_last_sentence_is_no_sentence(file, monkeypatch):
    """PTB has 42,068 sentences; 42,069 counts what follows the last line end."""
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    text = "".join(f" sentence {i} \n" for i in range(42_068))
    path = file(text, "ptb.train.txt")
    monkeypatch.setattr(d2l, "download_extract", lambda name: str(path.parent))
    theirs, ours = d2l.read_ptb(), list(read_ptb(path))
    assert len(theirs) == 42_069
    assert theirs[-1] == []
    assert len(ours) == 42_068
    assert ours == theirs[:-1]


@pytest.mark.parametrize("text", [PTB, PTB.replace("\n", "\r\n"), "\ufeff" + PTB])
def test_ptb_is_a_sentence_a_line(file, text):
    assert list(read_ptb(file(text))) == [
        ["aer", "banknote", "berlitz"],
        ["pierre", "<unk>", "N", "years", "old"],
        ["mr.", "<unk>", "is", "chairman"],
    ]


WORDS = st.lists(
    st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1), max_size=20
)


@settings(max_examples=150, deadline=None)
@given(WORDS, st.integers(1, 9), st.integers(1, 5), st.sampled_from([" ", "  ", "\n", " \r\n"]))
def test_runs_of_text8_never_cut_a_word(tmp_path_factory, words, size, length, blank):
    path = tmp_path_factory.mktemp("text8") / "text8"
    path.write_bytes(blank.join(["", *words]).encode("utf-8"))
    runs = list(read_text8(path, words=length, size=size))
    assert [word for run in runs for word in run] == words
    assert all(len(run) == length for run in runs[:-1])
    assert all(runs)


def test_runs_of_text8_are_gensim_s(file):
    gensim = pytest.importorskip("gensim.models.word2vec", reason="gensim is an oracle")
    path = file(" anarchism originated as a term of abuse " * 3000, "text8")
    theirs = list(gensim.Text8Corpus(str(path), max_sentence_length=1000))
    assert list(read_text8(path)) == theirs


ARTICLE = " \n = Title = \n \n First . Second one , here . Third \n = = Section = = \n No stop \n Only one . \n"


@pytest.mark.parametrize("text", [ARTICLE, ARTICLE.replace("\n", "\r\n"), "text\n" + ARTICLE])
def test_wikitext_is_a_paragraph_a_line(file, text):
    path = file(text)
    paragraphs = list(read_wikitext(path))
    assert [" ".join(words) for words in paragraphs] == [
        "First . Second one , here . Third", "No stop", "Only one ."
    ]  # fmt: skip
    assert len(list(read_wikitext(path, headings=True))) == 5
    sentences = [" ".join(words) for words in split_sentences(paragraphs)]
    assert sentences == ["first", "second one , here", "third", "only one ."]


def d2l_sentences(folder: Path, monkeypatch) -> list[list[str]]:
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    monkeypatch.setattr(d2l.random, "shuffle", lambda paragraphs: None)
    return [s.split() for paragraph in d2l._read_wiki(str(folder)) for s in paragraph]


@pytest.mark.parametrize("stops", ["a . . b . ", ". a . b ", " . . . ", "a. b . c . ", ". "])
def test_full_stops_in_a_row_are_cut_as_in_d2l(file, monkeypatch, stops):
    path = file(f" \n {stops}\n", "wiki.train.tokens")
    assert list(split_sentences(read_wikitext(path))) == d2l_sentences(path.parent, monkeypatch)


def test_sentences_of_the_real_wikitext_are_d2l_s(wikitext, tmp_path, monkeypatch):
    (tmp_path / "wiki.train.tokens").write_bytes(wikitext.read_bytes())
    theirs = d2l_sentences(tmp_path, monkeypatch)
    assert list(split_sentences(read_wikitext(wikitext, headings=True))) == theirs
    assert len(theirs) > 5000


def test_the_real_wikitext_in_its_variants(wikitext, tmp_path):
    """With a header line and CRLF, packed, and in small pieces: the same paragraphs."""
    expected = list(read_wikitext(wikitext))
    data = wikitext.read_bytes()
    assert len(expected) > 1000
    assert sum(map(len, expected)) < len(data.split())
    variant = tmp_path / "variant.txt.gz"
    variant.write_bytes(gzip.compress(b"text\r\n" + data.replace(b"\n", b"\r\n")))
    assert list(read_wikitext(variant, size=1000)) == expected
    words = [word for run in read_text8(wikitext, size=997) for word in run]
    assert words == data.decode("utf-8").split()


PUBLISHED = {  # file in the data directory → sentences, size of the vocabulary
    "ptb.zip": (42_068, 6_719),
    "wikitext-2-v1.zip": (None, 20_256),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_sizes_of_the_whole_sets(name):
    from d2lcompanion.data.registry import data_directory

    path = data_directory() / name
    if not path.is_file():
        pytest.skip(f"no file at {path}: `d2lc data fetch` it where there is a network")
    sentences, words = PUBLISHED[name]
    if name == "ptb.zip":
        corpus, least, reserved = list(read_ptb(path, member="ptb/ptb.train.txt")), 10, ("<unk>",)
        assert len(corpus) == sentences
    else:
        member = "wikitext-2/wiki.train.tokens"
        paragraphs = read_wikitext(path, headings=True, member=member)
        corpus, least = list(split_sentences(paragraphs)), 5
        reserved = ("<unk>", "<pad>", "<mask>", "<cls>", "<sep>")
    assert len(Vocab.from_sequences(corpus, min_count=least, reserved=reserved)) == words


# ------------------------------------------------------------------------------------------- memory


def test_reading_takes_no_more_memory_for_a_larger_file(tmp_path):
    """tracemalloc's peak of a pass over 16 times the text, against that over the text."""
    text = "".join(f"word{i % 500} and word{i % 37} are here\n" for i in range(20_000))
    peaks = []
    for times in (1, 16):
        path = tmp_path / f"{times}.txt"
        path.write_text(text * times, encoding="utf-8")
        tracemalloc.start()
        vocab = Vocab.from_sequences(read_ptb(path, size=1 << 14))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert int(vocab.counts.sum()) == 100_000 * times
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < path.stat().st_size / 10
