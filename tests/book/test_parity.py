"""Both languages carry the same course, in clean typography."""

import pytest

from book._tools import parity, project, typography

PAGES = project.pages()
IDS = [page.slug for page in PAGES]


def test_no_page_outside_the_table_of_contents():
    assert parity.stray_files() == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_languages_agree(page):
    assert "\n".join(map(str, parity.page_differences(page))) == ""


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_figures_have_alternative_texts(page):
    found = [
        line for lang in project.LANGUAGES for line in parity.missing_alternative_texts(page, lang)
    ]
    assert "\n".join(found) == ""


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_nothing_left_in_the_other_language(page):
    assert "\n".join(parity.leftovers(page)) == ""


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_chinese_typography(page):
    assert "\n".join(typography.problems(page)) == ""
