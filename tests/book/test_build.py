"""The build: strict, never stale, swapped in whole, and quick when nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from book._tools import project, site
from book._tools.project import LANGUAGES
from tests.book import small_book

pytestmark = [pytest.mark.book, pytest.mark.slow]
MODULE = "d2lcompanion/small.py"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The small project, built once; the tests below go on from each other's state, in order."""
    root = small_book.write(tmp_path_factory.mktemp("small"))
    assert site.build_book(root)
    return root


def shown(folder, root):
    """The number that the chapter prints, as the pages in `folder` show it."""
    texts = [f.read_text(encoding="utf-8") for f in sorted(root.glob(f"{folder}/**/small.html"))]
    assert texts
    ends = {line.split(">")[-1] for text in texts for line in text.splitlines() if "end -" in line}
    assert len(ends) == 1, ends
    return ends.pop()


def test_both_languages_and_the_root_page(built):
    assert (built / "site/index.html").exists()
    for language in LANGUAGES:
        assert (built / f"site/{language}/index.html").exists()
    assert shown("site", built) == "end -0.057646 -0.000073"


def test_twin_pages_execute_once(built):
    assert len(list(project.execution_cache(built).glob("executed/*"))) == 1


def test_an_unchanged_second_run_does_nothing(built):
    before = (built / "site/zh/index.html").stat().st_mtime_ns
    started = time.perf_counter()
    assert not site.build_book(built)
    assert time.perf_counter() - started < 10
    assert (built / "site/zh/index.html").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "name",
    ["_config.yml", "_toc.yml", "requirements.lock", "book/_static/course.css", "book/_ext/course.py",
     "book/references.bib", "book/en/index.md", "d2lcompanion/plotting/style.py"],
)  # fmt: skip
def test_every_input_counts(built, name):
    path = built / name
    text = path.read_bytes()
    path.write_bytes(text + b"\n")
    assert not site.is_current(built)
    path.write_bytes(text)
    assert site.is_current(built)


def test_a_new_result_counts(built):
    path = built / "results" / "new.json"
    path.write_text("{}", encoding="utf-8")
    assert not site.is_current(built)
    path.unlink()


def test_a_failed_build_leaves_the_old_site(built):
    page = built / "book/en/index.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text + "\nSee {ref}`nowhere`.\n", encoding="utf-8")
    before = (built / "site/en/index.html").read_bytes()
    with pytest.raises(site.BuildError, match="failed"):
        site.build_book(built)
    assert (built / "site/en/index.html").read_bytes() == before
    assert shown("site", built).startswith("end")
    page.write_text(text, encoding="utf-8")
    with pytest.raises(site.BuildError, match="no page 'nothing'"):
        site.build_page("nothing", built)


def test_one_page(built):
    small_book.edit(built / "book/en/index.md", "Front page", "Front page, edited")
    started = time.perf_counter()
    site.build_page("index", built)
    seconds = time.perf_counter() - started
    assert "Front page, edited" in (built / "site/en/index.html").read_text(encoding="utf-8")
    assert not site.is_current(built), "a page alone is no strict success of the book"
    assert seconds < 30  # 15 s on an idle machine; two tests share this one


def plain_build(root):
    """`jupyter-book build .`, as anyone would type it."""
    command = [sys.executable, "-c", site.JUPYTER_BOOK, "build", "."]
    environment = {**os.environ, "PYTHONUTF8": "1", "D2LC_SEED": "99"}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_entry_point_shows_stale_output(built):
    plain_build(built)
    assert shown("_build/html", built) == "end -0.057646 -0.000073"
    small_book.edit(built / MODULE, "points[-1] - lr", "points[-1] - 0.5 * lr")
    site.build_page(small_book.SLUG, built)
    page = shown("site", built)
    assert page != "end -0.057646 -0.000073"
    plain_build(built)
    assert shown("_build/html", built) == page
    assert site.build_book(built)
    assert shown("site", built) == page


def test_links_appear_with_the_address(built):
    small_book.edit(
        built / "_config.yml",
        'repository: "", branch',
        "repository: https://github.com/o/n, branch",
    )
    small_book.edit(built / "_config.yml", 'site: ""}', "site: https://o.test/n/}")
    for language in LANGUAGES:
        page = built / "book" / language / f"{small_book.SLUG}.md"
        text = page.read_text(encoding="utf-8")
        page.write_text(
            text.replace("```{code-cell}", "```{chapter-badges}\n```\n\n```{code-cell}", 1),
            encoding="utf-8",
        )
    assert site.build_book(built)
    for language in LANGUAGES:
        text = (built / f"site/{language}/{small_book.SLUG}.html").read_text(encoding="utf-8")
        address = f"https://o.test/n/{language}/{small_book.SLUG}.html"
        assert f'<link rel="canonical" href="{address}"' in text
        assert f'hreflang="{"zh-CN" if language == "zh" else "en"}" href="{address}"' in text
        assert 'hreflang="x-default" href="https://o.test/n/"' in text
        assert f"/github/o/n/blob/notebooks/{language}/{small_book.SLUG}.ipynb" in text
        assert f"/v2/gh/o/n/main?urlpath=lab/tree/book/{language}/{small_book.SLUG}.md" in text
        assert f"https://github.com/o/n/edit/main/book/{language}/{small_book.SLUG}.md" in text


def test_a_raising_cell_fails_the_build(built):
    small_book.edit_pages(built, "show(figure)", "raise RuntimeError('planted')")
    with pytest.raises(site.BuildError):
        site.build_book(built)
