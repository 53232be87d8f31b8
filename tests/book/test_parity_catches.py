"""The parity and typography checks find what is planted, and name file and line in both languages."""

from __future__ import annotations

import pytest

from book._tools import myst, parity, project, typography

SLUG = "part/page"
PAGE = project.Page(SLUG)
TEXT = """\
---
kernelspec: {name: python3}
---

(pg-page)=
# TITLE

CONTENT {cite:t}`known2004`{eq}`pg-eq`END

$$
a = b + c \\text{WORD}
$$ (pg-eq)

```{code-cell} ipython3
:tags: [hide-input]

x = 1
```

```{literalinclude} ../../../d2lcompanion/extras.py
:pyobject: require
```

```{glue:figure} pg-fig
:name: fig-pg
:alt: ALT

CAPTION
```

| HEAD | HEAD |
|---|---|
| 1 | {glue:text}`pg-number:.2f` |

```{exercise} TITLE
:label: pg-ex-1

CONTENT
```
"""
WORDS = {
    "zh": {"TITLE": "标题", "CONTENT": "正文", "END": "。", "WORD": "词", "ALT": "下降的曲线", "CAPTION": "图注", "HEAD": "表头"},
    "en": {"TITLE": "Title", "CONTENT": "Text", "END": ".", "WORD": "word", "ALT": "a falling curve", "CAPTION": "Caption", "HEAD": "Head"},
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    for language, words in WORDS.items():
        text = TEXT
        for word, own in words.items():
            text = text.replace(word, own)
        path = PAGE.path(language, tmp_path)
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    toc = f"format: jb-book\nroot: book/zh/{SLUG}\n"
    (tmp_path / "_toc.yml").write_text(toc, encoding="utf-8")
    return tmp_path


def edit(root, language, old, new):
    path = PAGE.path(language, root)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_unchanged_pages_agree(root):
    assert parity.page_differences(PAGE, root) == []
    assert parity.stray_files(root) == []
    assert parity.leftovers(PAGE, root) == []
    assert typography.problems(PAGE, root) == []
    for language in WORDS:
        assert parity.missing_alternative_texts(PAGE, language, root) == []


@pytest.mark.parametrize(
    ("old", "new", "aspect", "line"),
    [
        ("# Title", "# Title\n\n## Another", "heading", 6),
        ("x = 1", "x = 2", "code cell", 14),
        (":tags: [hide-input]", ":tags: [remove-input]", "code cell", 14),
        ("a = b + c", "a = b - c", "equation", 10),
        ("$$ (pg-eq)", "$$ (pg-equation)", "equation", 10),
        ("(pg-page)=", "(pg-pages)=", "label", 5),
        (":name: fig-pg", ":name: fig-other", "label", 24),
        ("known2004", "known2005", "citation", 8),
        ("pg-number:.2f", "pg-number:.3f", "glued number", 33),
        ("{glue:figure} pg-fig", "{glue:figure} pg-figure", "figure", 24),
        ("```{exercise} Title\n:label: pg-ex-1\n\nText\n```", "", "exercise", 35),
        (":pyobject: require", ":pyobject: other", "shown source", 20),
    ],
)
def test_a_difference_names_file_and_line_in_both_languages(root, old, new, aspect, line):
    edit(root, "en", old, new)
    found = [d for d in parity.page_differences(PAGE, root) if aspect in d.what]
    assert len(found) == 1
    assert found[0].zh.startswith(f"book/zh/{SLUG}.md:")
    assert found[0].en.startswith(f"book/en/{SLUG}.md:")
    assert found[0].zh.endswith(f":{line}")


def test_a_page_that_one_language_lacks(root):
    PAGE.path("en", root).unlink()
    assert "does not exist" in str(parity.page_differences(PAGE, root)[0])


def test_a_page_outside_the_table_of_contents(root):
    (root / "book/zh/part/draft.md").write_text("# 草稿\n", encoding="utf-8")
    assert parity.stray_files(root) == ["book/zh/part/draft.md: stands in no _toc.yml"]


def test_a_figure_without_alternative_text(root):
    edit(root, "zh", ":alt: 下降的曲线\n", "")
    found = parity.missing_alternative_texts(PAGE, "zh", root)
    assert found == [f"book/zh/{SLUG}.md:24: glue:figure pg-fig has no :alt: text"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# 标题", "# Gradient descent"),
        ("图注", "The loss falls"),
        ("| 表头 | 表头 |", "| 表头 | learning rate |"),
        ("{exercise} 标题", "{exercise} Learning rates"),
        (":alt: 下降的曲线", ":alt: a falling curve"),
    ],
)
def test_english_left_on_the_chinese_page(root, old, new):
    edit(root, "zh", old, new)
    assert len(parity.leftovers(PAGE, root)) == 1


def test_chinese_on_the_english_page(root):
    edit(root, "en", "Text", "Text 正文")
    assert len(parity.leftovers(PAGE, root)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "学习率是0.1。",
        "学习率 lr太大.",
        "正文,再说。",
        "用PyTorch写。",
        "步长$\\eta$太大。",
        "见`lr`的值。",
        "值是{glue:text}`pg-number`。",
    ],
)
def test_wrong_typography(root, wrong):
    edit(root, "zh", "正文", wrong)
    found = typography.problems(PAGE, root)
    assert len(found) >= 1
    assert found[0].startswith(f"book/zh/{SLUG}.md:8: ")


@pytest.mark.parametrize(
    "right",
    [
        "学习率是 0.1。",
        "用 PyTorch 写。",
        "步长 $\\eta$ 太大。",
        "见 `lr` 的值；它是 {glue:text}`n`。",
        "见{numref}`fig-pg`，对不对？",
    ],
)
def test_right_typography(root, right):
    edit(root, "zh", "正文 ", right)
    assert typography.problems(PAGE, root) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("a\n\n```python\nx", "line 3.*never closed"), ("$$\na", "line 1.*never closed"), ("```{note}\n---\na: 1\n```", "never closed")],
)  # fmt: skip
def test_what_is_never_closed_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        list(myst.walk(myst.parse(text)))


def test_blocks_keep_their_lines_when_nested():
    text = "x\n\n````{note}\n:class: a\n\n```{tip}\ninner\n```\n````\n"
    blocks = list(myst.walk(myst.parse(text)))
    assert [(b.kind, b.name, b.line) for b in blocks if b.kind == "directive"] == [
        ("directive", "note", 3),
        ("directive", "tip", 6),
    ]
    assert [
        line
        for b in blocks
        for line, t in (myst.prose(b) if b.kind == "text" else [])
        if t == "inner"
    ] == [7]
