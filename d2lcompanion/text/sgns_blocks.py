"""Skip-gram with negative sampling as products of matrices, for speed.

A block is b tokens in a row. It is scored with all of its neighbors and with K noise
words of its own in one product, [b, d] × [d, b + 2c + K]. Its pairs are a band around
the diagonal; what lies outside of the windows has weight 0. That is computed for nothing,
and it is still faster than reading two vectors for every pair, because each vector that
is read is used many times.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from d2lcompanion.text.block_layout import Layout, fitting_layout
from d2lcompanion.text.checks import require_at_least
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.sgns import (
    EpochReport,
    Recipe,
    WordVectors,
    rate_at,
    require_converging,
    require_trainable,
)
from d2lcompanion.text.skip_gram_data import keep_probabilities, subsample
from d2lcompanion.text.skip_gram_pairs import reduced_windows, window_reach
from d2lcompanion.text.token_stream import TokenStream, shuffle_sentences


class Blocks(NamedTuple):
    """What one step sees: m blocks of b center words in their order.

    Attributes:
        centers: [m, b], ids.
        words: [m, b + 2c + K], ids of what each block is scored with: its tokens with c
            neighbors at either end, then its noise words.
        weight: [m, b, b + 2c + K]: 1 where a neighbor is in the window of the center,
            else 0; for noise the pairs of the center times k/K.
        shared: K.
    """

    centers: Tensor
    words: Tensor
    weight: Tensor
    shared: int

    @property
    def band(self) -> Tensor:
        """Where the pairs are, [m, b, b + 2c]: 1 or 0."""
        return self.weight[:, :, : -self.shared]

    @property
    def noise(self) -> Tensor:
        """The noise words of each block, [m, K], ids."""
        return self.words[:, -self.shared :]


class BlockSteps(Sequence[Blocks]):
    """One pass over subsampled tokens in their order, cut into steps.

    Windows and noise are drawn at once, for the whole pass; weights are looked up when
    a step is asked for.
    """

    def __init__(
        self,
        stream: TokenStream,
        recipe: Recipe,
        layout: Layout,
        noise: AliasSampler,
        generator: torch.Generator,
    ) -> None:
        """Draw windows and noise.

        Args:
            stream: n ≥ 1 tokens; the last step is filled up with tokens without a window.
            noise: draws noise words.
            generator: on any device.
        """
        c, b, device = recipe.window, layout.tokens, stream.ids.device
        widths = reduced_windows(len(stream.ids), c, generator).to(device)
        left, right = window_reach(stream, widths)
        missing = -len(stream.ids) % layout.step
        ids = pad(stream.ids, (c, c + missing))
        around = ids.unfold(0, b + 2 * c, b)
        drawn = noise.sample((len(around), layout.shared), generator)
        self.centers = ids[c : len(ids) - c].view(-1, layout.blocks, b)
        self.words = torch.cat([around, drawn], 1).view(
            -1, layout.blocks, b + 2 * c + layout.shared
        )
        # A row of weights depends on the place in the block and on the reach alone.
        self.patterns = _weight_patterns(recipe, layout, device)
        row = pad(left * (c + 1) + right, (0, missing)).view(-1, b)
        row = row + torch.arange(b, device=device) * (c + 1) ** 2
        self.row = row.view(-1, layout.blocks * b)
        self.shared = layout.shared

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, number: int) -> Blocks:  # type: ignore[override]
        centers, words = self.centers[number], self.words[number]
        weight = self.patterns.index_select(0, self.row[number])
        return Blocks(centers, words, weight.view(*centers.shape, -1), self.shared)


def block_loss(vectors: WordVectors, blocks: Blocks) -> Tensor:
    """Σ over pairs −log σ(u_o·v_c), and −log σ(−u_n·v_c) of noise, k/K times a pair.

    With K = k it is the loss of `train_on_pairs` in which all pairs of a block have the
    same negatives; its expectation over the noise is that of independent ones.

    Returns:
        the sum, [].
    """
    centers, words = _read(vectors, blocks)
    near, far = torch.bmm(centers, words.mT).tensor_split([-blocks.shared], dim=2)
    losses = torch.cat([-logsigmoid(near), -logsigmoid(-far)], 2)
    return (blocks.weight * losses).sum()


def step_on_blocks(
    vectors: WordVectors,
    blocks: Blocks,
    rate: float,
    *,
    products: torch.dtype | None = None,
) -> None:
    """One step of gradient descent on `block_loss`, its gradient written out.

    With the labels y, 1 for neighbors and 0 for noise, and the weights w of the scores,
    g = w (σ(s) − y): ∂ℓ/∂v = g u and ∂ℓ/∂u = gᵀ v.

    Args:
        vectors: [V, d] both, changed in place.
        blocks: of one step.
        rate: η ≥ 0.
        products: the type of the matrix products, as bfloat16 on a GPU; None is that of
            the vectors. What is added to them has theirs.
    """
    centers, words = _read(vectors, blocks, products)
    errors = torch.bmm(centers, words.mT).sigmoid_()
    errors[:, :, : -blocks.shared].sub_(1)
    errors.mul_(blocks.weight)
    for table, ids, gradient in (
        (vectors.center, blocks.centers, torch.bmm(errors, words)),
        (vectors.context, blocks.words, torch.bmm(errors.mT, centers)),
    ):
        rows = gradient.view(ids.numel(), -1).to(table.dtype)
        table.index_add_(0, ids.reshape(-1), rows, alpha=-rate)


def train_in_blocks(
    vectors: WordVectors,
    stream: TokenStream,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    layout: Layout | None = None,
    products: torch.dtype | None = None,
    workers: int = 1,
) -> Iterator[EpochReport]:
    """The same objective as `train_on_pairs`, epoch by epoch.

    Sentences come in another order in each epoch: a step holds many topics.

    Args:
        vectors: [V, d] both, changed in place.
        stream: the corpus, every word of it at least once.
        recipe: what to do.
        generator: on any device.
        layout: None is that of `fitting_layout`, for the rate times workers.
        products: see `step_on_blocks`.
        workers: threads ≥ 1 that take turns at the steps and change the tables without
            waiting for each other, as word2vec's C program and gensim do. With one, a
            seed fixes the result; with several, chance has a part in it. Each should
            have one of PyTorch's threads (`torch.set_num_threads(1)`).
    Raises:
        ValueError: if the tables do not fit, the corpus lacks a word, or workers < 1.
        FloatingPointError: if a vector has exploded at the end of an epoch.
    Source:
        Recht, Ré, Wright & Niu (2011) on updates without locks.
    """
    require_at_least("workers", workers, 1)
    counts = require_trainable(vectors, stream, len(vectors.center))
    # At worst all workers step from the same point.
    together = replace(recipe, rate=min(recipe.rate * workers, 1.0))
    layout = layout or fitting_layout(counts, together)
    keep = keep_probabilities(counts, recipe.threshold, "word2vec")
    noise = AliasSampler(noise_distribution(counts, recipe.power))
    for epoch in range(recipe.epochs):
        kept = shuffle_sentences(subsample(stream, keep, generator), generator)
        steps = BlockSteps(kept, recipe, layout, noise, generator)

        def take_turns(
            first: int, epoch: int = epoch, steps: BlockSteps = steps
        ) -> None:
            with torch.inference_mode():
                for number in range(first, len(steps), workers):
                    rate = rate_at(
                        recipe, (epoch + number / len(steps)) / recipe.epochs
                    )
                    step_on_blocks(vectors, steps[number], rate, products=products)

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(take_turns, range(workers)))
        last = rate_at(recipe, (epoch + 1 - 1 / len(steps)) / recipe.epochs)
        require_converging(vectors, epoch + 1, last)
        yield EpochReport(epoch + 1, len(kept.ids))


# ------------------------------------------------------------------------------------- small parts


def _weight_patterns(recipe: Recipe, layout: Layout, device: torch.device) -> Tensor:
    """All rows that weights can have, [b · (c + 1)², b + 2c + K]: place, left, right reach."""
    c, b = recipe.window, layout.tokens
    place = torch.arange(b, device=device)[:, None, None, None]
    reach = torch.arange(c + 1, device=device)
    left, right = reach[:, None, None], reach[:, None]
    offset = torch.arange(b + 2 * c, device=device) - c - place  # of a neighbor
    band = ((offset >= -left) & (offset <= right) & (offset != 0)).float()
    times = (left + right) * (recipe.negatives / layout.shared)
    far = times.expand(b, c + 1, c + 1, layout.shared)
    return torch.cat([band, far], 3).flatten(0, 2)


def _read(
    vectors: WordVectors, blocks: Blocks, products: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """Vectors of the centers, [m, b, d], and of the words, [m, b + 2c + K, d]."""
    d = vectors.center.shape[1]
    # Of one vector of ids index_select is faster than [ids].
    centers = vectors.center.index_select(0, blocks.centers.reshape(-1))
    words = vectors.context.index_select(0, blocks.words.reshape(-1))
    if products is not None:
        centers, words = centers.to(products), words.to(products)
    return centers.view(*blocks.centers.shape, d), words.view(*blocks.words.shape, d)
