"""BERT: seconds of a training step, and of data preparation, against d2l and transformers.

    python benchmarks/bert.py [--rounds 7] [--threads 2] [--part step|data|both]

Step: 2 layers, 128 wide, 2 heads, 256 inside, 10,000 pieces, 64 rows of 64 tokens, 10 of
each row hidden, dropout .1; forward, both losses, backward, update. The rows are the same
for all. d2l 1.0.3 as its chapter trains (Adam); `BertForPreTraining` of transformers with
its default attention (scaled dot product) and AdamW, fused as its Trainer has it; ours with
the head at hidden words only and fused AdamW, in float32 as the others and once more as
`--precision bf16` has it: weights float32, products bfloat16. No compiler.

Data: the articles of the Wikipedia extract as rows of 64 tokens with pairs, masks, segments
and padding. d2l's functions make all rows of its book's format once; ours draw an epoch and
make its rows in batches of 256, as they do anew for each epoch. "with cutting" adds the cutting of the text into pieces,
which d2l has not to do: it takes words. Microseconds a row.

All sides run in turn in one process, the order alternates from round to round.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from d2l import torch as d2l
from torch import nn
from transformers import BertConfig as TheirConfig
from transformers import BertForPreTraining

from d2lcompanion.experiments.bert_feed import Recipe, make_optimizer
from d2lcompanion.experiments.bert_text import articles
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_data import Batch, assemble, draw_pairs
from d2lcompanion.text.bert_documents import SpecialIds, encode_documents
from d2lcompanion.text.bert_heads import BertForPretraining
from d2lcompanion.text.bert_loss import mask_batch, masked_step, pretraining_loss
from d2lcompanion.text.masking import IGNORE, Masked, ordinary_ids
from d2lcompanion.text.wordpiece import WordPiece, normalize, words
from d2lcompanion.text.wordpiece_training import count_words, train_wordpiece

ROWS, LENGTH, HIDDEN, PIECES = 64, 64, 10, 10_000
BATCH = 256  # rows that ours prepares at a time, as training does
WIDTH, HEADS, INNER, LAYERS, DROPOUT = 128, 2, 256, 2, 0.1
Side = Callable[[], object]


def step_sides() -> dict[str, Side]:
    """A training step of each, on the same rows."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, PIECES, (ROWS, LENGTH), generator=generator)
    segments = (torch.arange(LENGTH) >= LENGTH // 2).long().expand(ROWS, LENGTH)
    valid = torch.ones(ROWS, LENGTH, dtype=torch.bool)
    positions = torch.rand(ROWS, LENGTH, generator=generator).argsort(1)[:, :HIDDEN].sort(1)[0]
    chosen = torch.zeros_like(valid).scatter(1, positions, True)
    seen = ids.masked_fill(chosen, 4)
    label = torch.arange(ROWS) % 2
    word = torch.arange(LENGTH).expand(ROWS, LENGTH)
    targets = ids.where(chosen, IGNORE)

    config = BertConfig(PIECES, WIDTH, LAYERS, HEADS, INNER, LENGTH, dropout=DROPOUT)
    ours = BertForPretraining(config, generator)
    optimizer = make_optimizer(ours, Recipe())
    batch, masked = Batch(seen, segments, valid, word, label), Masked(seen, targets)

    def our_step(*, half: bool = False) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            sums = masked_step(ours, batch, masked, count=False)
            loss = pretraining_loss(sums, sums.hidden, sums.rows)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.manual_seed(0)
    theirs = BertForPreTraining(
        TheirConfig(
            vocab_size=PIECES,
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=INNER,
            max_position_embeddings=LENGTH,
            hidden_dropout_prob=DROPOUT,
            attention_probs_dropout_prob=DROPOUT,
        )
    ).train()
    their_optimizer = torch.optim.AdamW(theirs.parameters(), 1e-4, fused=True)

    def their_step() -> None:
        theirs(
            input_ids=seen,
            token_type_ids=segments,
            attention_mask=valid.long(),
            labels=targets,
            next_sentence_label=label,
        ).loss.backward()
        their_optimizer.step()
        their_optimizer.zero_grad()

    book = d2l.BERTModel(PIECES, WIDTH, INNER, HEADS, LAYERS, DROPOUT, max_len=LENGTH)
    loss = nn.CrossEntropyLoss()
    answers = ids.gather(1, positions)
    weights, lengths = torch.ones(ROWS, HIDDEN), torch.full((ROWS,), float(LENGTH))
    book(seen, segments, lengths, positions)  # its layers get their sizes here
    book_optimizer = torch.optim.Adam(book.parameters(), 1e-4)

    def book_step() -> None:
        book_optimizer.zero_grad()
        arguments = (seen, segments, lengths, positions, weights, answers, label)
        d2l._get_batch_loss_bert(book, loss, PIECES, *arguments)[2].backward()
        book_optimizer.step()

    return {
        "ours": our_step,
        "ours, bf16": partial(our_step, half=True),
        "d2l": book_step,
        "transformers": their_step,
    }


def data_sides() -> tuple[dict[str, Side], dict[str, int]]:
    """Rows out of the Wikipedia extract, and how many each makes."""
    documents = articles()[0]
    split = [[words(normalize(s)) for s in document] for document in documents]
    vocab = d2l.Vocab(
        [s for document in split for s in document],
        min_freq=5,
        reserved_tokens=["<pad>", "<mask>", "<cls>", "<sep>"],
    )
    pieces = train_wordpiece(count_words(s for d in documents for s in d), 4096, min_sign=20)
    tokenizer, special = WordPiece(pieces), SpecialIds.of(pieces)
    others = ordinary_ids(len(pieces), special)
    encoded = encode_documents(documents, tokenizer)
    generator = torch.Generator().manual_seed(0)
    rows = {"d2l": 0, "ours": 0}

    def book() -> None:
        random.seed(0)
        examples = [
            example
            for document in split
            for example in d2l._get_nsp_data_from_paragraph(document, split, vocab, LENGTH)
        ]
        made = [
            (*d2l._get_mlm_data_from_tokens(tokens, vocab), segments, follows)
            for tokens, segments, follows in examples
        ]
        d2l._pad_bert_inputs(made, LENGTH, vocab)
        rows["d2l"] = len(made)

    def ours() -> None:
        pairs = draw_pairs(encoded, LENGTH, generator)
        for start in range(0, len(pairs.label), BATCH):
            some = pairs.rows(slice(start, start + BATCH))
            batch = assemble(encoded, some, LENGTH, special)
            mask_batch(batch, special, others, generator)
        rows["ours"] = rows["ours with cutting"] = len(pairs.label)

    def with_cutting() -> None:
        encode_documents(documents, WordPiece(pieces))
        ours()

    return {"ours": ours, "ours with cutting": with_cutting, "d2l": book}, rows


def race(sides: dict[str, Side], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side in each round, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        order = list(sides) if number % 2 else list(sides)[::-1]
        for name in order:
            start = time.perf_counter()
            sides[name]()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(title: str, over: list[float], under: list[float]) -> None:
    found = [a / b for a, b in zip(over, under, strict=True)]
    print(f"{title}: median {statistics.median(found):.3g}, {min(found):.3g}–{max(found):.3g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part", choices=("step", "data", "both"), default="both")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.part != "data":
        seconds = race(step_sides(), chosen.rounds)
        for name, found in seconds.items():
            print(f"step, {name}: median {1000 * statistics.median(found):.0f} ms")
        for side in ("ours", "ours, bf16"):
            for peer in ("d2l", "transformers"):
                ratio(f"step, {side} / {peer}", seconds[side], seconds[peer])
    if chosen.part != "step":
        sides, rows = data_sides()
        seconds = race(sides, chosen.rounds)
        a_row = {name: [s / rows[name] for s in found] for name, found in seconds.items()}
        for name, found in a_row.items():
            median = 1e6 * statistics.median(found)
            print(f"data, {name}: {rows[name]:,} rows, {median:.1f} µs a row")
        for name in ("ours", "ours with cutting"):
            ratio(f"data, d2l / {name}", a_row["d2l"], a_row[name])


if __name__ == "__main__":
    main()
