"""Examples of the four task shapes, all from the Wikipedia extract, in five blocks of articles.

A block is tested on articles that training has not seen. The examples are the same for
all seeds, so that an encoder that is not trained reads them once.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.questions import load_questions
from d2lcompanion.data.wikipedia import WORD, load_wikipedia, words_of
from d2lcompanion.experiments.bert_text import split_prose
from d2lcompanion.experiments.few_label_task import cut
from d2lcompanion.experiments.word_senses import pretrained
from d2lcompanion.text.task_rows import Rows, encode_words, join_rows, tag_targets

BLOCKS = 5
TOPICS = {
    "people": "Abraham Lincoln|Aristotle|Ayn Rand|Andre Agassi|Aldous Huxley|Albert Einstein|"
    "Arthur Schopenhauer|Andrei Tarkovsky|Albert Sidney Johnston|Achilles",
    "places": "Alabama|Algeria|Andorra|Alaska|Asia|Aruba|Angola|Alberta|Afghanistan|Albania|"
    "Azerbaijan|Atlantic Ocean",
    "science": "Albedo|Analysis of variance|Alkane|Alkali metal|Acid|Algorithm|Amphibian|Algae|"
    "Anatomy|Atomic number|Autism|Aardvark",
    "culture": "Anarchism|Altruism|Academy Awards|Art|Aikido|Alphabet|Animation|Animal Farm|"
    "Articles of Confederation|Abortion|Allah|Alchemy",
}  # fmt: skip
TAGS = ("plain", "name", "start")  # capital inside a sentence; first word of one
NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-z]+(?: [A-Z][a-z]+)*|\d[\d,]*\d)(?![\w-])")
PASSAGE = (25, 60)  # words


class Sizes(NamedTuple):
    """How many examples: paragraphs of a topic, windows of text, pairs, questions with a gap.

    `words` of a paragraph, a window and each text of a pair are kept.
    """

    paragraphs: int
    windows: int
    pairs: int
    cloze: int
    words: int


class Examples(NamedTuple):
    """Of one shape.

    Attributes:
        rows: [N, T].
        targets: [N] classes, [N, T] tags, or [N, 2] first and last token.
        block: [N], int64, of the article.
        tested: [N], bool; cloze questions are for training only.
        texts: what a row was made of, for rules without an encoder: one or two texts, or
            words.
    """

    rows: Rows
    targets: Tensor
    block: Tensor
    tested: Tensor
    texts: tuple[tuple[str, ...], ...]


@functools.cache
def blocks() -> Tensor:
    """The block of each article, [articles]; each topic has articles in every block."""
    titles = load_wikipedia().titles
    order = torch.randperm(len(titles), generator=_seeded()).tolist()
    topic = {t: k for k, names in enumerate(TOPICS.values()) for t in names.split("|")}
    order.sort(key=lambda n: topic.get(titles[n], len(TOPICS)))
    found = torch.empty(len(titles), dtype=torch.long)
    found[order] = torch.arange(len(titles)) % BLOCKS
    return found


def topic_examples(sizes: Sizes) -> Examples:
    """A paragraph → what its article is about; another article may be about the same."""
    data = load_wikipedia()
    places, labels = [], []
    for label, names in enumerate(TOPICS.values()):
        articles = [data.titles.index(title) for title in names.split("|")]
        own = torch.isin(data.article, torch.tensor(articles)).nonzero()[:, 0]
        places += _some(own, sizes.paragraphs).tolist()
        labels += [label] * sizes.paragraphs
    texts = [cut(data.texts[n], set(), sizes.words) for n in places]
    ids = [pretrained().tokenizer.encode(text) for text in texts]
    return _examples(ids, None, torch.tensor(labels), places, [(t,) for t in texts])


def tag_examples(sizes: Sizes) -> Examples:
    """Words in lower case and nothing else → which one had a capital, and why."""
    data = load_wikipedia()
    generator = _seeded()
    words, tags, places = [], [], []
    for n in torch.randperm(len(data.texts), generator=generator).tolist():
        said = list(tagged_words(data.texts[n]))
        spare = len(said) - sizes.words
        if spare < 1:
            continue
        start = int(torch.randint(spare, (), generator=generator))
        part = said[start : start + sizes.words]
        words.append(tuple(word for word, _ in part))
        tags.append([tag for _, tag in part])
        places.append(n)
        if len(places) == sizes.windows:
            break
    cuts = [encode_words(each, pretrained().tokenizer) for each in words]
    made = _examples([ids for ids, _ in cuts], None, torch.tensor(0), places, words)
    at = [first for _, first in cuts]
    length = made.rows.ids.shape[1]
    targets = tag_targets(at, tags, classes=len(TAGS), length=length)
    return made._replace(targets=targets)


def tagged_words(text: str) -> Iterator[tuple[str, int]]:
    """Words in lower case, and 2 for the first of a sentence, 1 for another with a capital."""
    for sentence in split_prose(text):
        for number, word in enumerate(WORD.findall(sentence)):
            yield word.lower(), 2 if number == 0 else int(word[0].isupper())


def pair_examples(sizes: Sizes) -> Examples:
    """Two paragraphs → 1 if they are from one article, 0 if from two of a block; half each."""
    data, block = load_wikipedia(), blocks()
    generator = _seeded()
    counts = data.article.bincount()
    texts, labels, places = [], [], []
    for number in range(sizes.pairs):
        weights = (counts >= 10).float()
        first = int(torch.multinomial(weights, 1, generator=generator))
        same = number % 2 == 1
        weights *= block == block[first]
        weights[first] = 0
        second = (
            first if same else int(torch.multinomial(weights, 1, generator=generator))
        )
        names = {w for n in (first, second) for w in words_of(data.titles[n])}
        names = {w for w in names if len(w) > 2}
        a = _some((data.article == first).nonzero()[:, 0], 2, generator)
        b = (
            a[1:]
            if same
            else _some((data.article == second).nonzero()[:, 0], 1, generator)
        )
        both = (int(a[0]), int(b[0]))
        texts.append(tuple(cut(data.texts[n], names, sizes.words) for n in both))
        labels.append(int(same))
        places.append(both[0])
    tokenizer = pretrained().tokenizer
    left, right = (
        [tokenizer.encode(text) for text in side] for side in zip(*texts, strict=True)
    )
    return _examples(left, right, torch.tensor(labels), places, texts)


def answer_examples(sizes: Sizes) -> Examples:
    """A question and a passage → first and last token of the answer.

    Our own questions, which are tested; then sentences in which "what" stands for a name
    or a number, which are only trained on.
    """
    data, tokenizer = load_wikipedia(), pretrained().tokenizer
    own = [(q.text, q.answer, q.paragraph, q.start) for q in load_questions()]
    asked = own + cloze_questions(sizes.cloze)
    first, second, spans, texts = [], [], [], []
    for question, answer, n, start in asked:
        text = data.texts[n]
        first.append(tokenizer.encode(question))
        second.append(tokenizer.encode(text))
        begin = len(first[-1]) + 2 + len(tokenizer.encode(text[:start]))
        spans.append([begin, begin + len(tokenizer.encode(answer)) - 1])
        texts.append((question, text))
    places = [n for _, _, n, _ in asked]
    made = _examples(first, second, torch.tensor(spans), places, texts)
    return made._replace(tested=torch.arange(len(asked)) < len(own))


def cloze_questions(count: int) -> list[tuple[str, str, int, int]]:
    """Question, answer, paragraph, first character: one of a paragraph.

    Raises:
        ValueError: if the extract has fewer.
    """
    data = load_wikipedia()
    asked = {q.paragraph for q in load_questions()}
    generator = _seeded()
    found: list[tuple[str, str, int, int]] = []
    for n in torch.randperm(len(data.texts), generator=generator).tolist():
        text = data.texts[n]
        gaps = list(NAME.finditer(text))
        if n in asked or not gaps or not PASSAGE[0] <= len(text.split()) <= PASSAGE[1]:
            continue
        gap = gaps[int(torch.randint(len(gaps), (), generator=generator))]
        sentences = [s for s in split_prose(text) if gap[0] in s]
        if len(found) < count and sentences and _whole(text, gap.start(), gap.end()):
            found.append((sentences[0].replace(gap[0], "what"), gap[0], n, gap.start()))
    if len(found) < count:
        raise ValueError(f"cloze must be at most {len(found)}, got {count}")
    return found


def _whole(text: str, start: int, end: int) -> bool:
    """Whether the cuts are between pieces."""
    encode = pretrained().tokenizer.encode
    return encode(text[:start]) + encode(text[start:end]) + encode(
        text[end:]
    ) == encode(text)


def _examples(
    first: list[list[int]],
    second: list[list[int]] | None,
    targets: Tensor,
    places: list[int],
    texts: Sequence[tuple[str, ...]],
) -> Examples:
    part = pretrained()
    longest = part.model.config.positions
    rows = join_rows(first, second, special=part.special, longest=longest)
    block = blocks()[load_wikipedia().article[places]]
    tested = torch.ones(len(first), dtype=torch.bool)
    return Examples(rows, targets, block, tested, tuple(texts))


def _some(
    places: Tensor, count: int, generator: torch.Generator | None = None
) -> Tensor:
    if len(places) < count:
        raise ValueError(f"there must be {count} paragraphs to draw, got {len(places)}")
    return places[torch.randperm(len(places), generator=generator or _seeded())[:count]]


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
