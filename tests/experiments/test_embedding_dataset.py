"""The way of a corpus to minibatches: each number against a plain count, at a small size."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from d2lcompanion.data.registry import REGISTRY
from d2lcompanion.experiments.embedding_dataset import PRESETS, distance_shares, prepare
from d2lcompanion.experiments.embedding_dataset_cost import memory_by_size, seconds_by_size
from d2lcompanion.experiments.minibatch_filling import count_filling
from d2lcompanion.experiments.streaming_memory import peak_memory, read_whole, stream_pass
from d2lcompanion.experiments.text_corpora import (
    READERS,
    describe,
    load_corpus,
    write_corpus,
    zipf_corpus,
)
from d2lcompanion.text.skip_gram_data import minibatches, subsample
from d2lcompanion.text.token_stream import decode


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    return list(zipf_corpus(3000, words=500).sentences())


def test_the_made_up_corpus_follows_its_law(sentences):
    again = list(zipf_corpus(3000, words=500).sentences())
    assert again == sentences
    assert list(zipf_corpus(3000, words=500, seed=1).sentences()) != sentences
    sizes = [len(sentence) for sentence in sentences]
    assert min(sizes) >= 1
    assert sum(sizes) / 3000 == pytest.approx(21, abs=0.4)
    counts = Counter(word for sentence in sentences for word in sentence)
    harmonic = sum(1 / r for r in range(1, 501))
    for rank in (1, 2, 10, 100):
        expected = sum(sizes) / rank / harmonic
        assert counts[f"w{rank - 1}"] == pytest.approx(expected, abs=5 * expected**0.5)


def test_prepared_counts_are_plain_counts(sentences):
    data = prepare(sentences, min_count=20, threshold=1e-3)
    counts = Counter(word for sentence in sentences for word in sentence)
    assert set(data.vocab.tokens) == {word for word, count in counts.items() if count >= 20}
    kept = [[w for w in sentence if w in data.vocab] for sentence in sentences]
    assert decode(data.stream, data.vocab) == [sentence for sentence in kept if sentence]
    total = sum(map(len, kept))
    share = counts["w0"] / total
    assert float(data.keep[0]) == pytest.approx((1e-3 / share) ** 0.5)
    weights = torch.tensor([counts[word] ** 0.75 for word in data.vocab.tokens])
    torch.testing.assert_close(data.noise.probabilities(), weights / weights.sum())


def test_filling_adds_up(sentences):
    data = prepare(sentences, min_count=5, threshold=1e-3)
    kept = subsample(data.stream, data.keep, seeded())
    batches = list(
        minibatches(kept, data.noise, max_window=2, negatives=3, batch_size=64, generator=seeded())
    )
    found = count_filling(batches, 3)
    assert found.rows == sum(len(b.centers) for b in batches)
    assert found.entries == sum(b.words.numel() for b in batches)
    assert found.negatives + found.hits == 3 * found.contexts
    assert found.contexts + found.negatives == sum(int(b.mask.sum()) for b in batches)
    assert found.hits > 0


def test_shares_by_distance_are_the_weights_of_reduced_windows(sentences):
    data = prepare(sentences, min_count=1, threshold=1e-3)
    found = distance_shares(data.stream, 4, seeded())
    assert found.tolist() == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4], abs=0.01)


def test_seconds_are_taken_on_rising_parts(sentences):
    layout = {"max_window": 2, "negatives": 2, "batch_size": 64}
    tokens, seconds = seconds_by_size(
        sentences, (0.1, 0.5), seeded(), min_count=5, threshold=1e-3, **layout
    )
    assert tokens == [sum(map(len, sentences[:300])), sum(map(len, sentences[:1500]))]
    assert all(second > 0 for second in seconds)


def test_files_hold_the_corpus_again_and_again(tmp_path):
    corpus = zipf_corpus(50, words=20)
    written = write_corpus(corpus, tmp_path / "corpus.txt", 0.02)
    assert written == (tmp_path / "corpus.txt").stat().st_size
    assert 20_000 <= written < 20_500
    lines = (tmp_path / "corpus.txt").read_text(encoding="utf-8").splitlines()
    first = [" ".join(sentence) for sentence in corpus.sentences()]
    assert lines[:50] == first
    assert lines[50 : 50 + 10] == first[:10]
    assert stream_pass(tmp_path / "corpus.txt", block=500) == sum(len(x.split()) for x in lines)
    assert read_whole(tmp_path / "corpus.txt") == sum(len(x.split()) for x in lines)


def test_memory_is_taken_in_a_process_of_its_own():
    found = memory_by_size(zipf_corpus(2000), [0.5])
    assert found["file"] == pytest.approx([0.5], abs=0.01)
    assert found["stream"][0] > 0
    assert found["whole"][0] > 0
    assert json.dumps(found)


def test_a_measurement_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)absent.txt failed.*FileNotFoundError"):
        peak_memory(tmp_path / "absent.txt")


def test_every_published_corpus_has_an_entry_and_a_reader(tmp_path, monkeypatch):
    import zipfile

    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    for name, (_, member) in READERS.items():
        with pytest.raises(FileNotFoundError, match=f"d2lc data fetch {name}"):
            load_corpus(name)
        with zipfile.ZipFile(tmp_path / REGISTRY[name].file_name, "w") as archive:
            archive.writestr("readme.txt", "other")
            archive.writestr(member, " the cat sat . \n the dog\n")
        corpus = load_corpus(name)
        words = [word for sentence in corpus.sentences() for word in sentence]
        assert words == ["the", "cat", "sat", ".", "the", "dog"]
        assert corpus.sentences() is not corpus.sentences()
        assert member in corpus.source
    with pytest.raises(ValueError, match=r"corpus must be one of wikipedia, ptb.*'ptv'"):
        load_corpus("ptv")


def test_the_default_corpus_is_read_as_often_as_asked():
    corpus = load_corpus("wikipedia")
    assert describe(corpus) == describe(corpus)
    assert describe(corpus)["tokens"] > 350_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 0}, "window must be ≥ 1, got 0"),
        ({"parts": (0.5,)}, "parts must be two or more"),
        ({"parts": (0.5, 2.0)}, "parts must be ≤ 1"),
        ({"files": (0.0,)}, "files > 0"),
    ],
)
def test_bad_presets_are_named(changes, message):
    from dataclasses import replace

    with pytest.raises(ValueError, match=message):
        replace(PRESETS["ci"], **changes)


def test_bad_corpora_are_named(tmp_path):
    with pytest.raises(ValueError, match="must be > 0, got 0"):
        zipf_corpus(0)
    with pytest.raises(ValueError, match="megabytes must be > 0, got -1"):
        write_corpus(zipf_corpus(1), Path(tmp_path / "x"), -1)
