"""Docstrings as real text: read without running anything, the same at every call."""

import inspect

import pytest
import sklearn.cluster
import sklearn.linear_model
import torch

from d2lcompanion.data.docstrings import (
    NAMES,
    SOURCES,
    docstrings,
    load_docstrings,
    words_of,
)

SOURCE = '''"""Of the module."""
import os
if os.name:
    class A:
        """Of A."""
        x = 1
        """No docstring, only a string."""
        def f(self):
            "Of f."
            def inner():
                """Of inner."""
            return lambda: 0
else:
    async def g():
        """Of g."""
try:
    pass
except OSError:
    def h():
        """Of h."""
def nothing(): pass
'''


def test_docstrings_in_their_order():
    assert list(docstrings(SOURCE)) == [
        "Of the module.",
        "Of A.",
        "Of f.",
        "Of inner.",
        "Of g.",
        "Of h.",
    ]


@pytest.mark.parametrize("module", [sklearn.cluster._kmeans, sklearn.linear_model._base])
def test_they_are_what_inspect_finds(module):
    found = set(docstrings(inspect.getsource(module)))
    members = inspect.getmembers(module, lambda x: inspect.isfunction(x) or inspect.isclass(x))
    own = {
        inspect.cleandoc(x.__doc__)
        for _, x in members
        if x.__module__ == module.__name__ and x.__doc__
    }
    plain = {text for text in own if text in found}
    assert len(plain) > 0.6 * len(own), "decorators may change docstrings at run time"
    assert len(found) >= len(plain) > 3


def test_words():
    text = "The NumPy array's dtype.\n    >>> import os  # hidden\nUse ``max_iter=10`` torch."
    assert words_of(text) == ("the", "array", "dtype", "use", "max", "iter")
    assert len(words_of("word " * 100)) == 40


def test_the_documents():
    data = load_docstrings(each=40)
    assert data.packages == tuple(SOURCES)
    assert torch.bincount(data.labels).tolist() == [40] * 5
    assert data.features.shape == (200, len(data.vocabulary))
    assert set(data.features.unique().tolist()) == {0.0, 1.0}
    assert list(data.vocabulary) == sorted(set(data.vocabulary))
    assert not NAMES & set(data.vocabulary)
    per_document = data.features.sum(1)
    assert per_document.min() >= 3
    assert per_document.max() <= 40
    assert bool((data.features.sum(0) >= 1).all())
    assert len({tuple(row) for row in data.features.nonzero().tolist()}) == per_document.sum()
    for name in ("matplotlib", "numpy", "scipy", "sklearn", "torch"):
        assert name in data.source
    load_docstrings.cache_clear()
    again = load_docstrings(each=40)
    assert torch.equal(again.features, data.features)
    assert again.vocabulary == data.vocabulary


def test_too_few_are_named():
    with pytest.raises(ValueError, match="each must be ≥ 10, got 9"):
        load_docstrings(each=9)
