"""What BERT takes a hidden piece for, while it is trained: the run of `bert`, asked on the way.

Text, first weights, rows and masks are those of `bert` with the same preset and seed, and
asking draws no random numbers: the losses are the same, bit for bit. At some of the looks
at the held-out rows each piece of a few short sentences is hidden in turn.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.bert import build, describe, load_task
from d2lcompanion.experiments.bert_presets import PRESETS, Preset
from d2lcompanion.experiments.bert_pretraining import train
from d2lcompanion.experiments.bert_text import Task
from d2lcompanion.experiments.guess_sentences import Sentence, sentences_of
from d2lcompanion.text.bert_heads import BertForPretraining
from d2lcompanion.text.entropy import unigram_loss
from d2lcompanion.text.hidden_pieces import Guesses, best_guesses, hidden_one_by_one
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text

GROWTH = 1.5  # a step is asked for if it is at least so many times the last one
DIGITS = 4  # of a probability in the results


class Answers(NamedTuple):
    """One look at all sentences.

    Attributes:
        step: taken so far.
        shares: for each sentence [T, V], as `hidden_one_by_one` gives them.
        guesses: for each sentence.
    """

    step: int
    shares: list[Tensor]
    guesses: list[Guesses]


def steps_asked(steps: int, evaluations: int) -> list[int]:
    """Of the looks of a run: before, the first, each at least 1.5 times as late, the last."""
    looks = sorted({round(n * steps / evaluations) for n in range(evaluations + 1)})
    asked = looks[:2]
    for step in looks[2:]:
        if step >= GROWTH * asked[-1] or step == steps:
            asked.append(step)
    return asked


def ask(
    model: BertForPretraining, task: Task, sentences: list[Sentence], step: int
) -> Answers:
    """Hide every piece of every sentence, one at a time."""
    device = model.word_bias.device
    shares = [
        hidden_one_by_one(model, sentence.ids.to(device), task.special).cpu()
        for sentence in sentences
    ]
    found = [
        best_guesses(p, sentence.ids)
        for p, sentence in zip(shares, sentences, strict=True)
    ]
    return Answers(step, shares, found)


def summarize(answers: Answers, counts: Tensor) -> dict[str, float]:
    """All places of all sentences together.

    Args:
        answers: one look.
        counts: [V], of the pieces of the training part.
    Returns:
        loss: mean −ln p(true piece), nats.
        rank: its median rank; right: share of places where it is 1.
        apart: mean total-variation distance ½ Σ|p − q| between the answers of two places:
            0 if all are the same, 1 if no two have anything in common.
        from_counts: the same to the shares of the pieces in training.
    """
    p = torch.cat(answers.shares).double()
    share = torch.cat([each.share for each in answers.guesses]).double()
    rank = torch.cat([each.rank for each in answers.guesses]).double()
    known = (counts / counts.sum()).double()
    return {
        "loss": float(-share.log().mean()),
        "rank": float(rank.quantile(0.5)),
        "right": float((rank == 1).double().mean()),
        "apart": float(torch.nn.functional.pdist(p, 1).mean() / 2),
        "from_counts": float((p - known).abs().sum(1).mean() / 2),
    }


def written(guesses: Guesses, pieces: tuple[str, ...]) -> list[dict[str, Any]]:
    """Guesses of a sentence, a dictionary a place: pieces as a line, and numbers."""
    return [
        {
            "pieces": " ".join(pieces[n] for n in ids),
            "shares": [_short(p) for p in shares],
            "share": _short(share),
            "rank": rank,
        }
        for ids, shares, share, rank in zip(
            *(part.tolist() for part in guesses), strict=True
        )
    ]


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Pretrain, and ask on the way.

    Returns:
        sentences: pieces, as a line, and source; counted: as there; asked: the steps;
        summary: as in `summarize`, a list a key, an entry a step; last: the last entries;
        guesses: as in `written`, step by step, sentence by sentence; and what
        `bert.describe` gives.
    Raises:
        ValueError: if a checkpoint is asked for: it does not hold the answers.
    """
    if preset.checkpoint:
        raise ValueError(f"checkpoint must be empty here, got {preset.checkpoint!r}")
    task = load_task(preset, context.settings.seed)
    model = build(preset, task, context.generator)
    sentences, pieces = sentences_of(task), task.tokenizer.pieces
    asked = steps_asked(preset.steps, preset.evaluations)
    found: list[Answers] = []

    def look(step: int) -> None:
        if step in asked:
            with context.autocast():
                found.append(ask(model, task, sentences, step))

    history = train(
        model,
        task,
        preset.recipe,
        context,
        evaluations=preset.evaluations,
        on_look=look,
    )
    told = [summarize(answers, task.counts) for answers in found]
    return {
        "sentences": [
            {"pieces": " ".join(pieces[n] for n in ids.tolist()), "source": source}
            for ids, source in sentences
        ],
        "counted": counted(task, sentences),
        "asked": asked,
        "summary": {key: [each[key] for each in told] for key in told[0]},
        "last": told[-1],
        "guesses": [[written(g, pieces) for g in each.guesses] for each in found],
        **describe(history),
    }


def counted(task: Task, sentences: list[Sentence]) -> dict[str, Any]:
    """What counting says, whatever the sentence: a loss, and the most frequent pieces.

    Returns:
        loss: the unigram loss of all places, nats; pieces, shares: the most frequent of
            the training part, as in `written`.
    """
    places = torch.cat([sentence.ids for sentence in sentences])
    size = len(task.counts)
    best = best_guesses((task.counts / task.counts.sum())[None], places[:1])
    found = written(best, task.tokenizer.pieces)[0]
    return {
        "loss": float(
            unigram_loss(task.counts, torch.bincount(places, minlength=size))
        ),
        "pieces": found["pieces"],
        "shares": found["shares"],
    }


def _short(share: float) -> float:
    return float(f"{share:.{DIGITS}g}")


EXPERIMENT = Experiment(
    name="bert-guesses",
    title=Text(
        "What BERT takes a hidden piece for, from the first step to the last",
        "BERT 把藏起来的子词猜成什么：从第一步到最后一步",
    ),
    chapter="text/bert",
    presets=PRESETS,
    notes={
        "ci": "the 60 steps of bert, asked six times: seconds",
        "laptop": "the 3,600 steps of bert, asked eight times: a quarter of an hour of one core",
        "gpu": "the 100,000 steps of bert on WikiText-103; --devices N and bf16",
    },
    run=run,
    columns=(
        Column("words", Text("loss of hidden pieces", "掩码损失"), ".3f"),
        Column("last.loss", Text("loss on the sentences", "这些句子上的损失"), ".3f"),
        Column("last.rank", Text("median rank", "名次的中位数"), ".0f"),
        Column("last.right", Text("first guess right", "首选猜中率"), ".3f"),
        Column("last.apart", Text("answers apart", "各处回答的距离"), ".3f"),
    ),
)
