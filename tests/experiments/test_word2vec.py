"""The experiment against autograd with torch's Adam, brute-force losses, and itself."""

import json
import math

import pytest
import torch

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.experiments import word2vec as experiment
from d2lcompanion.experiments.full_softmax import MODELS, loss, train
from d2lcompanion.experiments.word2vec import Preset, numbers, study
from d2lcompanion.experiments.word_vector_report import MAP, neighbors, report, word_map
from d2lcompanion.experiments.word_windows import Corpus, common_words, prepare
from d2lcompanion.text.entropy import conditional_entropy, entropy
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.text.windows import pair_counts

DIM, BATCH = 8, 256


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return prepare(120, 2, seed=0)


def test_common_words_stand_in_more_than_half_of_the_articles():
    data = load_wikipedia()
    common = common_words(data)
    articles = [set() for _ in data.titles]
    for number, words in zip(data.article.tolist(), data.paragraphs, strict=True):
        articles[number] |= set(words)
    half = len(articles) / 2
    assert {"the", "of", "and", "in"} <= set(common)
    assert all(sum(word in a for a in articles) > half for word in common)
    for word in ("moon", "language", "war", "north"):
        assert sum(word in a for a in articles) <= half


def test_the_three_parts_share_nothing_and_hold_the_known_words(corpus):
    """Every known content word is in exactly one part, less those without a neighbour."""
    data = load_wikipedia()
    known = sum(word in corpus.vocab for words in data.paragraphs for word in words)
    parts = [len(p.centers) for p in (corpus.train, corpus.held_out, corpus.test)]
    assert 0.97 * known < sum(parts) <= known
    assert parts[0] > 6 * max(parts[1:])
    assert len(corpus.vocab) == 120
    assert not set(corpus.vocab.tokens) & set(corpus.common)
    counts = torch.bincount(corpus.train.centers, minlength=120)
    assert bool((counts <= corpus.vocab.counts).all())
    other = prepare(120, 2, seed=1)
    assert other.vocab.tokens != corpus.vocab.tokens


@pytest.mark.parametrize("name", MODELS)
def test_training_is_autograd_with_torch_s_adam(corpus, name):
    """One epoch with a rate that falls to zero, from the same vectors on the same batches."""
    model = MODELS[name]
    ours = train(
        model, corpus, dim=DIM, lr=0.01, epochs=1, batch_size=BATCH,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(3)
    tables = [0.1 * torch.randn(120, DIM, generator=generator) for _ in range(2)]
    tables = [table.requires_grad_() for table in tables]
    optimizer = torch.optim.Adam(tables, lr=0.01)
    order = torch.randperm(len(corpus.train.centers), generator=generator).split(BATCH)
    for step, rows in enumerate(order):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / len(order))
        centers, contexts, mask = (part[rows] for part in corpus.train)
        optimizer.zero_grad()
        (-model.log_likelihood(centers, contexts, *tables, mask=mask, reduction="mean")).backward()
        optimizer.step()
    torch.testing.assert_close(ours.center_vectors, tables[0].detach(), rtol=2e-3, atol=2e-4)
    torch.testing.assert_close(ours.context_vectors, tables[1].detach(), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_in_pieces_is_the_loss_at_once(corpus, name):
    generator = torch.Generator().manual_seed(0)
    tables = torch.randn(2, 120, DIM, generator=generator, dtype=torch.float64)
    centers, contexts, mask = corpus.test
    whole = MODELS[name].log_likelihood(centers, contexts, *tables, mask=mask, reduction="mean")
    assert loss(MODELS[name], corpus.test, list(tables)) == pytest.approx(-float(whole))


def test_the_study_beats_the_unigram_line_and_repeats(corpus):
    options = {"dim": DIM, "epochs": 2, "batch_size": BATCH, "rates": (0.003, 0.03), "seed": 0}
    found, again = study(corpus, **options), study(corpus, **options)
    for name, tuned in found.items():
        assert tuned.rate in (0.003, 0.03)
        ends = {lr: run.held_out[-1] for lr, run in tuned.by_rate.items()}
        assert ends[tuned.rate] == min(ends.values())
        assert torch.equal(tuned.chosen.center_vectors, again[name].chosen.center_vectors)
        assert tuned.chosen.held_out[0] == pytest.approx(math.log(120), abs=0.01)
        shown = json.loads(json.dumps(numbers(name, tuned, corpus), allow_nan=False))
        assert shown["gain"] > 0.05
        assert shown["gain"] == shown["unigram_loss"] - shown["test_loss"]
    centers, contexts, mask = corpus.train
    counts = pair_counts(centers, contexts, 120, mask=mask)
    unigram, conditional = float(entropy(counts.sum(0))), float(conditional_entropy(counts))
    assert conditional < found["skip_gram"].chosen.train[-1] < unigram


def test_what_is_reported_of_vectors_that_are_known():
    """Words on a circle: neighbours, the plane and its share are plain to see."""
    angles = torch.arange(len(MAP)) * 2 * math.pi / len(MAP)
    vectors = torch.stack([angles.cos(), angles.sin(), torch.zeros(len(MAP))], 1)
    vocab = Vocab(MAP, [1] * len(MAP))
    found = neighbors(vectors, vocab, k=2)
    place = MAP.index("moon")
    assert set(found["moon"]) == {MAP[place - 1], MAP[place + 1]}
    flat = word_map(vectors, vocab)
    assert flat["words"] == list(MAP)
    assert flat["share"] == pytest.approx(1)
    points = torch.tensor(flat["points"])
    assert float(points.norm(dim=1).min()) == pytest.approx(1)
    assert bool((points.max(0).values >= -points.min(0).values - 1e-6).all())
    everything = report(vectors, vocab)
    assert everything["wordsim"]["correlation"] is None
    assert everything["analogies"]["right"] is None


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="dim must be ≥ 1, got 0"):
        Preset(100, 0, 5, 1, 1, (0.1,))
    with pytest.raises(ValueError, match="rates must be"):
        Preset(100, 8, 5, 1, 1, ())
    with pytest.raises(ValueError, match="vocabulary_size must be ≥ 2, got 1"):
        Preset(1, 8, 5, 1, 1, (0.1,))
    assert experiment.EXPERIMENT.chapter == "text/word2vec"
