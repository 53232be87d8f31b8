"""Real English sentences without a network: the docstrings of packages that are installed anyway.

The task is to tell which package a docstring was written for. A few words are in every
text, most words in hardly any, as in all language. Nothing is copied into this
repository: the source files of the installed packages are read, never executed, when the
loader is called. The text is that of the locked versions, and the same on every machine.
"""

import ast
import functools
import hashlib
import importlib.util
import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

# Package → the folders to read ("" is all of it). Licences: matplotlib its own, in the style of
# Python's; all others BSD with three clauses.
SOURCES: dict[str, tuple[str, ...]] = {
    "matplotlib": ("",),
    "numpy": ("",),
    "scipy": ("linalg", "signal", "optimize", "spatial", "ndimage"),
    "sklearn": ("",),
    "torch": ("nn", "distributions", "optim"),
}
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
# What would give the answer away.
NAMES = {"matplotlib", "mpl", "pyplot", "plt", "numpy", "np", "scipy", "sp"}
NAMES |= {"sklearn", "scikit", "torch", "pytorch"}
WORD = re.compile(r"[a-z]{2,}")
HOLDERS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = ("body", "handlers", "orelse", "finalbody")  # where statements hold statements
SHORTEST, LONGEST = 12, 40  # words: shorter texts are left out, longer ones cut off


@dataclass(frozen=True, eq=False)
class Documents:
    """Texts as sets of words.

    Attributes:
        vocabulary: v words, in the order of the alphabet.
        packages: names of the classes.
        features: [n, v], float32, 1 where the word is in the text.
        labels: [n], int64, indices into `packages`.
        source: a sentence: what was read, in which versions.
    """

    vocabulary: tuple[str, ...]
    packages: tuple[str, ...]
    features: Tensor
    labels: Tensor
    source: str


@functools.cache
def load_docstrings(*, each: int = 600) -> Documents:
    """Docstrings of five packages as bags of words.

    A text is the set of its first 40 words, lower case, without doctests and without
    the names of the packages; texts that come twice in a package are kept once.

    Args:
        each: at most so many texts of a package; its files are read in an order that has
            nothing to do with their names, until there are enough.
    Returns:
        The same object at every call: read it, do not change it.
    Raises:
        ValueError: if each is below 10.
        ModuleNotFoundError: if a package is not installed.
    """
    if each < 10:
        raise ValueError(f"each must be ≥ 10, got {each}")
    texts: list[frozenset[str]] = []
    labels: list[int] = []
    for label, package in enumerate(SOURCES):
        kept = list(itertools.islice(_texts(package), each))
        texts += kept
        labels += [label] * len(kept)
    vocabulary = tuple(sorted(frozenset().union(*texts)))
    versions = ", ".join(
        f"{name} {version(DISTRIBUTIONS.get(name, name))}" for name in SOURCES
    )
    return Documents(
        vocabulary=vocabulary,
        packages=tuple(SOURCES),
        features=_bags(texts, vocabulary),
        labels=torch.tensor(labels),
        source=f"{len(texts)} docstrings, read from the source files of {versions}.",
    )


def words_of(text: str) -> tuple[str, ...]:
    """The first 40 words of a docstring, without doctests and the names of the packages."""
    prose = (
        line
        for line in text.splitlines()
        if not line.lstrip().startswith((">>>", "..."))
    )
    words = (w for w in WORD.findall("\n".join(prose).lower()) if w not in NAMES)
    return tuple(words)[:LONGEST]


def docstrings(source: str) -> Iterator[str]:
    """All docstrings of a source text, in its order: of the module, classes and functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes that a later Python will refuse
        waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, HOLDERS) and (text := ast.get_docstring(node)):
            yield text
        blocks = (getattr(node, name, ()) for name in BLOCKS)
        statements = [statement for block in blocks for statement in block]
        waiting += reversed([s for s in statements if not isinstance(s, ast.Expr)])


def _texts(package: str) -> Iterator[frozenset[str]]:
    """The texts of a package as sets of words, each once; file after file, in a mixed order."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"{package} is not installed: its docstrings are read"
        )
    root = Path(spec.origin).parent
    seen: set[tuple[str, ...]] = set()
    files = [
        path for folder in SOURCES[package] for path in (root / folder).rglob("*.py")
    ]
    for path in sorted(files, key=lambda path: _shuffled(path.relative_to(root))):
        if any("test" in part for part in path.relative_to(root).parts):
            continue
        for text in docstrings(path.read_text(encoding="utf-8")):
            words = words_of(text)
            if len(words) >= SHORTEST and words not in seen:
                seen.add(words)
                yield frozenset(words)


def _shuffled(path: Path) -> str:
    """A key that spreads neighbours, the same on every machine."""
    return hashlib.sha256(path.as_posix().encode()).hexdigest()


def _bags(texts: Sequence[frozenset[str]], vocabulary: Sequence[str]) -> Tensor:
    """[n, v], 1 where the word is in the text."""
    column = {word: i for i, word in enumerate(vocabulary)}
    bags = torch.zeros(len(texts), len(vocabulary))
    for row, words in enumerate(texts):
        bags[row, [column[word] for word in words]] = 1
    return bags
