"""Skip-gram with negative sampling as products of matrices, for speed.

A block is b tokens in a row. All pairs of its tokens with their neighbors are entries of
one product, [b, d] × [d, b + 2c], in a band around the diagonal; noise words are shared
by a group of blocks and make a second product. Entries outside the windows have weight
0: they are computed for nothing, and it is still faster than reading two vectors for
every pair, because each vector is read once and used for many pairs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from d2lcompanion.text.block_layout import Layout, fitting_layout
from d2lcompanion.text.negative_sampling import AliasSampler, noise_distribution
from d2lcompanion.text.sgns import (
    EpochReport,
    Recipe,
    WordVectors,
    rate_at,
    require_converging,
    require_trainable,
)
from d2lcompanion.text.skip_gram_data import (
    keep_probabilities,
    reduced_windows,
    subsample,
    window_reach,
)
from d2lcompanion.text.token_stream import TokenStream, shuffle_sentences


class Blocks(NamedTuple):
    """What one step sees: n = groups · blocks · b center words in their order.

    Attributes:
        words: [n + 2c], ids: the centers and c neighbors at either end.
        band: [groups · blocks, b, b + 2c], 1 where a neighbor is in the window, else 0.
        noise_weight: [groups, blocks · b, 1]: pairs of each center times k/K.
        noise: [groups, K], ids.
    """

    words: Tensor
    band: Tensor
    noise_weight: Tensor
    noise: Tensor


def blocks_of(
    stream: TokenStream,
    recipe: Recipe,
    layout: Layout,
    noise: AliasSampler,
    generator: torch.Generator,
) -> Iterator[Blocks]:
    """One pass over subsampled tokens in their order, with windows drawn anew.

    Args:
        stream: n ≥ 1 tokens; the last step is filled up with tokens without a window.
        noise: draws noise words.
        generator: on any device.
    """
    c, device = recipe.window, stream.ids.device
    widths = reduced_windows(len(stream.ids), c, generator).to(device)
    left, right = window_reach(stream, widths)
    missing = -len(stream.ids) % layout.step
    words = pad(stream.ids, (c, c + missing))
    pairs = pad(left + right, (0, missing)) * (recipe.negatives / layout.shared)
    # The row of the band depends on the place in the block and on the reach alone.
    patterns = _band_patterns(layout.tokens, c, device)
    row = pad(left * (c + 1) + right, (0, missing)).view(-1, layout.tokens)
    row = row + torch.arange(layout.tokens, device=device) * (c + 1) ** 2
    for begin in range(0, len(words) - 2 * c, layout.step):
        first = begin // layout.tokens
        places = row[first : first + layout.groups * layout.blocks]
        band = patterns.index_select(0, places.flatten())
        yield Blocks(
            words[begin : begin + layout.step + 2 * c],
            band.view(-1, layout.tokens, layout.tokens + 2 * c),
            pairs[begin : begin + layout.step].view(layout.groups, -1, 1),
            noise.sample((layout.groups, layout.shared), generator),
        )


def block_loss(vectors: WordVectors, blocks: Blocks) -> Tensor:
    """Σ over pairs −log σ(u_o·v_c), and −log σ(−u_n·v_c) of noise, k/K times a pair.

    With K = k it is the loss of `train_on_pairs` in which all pairs of a group have the
    same negatives; its expectation over the noise is that of independent ones.

    Returns:
        the sum, [].
    """
    centers, neighbors, noise = _read(vectors, blocks)
    near = torch.bmm(centers, neighbors.transpose(1, 2))
    grouped = centers.reshape(len(noise), -1, centers.shape[2])
    far = torch.bmm(grouped, noise.transpose(1, 2))
    positive = (logsigmoid(near) * blocks.band).sum()
    return -positive - (logsigmoid(-far) * blocks.noise_weight).sum()


def step_on_blocks(
    vectors: WordVectors,
    blocks: Blocks,
    rate: float,
    *,
    products: torch.dtype | None = None,
) -> None:
    """One step of gradient descent on `block_loss`, its gradient written out.

    With g = σ(s) − 1 in the band and σ(s) k/K for noise, ∂ℓ/∂v = g u and ∂ℓ/∂u = gᵀ v.

    Args:
        vectors: [V, d] both, changed in place.
        blocks: of one step.
        rate: η ≥ 0.
        products: the type of the matrix products, as bfloat16 on a GPU; None is that of
            the vectors. What is added to them has theirs.
    """
    centers, neighbors, noise = _read(vectors, blocks, products)
    grouped = centers.reshape(len(noise), -1, centers.shape[2])
    near = torch.bmm(centers, neighbors.transpose(1, 2))
    near = near.sigmoid_().sub_(1).mul_(blocks.band)
    far = torch.bmm(grouped, noise.transpose(1, 2))
    far = far.sigmoid_().mul_(blocks.noise_weight)

    to_centers = torch.bmm(near, neighbors).view_as(grouped).baddbmm_(far, noise)
    to_neighbors = _fold(torch.bmm(near.transpose(1, 2), centers), len(blocks.words))
    to_noise = torch.bmm(far.transpose(1, 2), grouped)

    margin = (len(blocks.words) - grouped.shape[0] * grouped.shape[1]) // 2
    center_ids = blocks.words[margin : len(blocks.words) - margin]
    for table, ids, gradient in (
        (vectors.center, center_ids, to_centers),
        (vectors.context, blocks.words, to_neighbors),
        (vectors.context, blocks.noise.flatten(), to_noise),
    ):
        rows = gradient.reshape(len(ids), -1).to(table.dtype)
        table.index_add_(0, ids, rows, alpha=-rate)


def train_in_blocks(
    vectors: WordVectors,
    stream: TokenStream,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    layout: Layout | None = None,
    products: torch.dtype | None = None,
) -> Iterator[EpochReport]:
    """The same objective as `train_on_pairs`, epoch by epoch.

    Sentences come in another order in each epoch: a step holds many topics.

    Args:
        vectors: [V, d] both, changed in place.
        stream: the corpus, every word of it at least once.
        recipe: what to do.
        generator: on any device.
        layout: None is that of `fitting_layout`.
        products: see `step_on_blocks`.
    Raises:
        ValueError: if the tables do not fit, or the corpus lacks a word.
        FloatingPointError: if a vector is not finite at the end of an epoch.
    """
    counts = require_trainable(vectors, stream, len(vectors.center))
    layout = layout or fitting_layout(counts, recipe)
    keep = keep_probabilities(counts, recipe.threshold, "word2vec")
    noise = AliasSampler(noise_distribution(counts, recipe.power))
    for epoch in range(recipe.epochs):
        kept = shuffle_sentences(subsample(stream, keep, generator), generator)
        steps = -(-len(kept.ids) // layout.step)
        passing = blocks_of(kept, recipe, layout, noise, generator)
        for number, blocks in enumerate(passing):
            rate = rate_at(recipe, (epoch + number / steps) / recipe.epochs)
            step_on_blocks(vectors, blocks, rate, products=products)
        require_converging(vectors, epoch + 1, rate)
        yield EpochReport(epoch + 1, len(kept.ids))


# ------------------------------------------------------------------------------------- small parts


def _band_patterns(tokens: int, window: int, device: torch.device) -> Tensor:
    """All rows that a band can have, [b · (c + 1)², b + 2c]: place, left, right reach."""
    place = torch.arange(tokens, device=device)[:, None, None, None]
    reach = torch.arange(window + 1, device=device)
    left, right = reach[:, None, None], reach[:, None]
    column = torch.arange(tokens + 2 * window, device=device) - window
    offset = column - place  # of a neighbor from the center
    inside = (offset >= -left) & (offset <= right) & (offset != 0)
    return inside.float().flatten(0, 2)


def _read(
    vectors: WordVectors, blocks: Blocks, products: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of centers [m, b, d], neighbors [m, b + 2c, d] and noise [groups, K, d].

    Neighbors of two blocks overlap: they are a view of vectors that were read once.
    """
    count, tokens, span = blocks.band.shape
    c, d = (span - tokens) // 2, vectors.center.shape[1]
    centers = vectors.center.index_select(0, blocks.words[c : len(blocks.words) - c])
    around = vectors.context.index_select(0, blocks.words)
    noise = vectors.context.index_select(0, blocks.noise.flatten())
    if products is not None:
        centers, around = centers.to(products), around.to(products)
        noise = noise.to(products)
    neighbors = around.as_strided((count, span, d), (tokens * d, d, 1))
    return centers.view(count, tokens, d), neighbors, noise.view(*blocks.noise.shape, d)


def _fold(gradients: Tensor, rows: int) -> Tensor:
    """Add up what overlapping blocks say about the same neighbor: [m, b + 2c, d] → [n + 2c, d]."""
    count, span, d = gradients.shape
    tokens = (rows - span) // max(count - 1, 1) or span
    total = gradients.new_zeros(rows, d)
    for begin in range(0, span, tokens):
        part = gradients[:, begin : begin + tokens]
        shape, strides = part.shape, (tokens * d, d, 1)
        total.as_strided(shape, strides, begin * d).add_(part)
    return total
