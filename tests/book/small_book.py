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
CELLS = """\
```{code-cell} ipython3
import torch
from d2lcompanion.optimization.descent import first_order, gradient_descent, minimize
from d2lcompanion.optimization.objectives import quadratic
from d2lcompanion.plotting.figure import show
from d2lcompanion.plotting.style import new_figure
```

```{code-cell} ipython3
lr, seed = 0.1, 0
path = minimize(quadratic(torch.tensor([2.0, 4.0])), [-5.0, -2.0], first_order(gradient_descent, lr=lr), steps=20)
print(f"end {path.points[-1, 0]:.6f} {path.points[-1, 1]:.6f}")
```

```{code-cell} ipython3
noise = torch.randn(3, generator=torch.Generator().manual_seed(seed))
print([f"{x:.4f}" for x in noise.tolist()])
```

```{code-cell} ipython3
figure, ax = new_figure()
ax.plot(path.points[:, 0], path.points[:, 1], marker="o")
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
