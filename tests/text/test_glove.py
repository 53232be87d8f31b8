"""GloVe against autograd, torch's AdaGrad, a solvable case, and numbers by hand."""

import math

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from d2lcompanion.text.glove import (
    Entries,
    GloveVectors,
    entries_of,
    glove_gradients,
    glove_loss,
    weighting,
)
from d2lcompanion.text.glove_training import (
    GloveRecipe,
    initial_glove_vectors,
    train_glove,
    with_unseen,
)

V, D = 7, 3


def tables(seed: int = 0, dtype: torch.dtype = torch.float64) -> GloveVectors:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((V, D), (V, D), (V,), (V,))
    return GloveVectors(*(torch.randn(s, generator=generator, dtype=dtype) for s in shapes))


def some_entries(seed: int = 0, dtype: torch.dtype = torch.float64) -> Entries:
    """Some words in several entries, one of them beside itself, one in none."""
    matrix = np.random.default_rng(seed).gamma(0.5, 60, (V, V))
    matrix[np.random.default_rng(seed + 1).random((V, V)) < 0.4] = 0
    matrix[2, 2], matrix[5], matrix[:, 5] = 3, 0, 0
    return entries_of(sparse.csr_array(matrix), dtype=dtype)


def test_entries_are_those_of_the_matrix():
    matrix = sparse.random_array((V, V), density=0.4, rng=np.random.default_rng(0), format="csr")
    words, contexts, counts = entries_of(matrix)
    assert counts.dtype == torch.float32
    table = torch.zeros(V, V)
    table[words, contexts] = counts
    np.testing.assert_allclose(table, matrix.toarray(), rtol=1e-6)


def test_weighting_by_hand():
    found = weighting(torch.tensor([0.0, 1, 16, 81, 100]), 16, 0.75)
    torch.testing.assert_close(found, torch.tensor([0, 1 / 8, 1, 1, 1]))
    assert float(weighting(torch.tensor(10.0), 100, 1.0)) == pytest.approx(0.1)


def test_loss_by_hand():
    """One pair: w·w̃ + b + b̃ − ln x = 2 − 1 + ½ − 1 with x = e, weighted by (e/4e)^½ = ½."""
    vectors = GloveVectors(
        torch.tensor([[1.0, 1], [0, 0]]), torch.tensor([[0.0, 0], [3, -1]]),
        torch.tensor([-1.0, 0]), torch.tensor([0.0, 0.5]),
    )  # fmt: skip
    pair = Entries(torch.tensor([0]), torch.tensor([1]), torch.tensor([math.e]))
    options = {"x_max": 4 * math.e, "power": 0.5}
    assert float(glove_loss(vectors, pair, **options)) == pytest.approx(0.5 * 0.5 * 0.25)
    gradient = glove_gradients(vectors, pair, **options)
    torch.testing.assert_close(gradient.word, torch.tensor([[0.75, -0.25], [0, 0]]))
    torch.testing.assert_close(gradient.context, torch.tensor([[0, 0], [0.25, 0.25]]))
    torch.testing.assert_close(gradient.word_bias, torch.tensor([0.25, 0]))


@pytest.mark.parametrize("options", [{}, {"x_max": 10.0, "power": 0.5}])
def test_gradients_are_autograd_s(options):
    entries, vectors = some_entries(), tables()
    leaves = GloveVectors(*(table.clone().requires_grad_() for table in vectors))
    expected = torch.autograd.grad(glove_loss(leaves, entries, **options), leaves)
    found = glove_gradients(vectors, entries, **options)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert bool((ours[5] == 0).all())


def test_training_is_torch_s_adagrad():
    """Two epochs, minibatches that touch a few rows each."""
    entries, vectors = some_entries(), tables()
    leaves = [table.clone().requires_grad_() for table in vectors]
    recipe = GloveRecipe(dimension=D, x_max=10, epochs=2, rate=0.1, batch_size=5)
    reports = list(train_glove(vectors, entries, recipe, torch.Generator().manual_seed(3)))
    optimizer = torch.optim.Adagrad(leaves, lr=0.1, initial_accumulator_value=1.0, eps=0.0)
    generator, losses = torch.Generator().manual_seed(3), []
    for _ in range(2):
        total = 0.0
        for rows in torch.randperm(len(entries.counts), generator=generator).split(5):
            optimizer.zero_grad()
            batch = Entries(*(part[rows] for part in entries))
            loss = glove_loss(GloveVectors(*leaves), batch, x_max=10)
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        losses.append(total / len(entries.counts))
    for ours, theirs in zip(vectors, leaves, strict=True):
        torch.testing.assert_close(ours, theirs.detach())
    assert [report.loss for report in reports] == pytest.approx(losses)
    assert [report.epoch for report in reports] == [1, 2]


def test_it_finds_a_matrix_that_it_can_express():
    """log x = w·w̃ + b + b̃ exactly with d = 2: the loss falls to 0, and the sums come out."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(30, 2, generator=generator) for _ in range(2))
    biases = [torch.randn(30, generator=generator) for _ in range(2)]
    logs = left @ right.T + biases[0][:, None] + biases[1] + 2
    entries = entries_of(sparse.csr_array(logs.exp().numpy()), dtype=torch.float64)
    vectors = GloveVectors(*(t.double() for t in initial_glove_vectors(30, 2, generator)))
    recipe = GloveRecipe(dimension=2, x_max=1, epochs=300, rate=0.5, batch_size=100)
    *_, last = train_glove(vectors, entries, recipe, generator)
    assert last.loss < 1e-4
    found = vectors.word @ vectors.context.T + vectors.word_bias[:, None] + vectors.context_bias
    torch.testing.assert_close(found, logs.double(), rtol=0, atol=0.1)


def test_same_seed_same_vectors_and_another_seed_others():
    runs = []
    for seed in (0, 0, 1):
        generator = torch.Generator().manual_seed(seed)
        vectors = initial_glove_vectors(V, D, generator)
        assert float(vectors.word.abs().max()) <= 0.5 / D
        list(train_glove(vectors, some_entries(dtype=torch.float32),
                         GloveRecipe(dimension=D, epochs=2, batch_size=8), generator))  # fmt: skip
        runs.append(vectors.total)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_unseen_pairs_are_new_and_come_by_the_root_of_frequency():
    entries = some_entries()
    frequencies = torch.tensor([100.0, 1, 1, 1, 1, 1, 1])
    seen = set(zip(entries.words.tolist(), entries.contexts.tolist(), strict=True))
    more = with_unseen(entries, 2000, frequencies, torch.Generator().manual_seed(0), count=0.3)
    added = list(zip(more.words.tolist(), more.contexts.tolist(), strict=True))[len(seen) :]
    assert set(added) == {(i, j) for i in range(V) for j in range(V)} - seen
    assert len(added) == len(set(added))
    assert bool((more.counts[: len(seen)] == entries.counts).all())
    assert bool((more.counts[len(seen) :] == 0.3).all())
    firsts = []
    for seed in range(800):  # a single draw: √100 = 10 against six times 1
        one = with_unseen(
            Entries(torch.tensor([1]), torch.tensor([1]), torch.ones(1)),
            1, frequencies, torch.Generator().manual_seed(seed),
        )  # fmt: skip
        firsts += one.words[1:].tolist()
    # the pair (1, 1), of probability 1/256, is dropped
    assert firsts.count(0) / len(firsts) == pytest.approx(10 / 16, abs=0.05)


def test_bad_input_is_refused():
    for options, message in (
        ({"x_max": 0}, "x_max must be > 0 and finite, got 0"),
        ({"rate": math.nan}, "rate must be > 0 and finite, got nan"),
        ({"power": 1.5}, r"power must be in \[0, 1\], got 1.5"),
        ({"epochs": 0}, "epochs must be a whole number ≥ 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            GloveRecipe(**options)
    with pytest.raises(ValueError, match="x_max must be > 0"):
        weighting(torch.ones(2), -1)
    with pytest.raises(ValueError, match="counts must have an entry, got none"):
        entries_of(sparse.csr_array((V, V)))
    with pytest.raises(ValueError, match=r"counts must be \[V, V\], got shape \[2, 3\]"):
        entries_of(sparse.csr_array(np.ones((2, 3))))
    with pytest.raises(ValueError, match="entries must be > 0 and finite, got -1"):
        entries_of(sparse.csr_array(-np.ones((2, 2))))
    vectors, entries = tables(), some_entries()
    with pytest.raises(ValueError, match=r"contexts must be ids in \[0, 7\), got 7"):
        glove_loss(vectors, entries._replace(contexts=entries.contexts + 1))
    with pytest.raises(ValueError, match=r"word must have shape \[7, 4\]"):
        next(train_glove(vectors, entries, GloveRecipe(dimension=4), torch.Generator()))
    with pytest.raises(ValueError, match="size must be a whole number ≥ 2, got 1"):
        initial_glove_vectors(1, 3, torch.Generator())
    with pytest.raises(ValueError, match="number must be a whole number ≥ 1, got 0"):
        with_unseen(entries, 0, torch.ones(V), torch.Generator())
    with pytest.raises(ValueError, match=r"ids in \[0, 3\)"):
        with_unseen(entries, 5, torch.ones(3), torch.Generator())
    with pytest.raises(ValueError, match=r"counts must be \[N\] with N ≥ 1"):
        glove_loss(vectors, Entries(*(part[:0] for part in entries)))


def test_divergence_is_named():
    entries = some_entries()
    vectors = GloveVectors(*(table * 1e200 for table in tables()))
    with pytest.raises(FloatingPointError, match=r"the loss of epoch 1 is (inf|nan), at the rate"):
        list(train_glove(vectors, entries, GloveRecipe(dimension=D), torch.Generator()))
