"""Huffman's tree against brute force, a heap and information theory; probabilities sum to 1."""

import functools
import heapq
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.hierarchical_softmax import (
    HuffmanTree,
    all_probabilities,
    hierarchical_softmax_rows,
    huffman_codes,
    log_probability,
)

COUNTS = st.lists(st.integers(1, 1000), min_size=2, max_size=40)
FEW = st.lists(st.integers(1, 12), min_size=2, max_size=6)  # small numbers: many ties


def paths(tree: HuffmanTree) -> list[list[tuple[int, bool]]]:
    return [
        [(n, c) for n, c, there in zip(*row, strict=True) if there]
        for row in zip(tree.nodes.tolist(), tree.codes.tolist(), tree.mask.tolist(), strict=True)
    ]


def with_a_heap(counts: list[int]) -> list[list[tuple[int, bool]]]:
    """The textbook's way: pop the two lightest, push their sum; nodes V, V + 1, … are inner."""
    size = len(counts)
    heap = [(count, word) for word, count in enumerate(counts)]
    heapq.heapify(heap)
    found: dict[int, list[tuple[int, bool]]] = {word: [] for word in range(size)}
    below = {word: [word] for word in range(size)}
    for new in range(size, 2 * size - 1):
        (left, first), (right, second) = heapq.heappop(heap), heapq.heappop(heap)
        for child, code in ((first, False), (second, True)):
            for word in below[child]:
                found[word].insert(0, (new - size, code))
        below[new] = below.pop(first) + below.pop(second)
        heapq.heappush(heap, (left + right, new))
    return list(found.values())


@functools.cache
def profiles(size: int) -> frozenset[tuple[int, ...]]:
    """The depths of the leaves, in order, of every binary tree with so many leaves."""
    if size == 1:
        return frozenset({(0,)})
    return frozenset(
        tuple(depth + 1 for depth in left + right)
        for cut in range(1, size)
        for left in profiles(cut)
        for right in profiles(size - cut)
    )


# ------------------------------------------------------------------------------------------- the tree


def test_a_tree_by_hand():
    """5, 2, 1, 1: {2, 3} → node 0, of weight 2; word 1 and node 0 → node 1; 1 and word 0 → root."""
    tree = huffman_codes(torch.tensor([5, 2, 1, 1]))
    assert tree.lengths().tolist() == [1, 2, 3, 3]
    assert paths(tree) == [
        [(2, True)],
        [(2, False), (1, False)],
        [(2, False), (1, True), (0, False)],
        [(2, False), (1, True), (0, True)],
    ]
    assert tree.nodes.tolist()[0] == [2, 0, 0]  # padded
    assert tree.mask.tolist()[0] == [True, False, False]
    assert float(tree.expected_length(torch.tensor([5, 2, 1, 1]))) == pytest.approx(15 / 9)


@settings(max_examples=200, deadline=None)
@given(COUNTS)
def test_against_a_heap(counts):
    assert paths(huffman_codes(torch.tensor(counts))) == with_a_heap(counts)


@settings(max_examples=200, deadline=None)
@given(COUNTS)
def test_codes_are_those_of_a_full_prefix_tree(counts):
    tree = huffman_codes(torch.tensor(counts))
    kraft = sum(2.0**-length for length in tree.lengths().tolist())
    assert kraft == pytest.approx(1, abs=1e-12)
    codes = ["".join("01"[c] for _, c in path) for path in paths(tree)]
    assert not any(a != b and b.startswith(a) for a in codes for b in codes)
    assert len(set(codes)) == len(counts)
    steps = {step for path in paths(tree) for step in path}
    inner = range(len(counts) - 1)
    assert steps == {(node, code) for node in inner for code in (False, True)}
    assert {path[0][0] for path in paths(tree)} == {len(counts) - 2}  # all begin at the root
    nothing = tree.nodes[~tree.mask].tolist() + tree.codes[~tree.mask].tolist()
    assert not any(nothing)


@settings(max_examples=200, deadline=None)
@given(COUNTS)
def test_the_expected_length_is_within_one_bit_of_the_entropy(counts):
    weights = torch.tensor(counts, dtype=torch.float64)
    p = weights / weights.sum()
    entropy = -float((p * p.log2()).sum())
    length = float(huffman_codes(weights).expected_length(weights))
    assert entropy - 1e-9 <= length < entropy + 1
    assert length <= math.ceil(math.log2(len(counts))) + 1e-9  # no longer than a balanced tree


@settings(max_examples=60, deadline=None)
@given(FEW)
def test_no_tree_is_better_and_no_best_tree_is_less_deep(counts):
    lengths = huffman_codes(torch.tensor(counts)).lengths().tolist()
    cost = sum(count * length for count, length in zip(counts, lengths, strict=True))
    # Of one profile of depths, the best assignment gives deep leaves to rare words.
    ordered = sorted(counts)
    all_trees = [
        (sum(c * d for c, d in zip(ordered, sorted(depths, reverse=True), strict=True)), max(depths))
        for depths in profiles(len(counts))
    ]  # fmt: skip
    assert (cost, max(lengths)) == min(all_trees)


def test_dyadic_counts_reach_the_entropy():
    counts = torch.tensor([8.0, 4, 2, 1, 1])
    tree = huffman_codes(counts)
    assert tree.lengths().tolist() == [1, 2, 3, 4, 4]
    assert float(tree.expected_length(counts)) == pytest.approx(1.875)


@pytest.mark.parametrize("size", [2, 3, 8, 1000])
def test_equal_counts_make_a_balanced_tree(size):
    lengths = huffman_codes(torch.ones(size)).lengths()
    assert {int(lengths.min()), int(lengths.max())} <= {
        math.floor(math.log2(size)),
        math.ceil(math.log2(size)),
    }


def test_fibonacci_s_numbers_make_the_deepest_tree():
    counts = [1, 1]
    while len(counts) < 30:
        counts.append(counts[-1] + counts[-2])
    assert int(huffman_codes(torch.tensor(counts)).lengths().max()) == 29


# -------------------------------------------------------------------------------------- probabilities


def vectors(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


@settings(max_examples=100, deadline=None)
@given(COUNTS, st.integers(0, 10**6), st.floats(0.01, 30))
def test_probabilities_sum_to_one(counts, seed, scale):
    tree = huffman_codes(torch.tensor(counts))
    centers = vectors(3, 4, seed=seed, scale=scale)
    nodes = vectors(len(counts) - 1, 4, seed=seed + 1)
    found = all_probabilities(centers, nodes, tree)
    assert found.shape == (3, len(counts))
    torch.testing.assert_close(found.sum(1), torch.ones(3, dtype=torch.float64))


def test_log_probabilities_against_a_slow_loop():
    counts = [9, 4, 4, 2, 1, 1]
    tree, centers, nodes = huffman_codes(torch.tensor(counts)), vectors(6, 3), vectors(5, 3, seed=1)
    words = torch.tensor([0, 5, 3, 2, 2, 1])
    found = log_probability(centers, words, nodes, tree)
    table = all_probabilities(centers, nodes, tree)
    for b, word in enumerate(words.tolist()):
        expected = 1.0
        for node, right in with_a_heap(counts)[word]:
            left = 1 / (1 + math.exp(-float(nodes[node] @ centers[b])))
            expected *= 1 - left if right else left
        assert float(found[b].exp()) == pytest.approx(expected)
        assert float(table[b, word]) == pytest.approx(expected)


def test_without_knowledge_a_word_has_two_to_the_minus_its_depth():
    tree = huffman_codes(torch.tensor([8, 4, 2, 1, 1]))
    zeros = torch.zeros(1, 3, dtype=torch.float64), torch.zeros(4, 3, dtype=torch.float64)
    expected = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16]
    assert all_probabilities(*zeros, tree)[0].tolist() == pytest.approx(expected)


def test_the_gradient_is_observed_minus_expected_along_the_path():
    """∂ log P/∂u_n = (1[left] − σ(u_n·v)) v on the path, 0 off it; finite at huge scores."""
    counts = torch.tensor([9, 4, 4, 2, 1, 1])
    tree = huffman_codes(counts)
    center = vectors(1, 3)
    nodes = vectors(5, 3, seed=1).requires_grad_()
    for word, path in enumerate(paths(tree)):
        value = log_probability(center, torch.tensor([word]), nodes, tree).sum()
        (found,) = torch.autograd.grad(value, nodes)
        expected = torch.zeros_like(found)
        for node, right in path:
            share = float((nodes[node] @ center[0]).detach().sigmoid())
            expected[node] = (float(not right) - share) * center[0]
        torch.testing.assert_close(found, expected)
    far = (1e4 * nodes.detach()).requires_grad_()
    words = torch.arange(6)
    log_probability(center.expand(6, 3), words, far, tree).sum().backward()
    assert bool(far.grad.isfinite().all())


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_gradient_in_rows_against_autograd(reduction):
    counts = torch.tensor([9, 4, 4, 2, 1, 1])
    tree = huffman_codes(counts)
    centers, words = torch.tensor([0, 3, 3, 5]), torch.tensor([4, 0, 5, 5])
    v, u = vectors(6, 3).requires_grad_(), vectors(5, 3, seed=1).requires_grad_()
    loss = -log_probability(v[centers], words, u, tree).sum()
    loss = loss / (4 if reduction == "mean" else 1)
    expected = torch.autograd.grad(loss, (v, u))
    v, u = v.detach(), u.detach()
    rows = hierarchical_softmax_rows(centers, words, v, u, tree, reduction=reduction)
    for ours, theirs in zip(rows.dense(v, u), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_expected_length_is_gensim_s():
    """Trees differ in their ties, the cost of the best tree does not."""
    word2vec = pytest.importorskip("gensim.models.word2vec")
    counts = [int(5000 / rank**1.1) + 1 for rank in range(1, 301)]
    model = word2vec.Word2Vec(vector_size=1, min_count=1, hs=1, negative=0)
    model.build_vocab_from_freq({str(word): count for word, count in enumerate(counts)})
    theirs = sum(
        count * len(model.wv.get_vecattr(str(word), "code")) for word, count in enumerate(counts)
    )
    ours = huffman_codes(torch.tensor(counts)).lengths()
    assert int((torch.tensor(counts) * ours).sum()) == theirs


def test_training_learns_the_frequencies():
    """One center: the likelihood is largest where P is the share of each word, as Σ P = 1."""
    counts = torch.tensor([7.0, 5, 4, 2, 1, 1], dtype=torch.float64)
    tree = huffman_codes(counts.flip(0))  # another tree: what can be learned does not depend on it
    center, nodes = torch.ones(1, 1, dtype=torch.float64), torch.zeros(5, 1, dtype=torch.float64)
    nodes.requires_grad_()
    optimizer = torch.optim.LBFGS([nodes], max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        each = log_probability(center.expand(6, 1), torch.arange(6), nodes, tree)
        loss = -(counts * each).sum() / counts.sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    found = all_probabilities(center, nodes.detach(), tree)[0]
    torch.testing.assert_close(found, counts / counts.sum(), rtol=0, atol=1e-3)


# ------------------------------------------------------------------------------------------- errors

TREE = huffman_codes(torch.tensor([3, 2, 1]))
V, U = vectors(2, 4), vectors(2, 4)
WORDS = torch.tensor([0, 2])
BAD = {
    "one word": (lambda: huffman_codes(torch.tensor([3])), r"V ≥ 2 words, got shape \[1\]"),
    "zero": (
        lambda: huffman_codes(torch.tensor([3, 1, 0])),
        "counts must be > 0 and finite, got 0 for word 2",
    ),
    "matrix": (lambda: huffman_codes(torch.ones(2, 2)), r"counts must be \[V\] .* got shape \[2, 2"),
    "id": (lambda: log_probability(V, WORDS + 1, U, TREE), r"words must be ids in \[0, 3\), got 3"),
    "words": (lambda: log_probability(V, WORDS[:1], U, TREE), r"words must have shape \[2\], got"),
    "nodes": (
        lambda: log_probability(V, WORDS, vectors(3, 4), TREE),
        r"node_vectors must have shape \[2, 4\], got \[3, 4\]",
    ),
    "dim": (lambda: all_probabilities(V, vectors(2, 3), TREE), r"shape \[2, 4\], got \[2, 3\]"),
    "vector": (lambda: all_probabilities(V[0], U, TREE), r"center_vectors must be \[N, d\]"),
    "rows": (
        lambda: hierarchical_softmax_rows(WORDS, WORDS + 1, vectors(3, 4), U, TREE),
        r"words must be ids in \[0, 3\), got 3",
    ),
    "counts": (lambda: TREE.expected_length(torch.ones(2)), r"shape \[3\], got \[2\]"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
