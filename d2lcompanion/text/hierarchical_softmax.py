"""Hierarchical softmax: a word is a path in a binary tree, its probability a product.

At each of the V − 1 inner nodes a logistic regression chooses between left and right.
Frequent words get short paths by Huffman's construction: a prediction then costs O(H d)
on average, where H, the entropy of the words in bits, is at most log₂ V.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from d2lcompanion.text.checks import (
    require_ids,
    require_matrix,
    require_shape,
    require_weights,
)
from d2lcompanion.text.row_gradients import RowGradients, logistic_row_gradients
from d2lcompanion.text.word2vec import Reduction, divisor


class HuffmanTree(NamedTuple):
    """The way from the root to every word, padded to the longest, L steps: [V, L] each.

    Inner nodes have the ids 0, …, V − 2 in the order in which they were made; the last
    is the root.
    """

    nodes: Tensor  # int64, the inner node at which step j is taken; 0 behind the end
    codes: Tensor  # bool, False for left, True for right; False behind the end
    mask: Tensor  # bool, True for the steps of the path

    def lengths(self) -> Tensor:
        """Steps from the root to each word, [V], int64."""
        return self.mask.sum(1)

    def expected_length(self, counts: Tensor) -> Tensor:
        """Σ_w p(w) · length(w), in bits, []: H ≤ it < H + 1 for the counts of the tree.

        Args:
            counts: [V], > 0; p is what they are divided by their sum.
        Raises:
            ValueError: if counts are not V positive numbers.
        Source:
            Cover & Thomas (2006), Theorem 5.4.1.
        """
        require_weights("counts", counts)
        require_shape("counts", counts, self.mask.shape[:1])
        return (counts * self.lengths()).sum() / counts.sum()


def huffman_codes(counts: Tensor) -> HuffmanTree:
    """The binary prefix code of least expected length: join the two lightest, again.

    The lighter of the two becomes the left child, code 0. Ties: a word before an inner
    node, words by id, inner nodes in the order in which they were made: the longest
    path is then as short as it can be in a best tree.

    O(V log V) to sort the words: inner nodes are made in rising order of weight, so the
    lightest is at the head of one of two queues.

    Args:
        counts: [V], > 0, V ≥ 2.
    Returns:
        the tree, where counts are.
    Raises:
        ValueError: if a count is not positive, or there is one word.
    Source:
        Huffman (1952); van Leeuwen (1976) (two queues); Schwartz (1964) (ties).
    """
    require_weights("counts", counts)
    return _paths(*_join(counts.tolist()), counts.device)


def log_probability(
    center_vectors: Tensor, words: Tensor, node_vectors: Tensor, tree: HuffmanTree
) -> Tensor:
    """log P(w | c) = Σ_j log σ(±u_{n(w, j)}·v_c): + where step j goes left, − right.

    As σ(s) + σ(−s) = 1, the two branches of a node share its probability, and by
    induction from the root the words share 1. Cost O(L d) per word, L its depth.

    Args:
        center_vectors: v_c, [B, d], one per word.
        words: w, [B], ids.
        node_vectors: u, [V − 1, d], one per inner node.
        tree: of V words.
    Returns:
        [B], ≤ 0.
    Raises:
        ValueError: if shapes differ or an id is out of range.
    Source:
        Morin & Bengio (2005); Mikolov, Sutskever, Chen, Corrado & Dean (2013),
        equation (3); Zhang et al., *Dive into Deep Learning* (d2l), §15.2.2.
    """
    _require_fitting(center_vectors, node_vectors, tree)
    require_shape("words", words, center_vectors.shape[:1])
    require_ids("words", words, len(tree.nodes))
    path = node_vectors[tree.nodes[words]]  # [B, L, d]
    scores = torch.einsum("bd,bld->bl", center_vectors, path)
    return _along_paths(scores, tree.codes[words], tree.mask[words])


def hierarchical_softmax_rows(
    centers: Tensor,
    words: Tensor,
    center_vectors: Tensor,
    node_vectors: Tensor,
    tree: HuffmanTree,
    *,
    reduction: Reduction = "mean",
) -> RowGradients:
    """The gradient of −log P(w | c), in the rows along the path of each word.

    Each step is a logistic regression with the label y = 1 for left, 0 for right: with
    g_j = σ(u_{n_j}·v_c) − y_j it is Σ_j g_j u_{n_j} for v_c, and g_j v_c for u_{n_j}.

    Args:
        centers: c, [B], ids.
        words: w, [B], ids, one per center.
        center_vectors: v, [V, d].
        node_vectors: u, [V − 1, d], one per inner node.
        tree: of V words.
        reduction: "mean" over the pairs, or "sum".
    Raises:
        ValueError: if shapes differ or an id is out of range.
    Source:
        Rong (2014), §3.1.
    """
    _require_fitting(center_vectors, node_vectors, tree)
    require_shape("words", words, centers.shape)
    require_ids("words", words, len(tree.nodes))
    return logistic_row_gradients(
        centers,
        tree.nodes[words],
        ~tree.codes[words],
        center_vectors,
        node_vectors,
        mask=tree.mask[words],
        scale=divisor(reduction, len(centers)),
    )


def all_probabilities(
    center_vectors: Tensor, node_vectors: Tensor, tree: HuffmanTree
) -> Tensor:
    """P(w | c) of every word w, in O(V d + V L) per center: for checks, not training.

    Args:
        center_vectors: v_c, [B, d].
        node_vectors: u, [V − 1, d].
        tree: of V words.
    Returns:
        [B, V], rows sum to 1.
    Raises:
        ValueError: if shapes differ.
    """
    _require_fitting(center_vectors, node_vectors, tree)
    scores = (center_vectors @ node_vectors.T)[:, tree.nodes]  # [B, V, L]
    return _along_paths(scores, tree.codes, tree.mask).exp()


# ------------------------------------------------------------------------------------- small parts


def _join(weights: list[float]) -> tuple[list[int], list[bool]]:
    """Parent and code of each node but the root; words 0 … V − 1, then inner nodes."""
    size = len(weights)
    words = sorted(range(size), key=lambda word: (weights[word], word))
    weights, parents, bits = (
        list(weights),
        [0] * (2 * size - 2),
        [False] * (2 * size - 2),
    )
    word, inner = 0, size  # the heads: words[word], and inner nodes from V on
    for new in range(size, 2 * size - 1):
        pair = []
        for _ in range(2):
            no_inner = inner == new
            if word < size and (no_inner or weights[words[word]] <= weights[inner]):
                pair.append(words[word])
                word += 1
            else:
                pair.append(inner)
                inner += 1
        weights.append(weights[pair[0]] + weights[pair[1]])
        parents[pair[0]], parents[pair[1]], bits[pair[1]] = new, new, True
    return parents, bits


def _paths(parents: list[int], bits: list[bool], device: torch.device) -> HuffmanTree:
    """The ways from the root, found by climbing from all words at once."""
    root = len(parents)
    size = root // 2 + 1
    depths = [0] * (root + 1)
    for child in reversed(range(root)):  # a parent's number is above its children's
        depths[child] = depths[parents[child]] + 1
    longest = max(depths[:size])
    parent = torch.tensor([*parents, root], device=device)
    code = torch.tensor([*bits, False], device=device)

    at = torch.arange(size, device=device)
    climbed = []
    for _ in range(longest):
        climbed.append(at)
        at = parent[at]  # the root stays the root
    lengths = torch.tensor(depths[:size], device=device)
    order = lengths[:, None] - 1 - torch.arange(longest, device=device)  # turned around
    mask = order >= 0
    child_at = torch.stack(climbed, dim=1).gather(1, order.clamp(min=0))
    nodes = (parent[child_at] - size).masked_fill(~mask, 0)
    return HuffmanTree(nodes, code[child_at] & mask, mask)


def _along_paths(scores: Tensor, codes: Tensor, mask: Tensor) -> Tensor:
    """Σ log σ(±s) over the steps of a path: [..., L] → [...]."""
    signed = torch.where(codes, -scores, scores)
    return logsigmoid(signed).masked_fill(~mask, 0).sum(-1)


def _require_fitting(
    center_vectors: Tensor, node_vectors: Tensor, tree: HuffmanTree
) -> None:
    """[B, d] and [V − 1, d]."""
    require_matrix("center_vectors", center_vectors)
    require_matrix("node_vectors", node_vectors)
    inner = len(tree.nodes) - 1
    require_shape("node_vectors", node_vectors, (inner, center_vectors.shape[1]))
