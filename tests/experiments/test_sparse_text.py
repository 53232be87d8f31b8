import json

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from d2lcompanion.experiments import sparse_text
from d2lcompanion.experiments.sparse_text import (
    METHODS,
    Preset,
    Split,
    accuracy,
    numbers,
    prepare,
    size_by_count,
    split,
    study,
    train,
    without,
)

PRESET = Preset(each=40, epochs=2, batch_size=10, rates=(0.1, 1.0))


@pytest.fixture(scope="module")
def parts() -> Split:
    return prepare(PRESET, 0)[1]


def test_the_split_uses_every_document_once():
    data, parts = prepare(PRESET, 3)
    assert [len(parts[i]) for i in (0, 2, 4)] == [120, 40, 40]
    joined = torch.cat([parts.train, parts.held_out, parts.test])
    torch.testing.assert_close(joined.sum(0), data.features.sum(0))
    other = split(data, generator=torch.Generator().manual_seed(4))
    assert not torch.equal(other.train, parts.train)


@pytest.mark.parametrize(
    ("name", "peer"),
    [("sgd", torch.optim.SGD), ("adagrad", torch.optim.Adagrad), ("adam", torch.optim.Adam)],
)
def test_training_is_torch_s(parts, name, peer):
    parts = parts._replace(train=parts.train.double())
    ours = train(
        METHODS[name],
        parts,
        lr=0.1,
        classes=5,
        epochs=2,
        batch_size=10,
        generator=torch.Generator().manual_seed(1),
    )
    w = torch.zeros(parts.train.shape[1], 5, dtype=torch.float64, requires_grad=True)
    optimizer = peer([w], lr=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        for batch in torch.randperm(len(parts.train), generator=generator).split(10):
            optimizer.zero_grad()
            scores = parts.train[batch] @ w
            torch.nn.functional.cross_entropy(scores, parts.train_labels[batch]).backward()
            optimizer.step()
    torch.testing.assert_close(ours, w.detach(), rtol=1e-6, atol=1e-6)


def test_long_training_classifies_as_scikit_learn_does(parts):
    w = train(
        METHODS["adagrad"],
        parts,
        lr=0.3,
        classes=5,
        epochs=30,
        batch_size=10,
        generator=torch.Generator().manual_seed(0),
    )
    model = LogisticRegression(C=1e3, fit_intercept=False, max_iter=2000)
    model.fit(parts.train.numpy(), parts.train_labels.numpy())
    theirs = model.score(parts.test.numpy(), parts.test_labels.numpy())
    assert accuracy(w, parts.test, parts.test_labels) == pytest.approx(theirs, abs=0.11)


def test_the_study_chooses_by_held_out_documents_and_repeats(parts):
    def once():
        return study(parts, classes=5, rates=(0.1, 1.0), epochs=1, batch_size=10, seed=0)

    found, again = once(), once()
    for name, tuned in found.items():
        assert max(tuned.held_out) == tuned.held_out[(0.1, 1.0).index(tuned.rate)]
        assert torch.equal(tuned.weights, again[name].weights)
    shown = json.loads(json.dumps({k: numbers(t, parts) for k, t in found.items()}))
    assert shown["sgd"]["test_accuracy"] in shown["sgd"]["test_by_rate"]


def test_sizes_by_count_and_words_taken_away():
    counts = torch.tensor([0, 1, 2, 3, 4, 200])
    w = torch.tensor([[9.0], [1.0], [3.0], [4.0], [2.0], [5.0]])
    sizes = size_by_count(w, counts)
    assert sizes[:3] == pytest.approx([1.0, (25 / 2) ** 0.5, 2.0])
    assert sizes[-1] == 5.0
    assert without(w, counts <= 3).flatten().tolist() == [0, 0, 0, 0, 2, 5]


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="each must be ≥ 10, got 5"):
        Preset(5, 1, 1, (0.1,))
    with pytest.raises(ValueError, match="rates must be"):
        Preset(10, 1, 1, ())
    assert sparse_text.EXPERIMENT.presets["ci"].rates == sparse_text.RATES
