"""Skip-gram with negative sampling over subwords: how fastText's table is learned.

A step takes a stretch of the text in blocks. Each block is one small matrix product of
its centers with the words around it; which of those are in a window is a mask. The
negatives are drawn once a block and shared by its centers.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from d2lcompanion.text.checks import require_at_least
from d2lcompanion.text.fasttext import FastText, NGrams, Rows
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.vocab import Vocab

Track: TypeAlias = Callable[[range, str], Iterable[int]]


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        dimension: of the vectors, ≥ 1.
        window: the most words to each side; every center draws its own in 1 … window.
        negatives: k, what each pair weighs them by.
        epochs: passes over the text.
        lr: the first rate; it falls on a line to 0.
        sample: words of a larger share of the text are thinned out; 0 keeps all.
        block: tokens that share negatives.
        blocks: blocks a step.
        shared: negatives drawn a block.
    Raises:
        ValueError: if a number is out of range.
    """

    dimension: int = 100
    window: int = 5
    negatives: int = 5
    epochs: int = 5
    lr: float = 0.05
    sample: float = 1e-3
    block: int = 32
    blocks: int = 16
    shared: int = 32

    def __post_init__(self) -> None:
        whole = ("dimension", "window", "negatives", "epochs", "block", "blocks")
        for name in (*whole, "shared"):
            require_at_least(name, getattr(self, name), 1)
        if not self.lr > 0 or not self.sample >= 0:
            raise ValueError(
                f"lr must be > 0 and sample ≥ 0, got {self.lr}, {self.sample}"
            )


def train(
    sentences: Iterable[Iterable[str]],
    vocab: Vocab,
    ngrams: NGrams,
    plan: Plan,
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
    track: Track | None = None,
) -> FastText:
    """Learn word and n-gram vectors from text; words outside the vocabulary are skipped.

    Args:
        sentences: of words; windows do not cross their ends.
        vocab: without `<unk>`, every count ≥ 1, V ≥ 2.
        generator: on the CPU.
        track: wraps the loop over epochs.
    Raises:
        ValueError: if fewer than two words of the text are known.
        FloatingPointError: if an epoch ends with vectors that are not finite. A step sums
            the gradients of all its pairs; words that are very frequent in it need a
            smaller step: fewer blocks, or a lower rate.
    Source:
        Bojanowski, Grave, Joulin & Mikolov (2017), §3–4.
    """
    ids, sentence = _stream(sentences, vocab)
    rows = len(vocab) + ngrams.checked().buckets
    start = torch.rand(rows, plan.dimension, generator=generator) * 2 - 1
    model = FastText(vocab, start.div_(plan.dimension).to(device), ngrams)
    context = torch.zeros(len(vocab), plan.dimension, device=device)
    sampler = AliasSampler(noise_distribution(vocab.counts.to(device)))
    keep = keep_probability(vocab.counts, plan.sample)
    epochs = range(plan.epochs)
    for epoch in track(epochs, "epochs") if track else epochs:
        kept = torch.rand(len(ids), generator=generator) < keep[ids]
        text = cut(ids[kept], sentence[kept], plan, generator)
        order = torch.randperm(len(text.centers), generator=generator)
        for step, chosen in enumerate(order.split(plan.blocks)):  # type: ignore[no-untyped-call]
            here = Blocks(*(part[chosen].to(device) for part in text))
            drawn = sampler.sample((len(chosen), plan.shared), generator)
            done = (epoch + step * plan.blocks / len(order)) / plan.epochs
            update(
                model.table,
                context,
                model.rows,
                here,
                drawn,
                negatives=plan.negatives,
                lr=plan.lr * (1 - done),
            )
        if not bool(context.isfinite().all()):
            raise FloatingPointError(
                f"vectors are not finite after epoch {epoch + 1}, with {plan.blocks} "
                f"blocks of {plan.block} a step and lr {plan.lr}: make either smaller"
            )
    return model


def keep_probability(counts: Tensor, sample: float) -> Tensor:
    """√(t/f) + t/f, at most 1, f being a word's share of the text: word2vec's C program.

    Args:
        counts: [V], ≥ 1.
        sample: t; 0 keeps everything.
    Returns:
        [V], float64.
    """
    share = counts.double() / counts.sum()
    if sample == 0:
        return torch.ones_like(share)
    return ((sample / share).sqrt() + sample / share).clamp(max=1)


# ---------------------------------------------------------------------------- blocks of text


class Blocks(NamedTuple):
    """n blocks of b tokens, each with w more to either side; J = b + 2w."""

    centers: Tensor  # [n, b], ids
    around: Tensor  # [n, J], ids; 0 beyond the ends of the text
    in_window: Tensor  # [n, b, J], whether around[j] is in the window of center i


def cut(
    ids: Tensor, sentence: Tensor, plan: Plan, generator: torch.Generator
) -> Blocks:
    """Cut a text into blocks; every center draws the size of its window in 1 … w.

    Args:
        ids: [N], the words that are kept.
        sentence: [N], a number for each; windows stay in one sentence.
    Returns:
        ⌈N/b⌉ blocks; centers that fill the last one have empty windows.
    """
    w, b = plan.window, plan.block
    blocks = -(-len(ids) // b)
    fill = (w, w + blocks * b - len(ids))
    reach = torch.randint(1, w + 1, ids.shape, generator=generator).to(ids.device)
    reach = pad(reach, (0, fill[1] - w)).view(blocks, b, 1)
    around = pad(ids, fill).unfold(0, b + 2 * w, b)
    place = pad(sentence, fill, value=-1).unfold(0, b + 2 * w, b)
    here = torch.arange(b, device=ids.device)[:, None]
    steps = torch.arange(b + 2 * w, device=ids.device) - w - here  # from i to j
    near = (steps != 0) & (steps.abs() <= reach)
    same = place[:, None] == place[:, w : w + b, None]
    return Blocks(around[:, w : w + b], around, near & same & (reach > 0))


def _stream(sentences: Iterable[Iterable[str]], vocab: Vocab) -> tuple[Tensor, Tensor]:
    """The known words of all sentences in one row, and the number of each one's sentence."""
    known = {word: number for number, word in enumerate(vocab.tokens)}
    texts = [[known[w] for w in words if w in known] for words in sentences]
    ids = torch.tensor([number for text in texts for number in text])
    if len(ids) < 2:
        raise ValueError(f"two words of the text must be known, got {len(ids)}")
    lengths = torch.tensor([len(text) for text in texts])
    return ids, torch.arange(len(texts)).repeat_interleave(lengths)


# ---------------------------------------------------------------------------- one step


def update(
    table: Tensor,
    context: Tensor,
    rows: Rows,
    blocks: Blocks,
    drawn: Tensor,
    *,
    negatives: int,
    lr: float,
) -> None:
    """One step of gradient descent on both tables, in place.

    With h the mean of a center's rows, the loss is the sum over its window of
    −log σ(u_o·h), plus k/K for each word of the window and each of the K shared
    negatives n of −log σ(−u_n·h). Every row of a word gets the whole gradient of h, as
    in fastText, not its n-th part: h then moves as far as a single vector would.

    Args:
        table: [V + B, d]; context: [V, d].
        rows: of the V words.
        drawn: [n, K], ids.
        negatives: k.
        lr: of the sum over the step.
    """
    words, which = torch.unique(blocks.centers, return_inverse=True)
    mine = rows.of(words)
    h = embedding_bag(mine.rows, table, mine.starts, mode="mean")[which]  # [n, b, d]
    near, noise = context[blocks.around], context[drawn]
    pull = (torch.sigmoid(h @ near.mT) - 1) * blocks.in_window
    share = blocks.in_window.sum(2, keepdim=True) * (negatives / drawn.shape[1])
    push = torch.sigmoid(h @ noise.mT) * share
    gradient = pull @ near + push @ noise  # of h, [n, b, d]

    _subtract(context, blocks.around.flatten(), lr * (pull.mT @ h).flatten(0, 1))
    _subtract(context, drawn.flatten(), lr * (push.mT @ h).flatten(0, 1))
    sums = gradient.new_zeros(words.shape[0], table.shape[1])
    _subtract(sums, which.flatten(), -lr * gradient.flatten(0, 1))
    _subtract(table, mine.rows, sums.repeat_interleave(mine.lengths, 0))


def _subtract(table: Tensor, rows: Tensor, change: Tensor) -> None:
    """table[rows] −= change, repeated rows repeatedly; faster than `index_add_`."""
    table.scatter_add_(0, rows[:, None].expand_as(change), change.neg_())
