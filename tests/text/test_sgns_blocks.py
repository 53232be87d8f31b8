"""The banded trainer: the same pairs, the same loss, the same gradient, the same result."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.block_layout import Layout, fitting_layout
from d2lcompanion.text.negative_sampling import negative_sampling_gradients, negative_sampling_loss
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.sgns import Recipe, WordVectors, initial_vectors, train_on_pairs
from d2lcompanion.text.sgns_blocks import (
    Blocks,
    BlockSteps,
    block_loss,
    step_on_blocks,
    train_in_blocks,
)
from d2lcompanion.text.sgns_objective import expected_loss
from d2lcompanion.text.skip_gram_pairs import center_context_pairs, reduced_windows
from d2lcompanion.text.token_stream import TokenStream, shuffle_sentences

WORDS = 9


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vectors_of(dtype: torch.dtype = torch.float64, size: int = WORDS) -> WordVectors:
    drawn = (
        torch.randn(size, 4, generator=seeded(i), dtype=torch.float64).to(dtype) for i in (1, 2)
    )
    return WordVectors(*drawn)


def corpus(lengths: tuple[int, ...], seed: int = 3) -> TokenStream:
    ids = torch.randint(WORDS, (sum(lengths),), generator=seeded(seed))
    return TokenStream(ids, torch.repeat_interleave(torch.tensor(lengths)))


def sampler() -> AliasSampler:
    return AliasSampler(noise_distribution(torch.arange(1, WORDS + 1)))


def pairs_in(blocks: Blocks) -> list[tuple[int, int, int]]:
    """Block, center and context of every pair, read off the band in plain Python."""
    count, tokens, span = blocks.band.shape
    return [
        (m, int(blocks.centers[m, i]), int(blocks.words[m, j]))
        for m, i, j in itertools.product(range(count), range(tokens), range(span))
        if blocks.band[m, i, j]
    ]


LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=8).map(tuple)
LAYOUTS = st.builds(Layout, st.integers(1, 9), st.integers(1, 5), st.integers(1, 4))


@settings(max_examples=40, deadline=None)
@given(LENGTHS, LAYOUTS, st.integers(1, 6))
def test_the_band_holds_the_pairs_of_the_windows(lengths, layout, window):
    stream = corpus(lengths)
    found = []
    for blocks in BlockSteps(stream, Recipe(window=window), layout, sampler(), seeded()):
        found += [(center, context) for _, center, context in pairs_in(blocks)]
    pairs = center_context_pairs(stream, reduced_windows(len(stream.ids), window, seeded()))
    assert found == list(zip(pairs.centers.tolist(), pairs.contexts.tolist(), strict=True))


def first_step(stream: TokenStream, recipe: Recipe, layout: Layout) -> Blocks:
    return BlockSteps(stream, recipe, layout, sampler(), seeded())[0]


def independent(blocks: Blocks) -> tuple[torch.Tensor, ...]:
    """Pairs with the noise words of their block as negatives."""
    block, centers, contexts = torch.tensor(pairs_in(blocks)).T
    return centers, contexts, blocks.noise[block]


@pytest.mark.parametrize("layout", [Layout(4, 6, 5), Layout(2, 5, 5), Layout(32, 1, 5)])
def test_with_k_shared_words_it_is_the_loss_of_pairs(layout):
    """And its gradient is theirs: one step moves both tables alike."""
    blocks = first_step(corpus((11, 1, 17)), Recipe(window=3), layout)
    alone = independent(blocks)
    vectors = vectors_of()
    expected = negative_sampling_loss(*alone, *vectors, reduction="sum")
    torch.testing.assert_close(block_loss(vectors, blocks), expected)
    gradients = negative_sampling_gradients(*alone, *vectors, reduction="sum")
    step_on_blocks(vectors, blocks, 0.1)
    for new, old, gradient in zip(vectors, vectors_of(), gradients, strict=True):
        torch.testing.assert_close(new, old - 0.1 * gradient)


@settings(max_examples=40, deadline=None)
@given(LENGTHS, LAYOUTS, st.integers(1, 6), st.integers(1, 7))
def test_the_gradient_written_out_is_that_of_autograd(lengths, layout, window, negatives):
    recipe = Recipe(window=window, negatives=negatives)
    for blocks in BlockSteps(corpus(lengths), recipe, layout, sampler(), seeded()):
        tables = WordVectors(*(table.requires_grad_() for table in vectors_of()))
        gradients = torch.autograd.grad(block_loss(tables, blocks), tables)
        moved = vectors_of()
        step_on_blocks(moved, blocks, 0.1)
        for new, old, gradient in zip(moved, vectors_of(), gradients, strict=True):
            torch.testing.assert_close(new, old - 0.1 * gradient)


def with_noise(blocks: Blocks, noise: torch.Tensor) -> Blocks:
    return blocks._replace(words=torch.cat([blocks.words[:, : -noise.shape[1]], noise], 1))


def test_its_mean_over_the_noise_is_that_of_independent_negatives():
    """K = 1 shared word that counts k times: the mean over all words is enumerated."""
    blocks = first_step(corpus((8,)), Recipe(window=2, negatives=3), Layout(8, 1, 1))
    vectors, chances = vectors_of(), noise_distribution(torch.arange(1, WORDS + 1)).double()
    mean = sum(
        chances[word] * block_loss(vectors, with_noise(blocks, torch.tensor([[word]])))
        for word in range(WORDS)
    )
    _, centers, contexts = torch.tensor(pairs_in(blocks)).T
    scores = vectors.center @ vectors.context.T
    positive = -torch.nn.functional.logsigmoid(scores[centers, contexts]).sum()
    each = -(torch.nn.functional.logsigmoid(-scores) * chances).sum(1)
    torch.testing.assert_close(mean, positive + 3 * each[centers].sum())


def test_tokens_that_fill_up_change_nothing():
    stream, recipe = corpus((5,)), Recipe(window=2)
    short, long = (first_step(stream, recipe, Layout(5, blocks, 4)) for blocks in (1, 3))
    long = with_noise(long, short.noise.expand(3, -1))
    torch.testing.assert_close(block_loss(vectors_of(), short), block_loss(vectors_of(), long))


def test_a_pass_is_a_sequence_of_steps():
    steps = BlockSteps(corpus((11, 2)), Recipe(window=2), Layout(2, 2, 3), sampler(), seeded())
    assert len(steps) == 4
    assert len(list(steps)) == 4  # it ends
    assert torch.equal(steps[-1].centers, steps[3].centers)
    with pytest.raises(IndexError):
        steps[4]


def topics(sentences: int) -> TokenStream:
    """Two topics of ten words each that never meet, words of unequal frequency."""
    chances = torch.arange(1, 11, dtype=torch.float64)
    drawn = torch.multinomial(
        chances.expand(sentences, 10), 12, replacement=True, generator=seeded()
    )
    drawn[sentences // 2 :] += 10
    return TokenStream(drawn.flatten(), torch.repeat_interleave(torch.full((sentences,), 12)))


def test_both_trainers_arrive_at_the_same_objective():
    stream, recipe = topics(400), Recipe(dimension=8, window=3, epochs=15, threshold=1.0)
    ends = {}
    for name, train in (("pairs", train_on_pairs), ("blocks", train_in_blocks)):
        reached = []
        for seed in range(3):
            vectors = initial_vectors(20, 8, seeded(seed))
            begin = expected_loss(vectors, stream, stream.ids.bincount(), recipe)
            list(train(vectors, stream, recipe, seeded(seed)))
            reached.append(expected_loss(vectors, stream, stream.ids.bincount(), recipe))
        assert begin == pytest.approx(6 * math.log(2), rel=1e-6)
        ends[name] = torch.tensor(reached)
    gain = 6 * math.log(2) - ends["pairs"].mean()
    assert gain > 0.5
    assert abs(float(ends["pairs"].mean() - ends["blocks"].mean())) < 0.02 * float(gain)


def test_a_step_with_too_many_tokens_of_a_word_diverges_and_is_reported():
    stream, recipe = topics(400), Recipe(dimension=8, window=3, epochs=15, threshold=1.0)
    vectors = initial_vectors(20, 8, seeded())
    with pytest.raises(
        FloatingPointError,
        match=r"center vector of word \d+ has the length \S+ after epoch \d+, at the",
    ):
        list(train_in_blocks(vectors, stream, recipe, seeded(), layout=Layout()))


def test_vectors_that_exploded_and_are_finite_are_reported():
    """Three epochs at four times the usual rate: lengths of 100,000, of 2 at the usual one."""
    stream, lengths = topics(400), []
    for rate in (0.025, 0.1):
        recipe = Recipe(dimension=8, window=3, epochs=3, threshold=1.0, rate=rate)
        vectors, failed = initial_vectors(20, 8, seeded()), ""
        try:
            list(train_in_blocks(vectors, stream, recipe, seeded()))
        except FloatingPointError as error:
            failed = str(error)
        lengths.append(float(vectors.center.norm(dim=1).max()))
        assert math.isfinite(lengths[-1])
        assert ("has the length" in failed) == (lengths[-1] > 1000)
    assert lengths[0] < 10 < 10_000 < lengths[1]


def test_the_fitting_layout_is_the_largest_that_is_not_crowded():
    """By trying all halvings: 64 words alike give each 1/64 of the tokens of a step."""
    for words in (2, 8, 64, 500):
        counts, recipe = torch.full((words,), 10), Recipe(threshold=1.0, rate=0.05)
        fitting = fitting_layout(counts, recipe)
        largest = max(
            step for step in (256 >> i for i in range(9)) if step * 0.05 / words <= 0.2 or step == 1
        )
        assert fitting.step == largest
    assert fitting_layout(counts, recipe, Layout(1, 1, 3)) == Layout(1, 1, 3)


def test_workers_arrive_at_the_same_objective():
    """Steps of small blocks, so that no word is in the way of many at once."""
    stream, recipe = topics(400), Recipe(dimension=8, window=3, epochs=15, threshold=1.0)
    gains = []
    for workers in (1, 2, 3):
        vectors = initial_vectors(20, 8, seeded())
        reports = list(train_in_blocks(vectors, stream, recipe, seeded(), workers=workers))
        assert [report.tokens for report in reports] == [4800] * 15
        reached = expected_loss(vectors, stream, stream.ids.bincount(), recipe)
        gains.append(6 * math.log(2) - reached)
    assert gains == pytest.approx([gains[0]] * 3, rel=0.05)


def test_what_a_worker_raises_is_raised():
    stream, recipe = topics(40), Recipe(dimension=8, threshold=1.0)
    vectors = initial_vectors(20, 8, seeded())
    training = train_in_blocks(vectors, stream, recipe, seeded(), workers=2, products=torch.int32)
    with pytest.raises(RuntimeError, match="result type Float can't be cast"):
        next(training)
    with pytest.raises(ValueError, match="workers must be a whole number ≥ 1, got 0"):
        next(train_in_blocks(vectors, stream, recipe, seeded(), workers=0))


def test_one_seed_gives_one_result_and_reports_every_epoch():
    stream, recipe = topics(60), Recipe(dimension=3, epochs=2, threshold=1.0)
    results = []
    for seed in (0, 0, 1):
        vectors = initial_vectors(20, 3, seeded(5))
        reports = list(train_in_blocks(vectors, stream, recipe, seeded(seed)))
        assert reports == [(1, 720), (2, 720)]
        results.append(vectors.center)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_products_in_bfloat16_move_the_vectors_nearly_alike():
    blocks = first_step(corpus((60,)), Recipe(), Layout())
    exact, rounded = vectors_of(torch.float32), vectors_of(torch.float32)
    step_on_blocks(exact, blocks, 0.1)
    step_on_blocks(rounded, blocks, 0.1, products=torch.bfloat16)
    assert rounded.center.dtype == torch.float32
    for a, b, start in zip(exact, rounded, vectors_of(torch.float32), strict=True):
        assert float((a - b).norm()) < 0.02 * float((a - start).norm())
        assert not torch.equal(a, b)


@pytest.mark.parametrize("name", ["tokens", "blocks", "shared"])
def test_layouts_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number ≥ 1, got 0"):
        Layout(**{name: 0})


def test_bad_corpora_are_refused():
    vectors = initial_vectors(3, 2, seeded())
    ids = torch.tensor([0, 1, 1])
    with pytest.raises(ValueError, match=r"must be > 0 and finite, got 0 for word 2"):
        next(train_in_blocks(vectors, TokenStream(ids, ids), Recipe(), seeded()))
    with pytest.raises(ValueError, match="corpus must have tokens, got none"):
        next(train_in_blocks(vectors, TokenStream(ids[:0], ids[:0]), Recipe(), seeded()))


@given(LENGTHS)
def test_shuffled_sentences_are_whole(lengths):
    stream = corpus(lengths)
    moved = shuffle_sentences(stream, seeded())

    def sentences(one: TokenStream) -> list[tuple[int, ...]]:
        sizes = one.sentence.bincount().tolist()
        return sorted(tuple(part.tolist()) for part in one.ids.split(sizes))

    assert sentences(moved) == sentences(stream)
    assert bool((moved.sentence.diff() >= 0).all())
