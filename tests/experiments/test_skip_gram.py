"""Training on a corpus: the parts, the curves, the peers and the tables, at a small size."""

import json
from statistics import median

import pytest
import torch

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.data.word_similarity import load_wordsim353
from d2lcompanion.experiments import skip_gram, skip_gram_speed, skip_gram_sweep
from d2lcompanion.experiments.skip_gram import Preset, rated_cosines
from d2lcompanion.experiments.skip_gram_peers import (
    PeerVectors,
    d2l_epoch,
    gensim_vectors,
    in_order_of,
    masked_loss,
)
from d2lcompanion.experiments.skip_gram_training import Task, prepare, train
from d2lcompanion.text.block_layout import Layout
from d2lcompanion.text.negative_sampling import negative_sampling_loss
from d2lcompanion.text.sgns import Recipe, train_on_pairs
from d2lcompanion.text.sgns_blocks import train_in_blocks
from d2lcompanion.text.sgns_objective import expected_loss
from d2lcompanion.text.similarity import cosine, word_similarity
from d2lcompanion.text.token_stream import decode
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import RunContext
from d2lcompanion.training.progress import silent
from d2lcompanion.training.settings import Settings

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def task() -> Task:
    return prepare("wikipedia", min_count=60, held_out=0.05, threshold=1e-3, seed=0)


def test_parts_share_no_sentence_and_the_probe_is_thinned(task):
    again = prepare("wikipedia", min_count=60, held_out=0.05, threshold=1e-3, seed=0)
    other = prepare("wikipedia", min_count=60, held_out=0.05, threshold=1e-3, seed=1)
    assert torch.equal(again.probe.ids, task.probe.ids)
    assert again.sentences == task.sentences != other.sentences
    paragraphs = len(load_wikipedia().paragraphs)
    assert len(task.sentences) == paragraphs - round(0.05 * paragraphs)
    known = [[w for w in s if w in task.vocab] for s in task.sentences]
    assert decode(task.stream, task.vocab) == [s for s in known if s]
    the = task.vocab.id_of("the")
    share = float((task.stream.ids == the).double().mean())
    assert float((task.probe.ids == the).double().mean()) < 0.5 * share


def test_curves_are_those_of_the_vectors_and_fall(task):
    recipe = Recipe(dimension=8, epochs=2)
    for trainer, options in (
        (train_in_blocks, {}),
        (train_on_pairs, {"batch_size": 4096}),
    ):
        found = train(task, recipe, seeded(), trainer, **options)
        assert found.losses[-1] == expected_loss(found.vectors, task.probe, task.counts, recipe)
        assert len(found.losses) == 3
        assert found.losses[0] > found.losses[1] + 0.5
        assert len(found.seconds) == len(found.tokens) == 2
        assert found.cpu > 0
    alone = train(task, recipe, seeded(), probe=False)
    assert alone.losses == []


def test_gensim_s_vectors_keep_their_words(task):
    recipe = Recipe(dimension=8, epochs=1)
    found = gensim_vectors(task.sentences, recipe, min_count=60, seed=0, threads=1)
    assert set(found.vocab.tokens) == set(task.vocab.tokens)
    moved = in_order_of(task.vocab, found)
    for word in ("the", "moon", "war"):
        for ours, theirs in zip(moved, found.vectors, strict=True):
            assert torch.equal(ours[task.vocab.id_of(word)], theirs[found.vocab.id_of(word)])
    lost = PeerVectors(found.vectors, Vocab(["a"], [1]), 0)
    with pytest.raises(KeyError):
        in_order_of(task.vocab, lost)


def test_rated_cosines_are_those_of_the_correlation(task):
    vectors = torch.randn(len(task.vocab), 5, generator=seeded())
    rated = load_wordsim353()
    cosines, ratings = rated_cosines(rated, vectors, task.vocab)
    expected = word_similarity(rated.lower().pairs, rated.ratings, task.vocab, vectors)
    assert len(cosines) == len(ratings) == expected.known
    first = next(p for p in rated.lower().pairs if all(w in task.vocab for w in p))
    a, b = (vectors[task.vocab.id_of(w)][None] for w in first)
    assert float(cosines[0]) == pytest.approx(float(cosine(a, b)), abs=1e-6)


def test_the_masked_loss_is_ours_where_a_window_holds_one_word():
    """d2l divides by the words of a row: 1 + k of them, so that its loss is ours / (1 + k)."""
    net = torch.nn.ModuleList(torch.nn.Embedding(9, 4) for _ in range(2))
    center, words = torch.tensor([[1], [2]]), torch.tensor([[3, 4, 5, 0], [6, 7, 8, 0]])
    mask, label = torch.tensor([[1, 1, 1, 0]] * 2), torch.tensor([[1, 0, 0, 0]] * 2)
    expected = negative_sampling_loss(
        center[:, 0], words[:, 0], words[:, 1:3], net[0].weight, net[1].weight, reduction="sum"
    )
    assert 3 * masked_loss(net, center, words, mask, label).sum().item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_d2l_trains_on_center_words():
    """Few of a text of few words survive d2l's subsampling; tokens alone are no centers."""
    words = [f"w{n}" for n in range(20_000)]  # each occurs once, and stays
    sentences = [words[n : n + 8] for n in range(0, 16_000, 8)] + [[w] for w in words[16_000:]]
    found = d2l_epoch(sentences, Recipe(dimension=4, window=1), min_count=1)
    assert found == 16_000


def test_rounds_and_ratios():
    times = [
        {"slow": skip_gram_speed.Time(10, 5.0, 4.0), "fast": skip_gram_speed.Time(30, 3.0, 2.0)},
        {"slow": skip_gram_speed.Time(10, 5.0, 5.0), "fast": skip_gram_speed.Time(40, 2.0, 2.0)},
    ]
    found = skip_gram_speed.ratios(times, "slow", "fast")
    assert found["rounds"] == [5.0, 10.0]
    assert found["cpu_rounds"] == [6.0, 10.0]
    assert (found["median"], found["lowest"], found["highest"]) == (7.5, 5.0, 10.0)


def context() -> RunContext:
    return RunContext(Settings(), CPU, torch.float32, seeded(), silent, None)


def test_a_run_gives_numbers():
    small = Preset(min_count=60, dimension=8, epochs=1, on_pairs=True)
    found = skip_gram.run(small, context())
    json.dumps(found, allow_nan=False)
    for name in ("blocks", "pairs", "gensim"):
        assert 2 < found[name]["loss"] < 4.16
        assert found[name]["tokens"] == pytest.approx(found["gensim"]["tokens"], rel=0.02)
    assert found["blocks"]["wordsim"]["known"] > 5


def test_the_sweep_gives_columns_and_says_where_it_diverged():
    small = skip_gram_sweep.Preset(
        "wikipedia", (4, 8), (1, 2), (1, 2), (4, 8), (0.025, 0.9), (0.5, 1.0), (500, 1000),
        epochs=1, min_count=60,
    )  # fmt: skip
    found = skip_gram_sweep.run(small, context())
    json.dumps(found, allow_nan=False)
    assert found["step"]["value"] == [32, 64]
    assert found["vocabulary"]["words"] == [500, 1000]
    assert found["tokens"]["value"][0] < found["tokens"]["value"][1]
    assert median(found["dimension"]["loss"]) < 4.16
    many = Layout(blocks=32)
    lost = skip_gram_sweep.outcome(
        prepare("wikipedia", min_count=60, held_out=0.05, threshold=1e-3, seed=0),
        Recipe(dimension=8, epochs=5, rate=0.5), seeded(), many,
    )  # fmt: skip
    assert lost["diverged"] is True
    assert lost["wordsim"] is None


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda: Preset(held_out=1.0), "held_out in"), (lambda: Preset(window=0), "window must be"),
     (lambda: skip_gram_speed.Preset("wikipedia", 0, 0.1), "rounds must be ≥ 1, got 0"),
     (lambda: skip_gram_speed.Preset("wikipedia", 1, 0.0), "part must be in"),
     (lambda: skip_gram_sweep.Preset("wikipedia", (), (1,), (1,), (1,), (1,), (1,), (1,), 1), "dimensions must"),
     (lambda: prepare("wikipedia", min_count=5, held_out=1e-9, threshold=1e-3, seed=0), "empty")],
)  # fmt: skip
def test_bad_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
