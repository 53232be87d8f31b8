"""The row under a chapter's title: reading time, measured run time, where to open it, the post it grew out of."""

from __future__ import annotations

import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book._tools import project

CHINESE_CHARACTERS_A_MINUTE = 300
ENGLISH_WORDS_A_MINUTE = 200
NOT_PROSE = re.compile(r"^```\{code-cell\}.*?^```|^---.*?^---|\$\$.*?\$\$|\$[^$]*\$", re.M | re.S)

WORDS = {
    "zh": {
        "reading": "阅读约 {minutes} 分钟",
        "running": "CPU 运行约 {seconds} 秒",
        "post": "源自 {date} 的学习笔记",
        "colab": "在 Colab 打开",
        "binder": "在 Binder 打开",
    },
    "en": {
        "reading": "{minutes} min read",
        "running": "runs in about {seconds} s on a CPU",
        "post": "grew out of the study post of {date}",
        "colab": "Open in Colab",
        "binder": "Open in Binder",
    },
}


class ChapterBadges(nodes.General, nodes.Element):
    """Placeholder until the chapter has been executed and its run time is known."""


def reading_minutes(text: str) -> int:
    """Minutes to read a page, from its Chinese characters and its Latin words outside code and formulas."""
    prose = NOT_PROSE.sub(" ", text)
    chinese = len(re.findall(r"[\u4e00-\u9fff]", prose))
    latin = len(re.findall(r"[A-Za-z]{2,}", prose))
    # In Chinese prose the Latin words are mostly identifiers and directives.
    if chinese > latin:
        return max(1, math.ceil(chinese / CHINESE_CHARACTERS_A_MINUTE))
    return max(1, math.ceil(latin / ENGLISH_WORDS_A_MINUTE))


def launch_links(address: dict[str, str], language: str, slug: str) -> dict[str, str]:
    """Addresses that open the chapter elsewhere; none while the repository's address is empty.

    Raises:
        ValueError: if the repository is not an https address of the form HOST/OWNER/NAME.
    """
    repository = address["repository"].rstrip("/")
    if not repository:
        return {}
    match = re.fullmatch(r"https://(github\.com)/([\w.-]+/[\w.-]+)", repository)
    if match is None:
        raise ValueError(
            f"course_address.repository must be https://github.com/OWNER/NAME, got {repository!r}"
        )
    name, branch, notebooks = match[2], address["branch"], address["notebooks_branch"]
    return {
        "colab": f"https://colab.research.google.com/github/{name}/blob/{notebooks}/{language}/{slug}.ipynb",
        "binder": f"https://mybinder.org/v2/gh/{name}/{branch}?urlpath=lab/tree/book/{language}/{slug}.md",
    }


def front_matter(text: str) -> dict[str, Any]:
    """The YAML block at the head of a page."""
    match = re.match(r"---\n(.*?)\n---\n", text, re.S)
    return dict(yaml.safe_load(match[1])) if match else {}


class ChapterBadgesDirective(SphinxDirective):
    """```{chapter-badges}```, right under the title."""

    def run(self) -> list[nodes.Node]:
        """Read what the source knows; the run time follows when the chapter has been executed."""
        text = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        course = front_matter(text).get("d2lc", {})
        post = (
            datetime.strptime(str(course["post"]), "%Y-%m-%d %H:%M") if "post" in course else None
        )
        return [
            ChapterBadges(minutes=reading_minutes(text), post=f"{post:%Y-%m-%d}" if post else "")
        ]


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Replace the placeholder by the badges."""
    language = app.config.course_language
    words = WORDS[language]
    slug = project.slug_of(docname)
    for placeholder in list(doctree.findall(ChapterBadges)):
        row = nodes.paragraph(classes=["course-badges"])
        texts = [words["reading"].format(minutes=placeholder["minutes"])]
        executed = NbMetadataCollector.get_exec_data(app.env, docname)
        if executed and executed["runtime"]:
            seconds = 5 * math.ceil(executed["runtime"] / 5)  # measured in this build, rounded up
            texts.append(words["running"].format(seconds=seconds))
        if placeholder["post"]:
            texts.append(words["post"].format(date=placeholder["post"]))
        for text in texts:
            row += [nodes.inline("", text, classes=["course-badge"]), nodes.Text(" ")]
        for name, uri in launch_links(app.config.course_address, language, slug).items():
            link = nodes.reference("", words[name], refuri=uri, classes=["course-badge"])
            row += [link, nodes.Text(" ")]
        placeholder.replace_self(row)


def skip(visitor: nodes.NodeVisitor, node: nodes.Node) -> None:
    """Other builders (search index, plain text) ignore the placeholder."""
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_node(ChapterBadges, html=(skip, None), text=(skip, None))
    app.add_directive("chapter-badges", ChapterBadgesDirective)
    app.connect("doctree-resolved", fill)
