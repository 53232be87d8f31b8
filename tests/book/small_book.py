"""A small copy of this project with one short chapter, to break on purpose."""

from __future__ import annotations

import shutil
from pathlib import Path

from book._tools.project import ROOT

SLUG = "optimization/small"
COPIED = (
    "_config.yml",
    "pyproject.toml",
    "requirements.lock",
    "requirements-d2l.lock",
    "d2lcompanion",
    "book/_tools",
    "book/_ext",
    "book/_templates",
    "book/_static",
    "book/_root",
    "book/references.bib",
    "tests/conftest.py",
    "tests/book/conftest.py",
    "tests/book/test_chapters.py",
)
TOC = f"""\
format: jb-book
root: book/zh/index
parts:
  - caption: 优化
    numbered: true
    chapters:
      - file: book/zh/{SLUG}
"""
HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

(small)=
# {title}

"""
#: The package of the copy gets a module of its own, so that no topic is needed here.
MODULE = '''"""Gradient descent on x₁² + 2x₂², short enough to be broken in one line."""

import numpy as np


def gradient(x):
    """(2x₁, 4x₂)."""
    return np.array([2.0, 4.0]) * x


def descend(start, lr, steps):
    """The iterates, [steps + 1, 2]."""
    points = [np.array(start)]
    for _ in range(steps):
        points.append(points[-1] - lr * gradient(points[-1]))
    return np.stack(points)
'''
CELLS = """\
```{code-cell} ipython3
import numpy as np
from d2lcompanion.small import descend
from d2lcompanion.plotting.figure import show
from d2lcompanion.plotting.style import new_figure
```

```{code-cell} ipython3
lr, seed = 0.1, 0
points = descend([-5.0, -2.0], lr, steps=20)
print(f"end {points[-1, 0]:.6f} {points[-1, 1]:.6f}")
```

```{code-cell} ipython3
noise = np.random.default_rng(seed).normal(size=3)
print([f"{x:.4f}" for x in noise])
```

```{code-cell} ipython3
figure, ax = new_figure()
ax.plot(points[:, 0], points[:, 1], marker="o")
ax.set(xlabel="$x_1$", ylabel="$x_2$")
show(figure)
```
"""


def write(root: Path) -> Path:
    """Make the small project below `root`."""
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (root / "results").mkdir()
    (root / "d2lcompanion" / "small.py").write_text(MODULE, encoding="utf-8")
    (root / "_toc.yml").write_text(TOC, encoding="utf-8")
    for language, title, front in (
        ("zh", "小例子", "首页"),
        ("en", "A small example", "Front page"),
    ):
        folder = root / "book" / language
        (folder / "optimization").mkdir(parents=True)
        (folder / "index.md").write_text(f"# {front}\n", encoding="utf-8")
        page = folder / f"{SLUG}.md"
        page.write_text(HEADER.replace("{title}", title) + CELLS, encoding="utf-8")
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_pages(root: Path, old: str, new: str) -> None:
    """Replace a text in both languages and in the reference's own copy of the code, not in its outputs."""
    for language in ("zh", "en"):
        edit(root / "book" / language / f"{SLUG}.md", old, new)
