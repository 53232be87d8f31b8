"""Words that the extensions print in English only, in the language of the page."""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_proof.nodes import proof_node

PROOF = {"zh": ("Proof. ", "证明 ")}

#: Attributes that Sphinx and its themes write in English whatever the language: read by screen readers
#: and shown as hints. A test of the built site finds those that are missing here.
INTERFACE = {
    "zh": {
        "Color mode": "配色",
        "System Settings": "跟随系统",
        "Light": "浅色",
        "Dark": "深色",
        "Main": "主导航",
        "Page": "本页导航",
        "Search": "搜索",
        "Toggle primary sidebar": "显示或隐藏左侧目录",
        "Toggle secondary sidebar": "显示或隐藏本页目录",
        "Fullscreen mode": "全屏",
        "Link to this heading": "本节的链接",
        "Link to this image": "本图的链接",
        "Link to this table": "本表的链接",
        "Link to this code": "这段代码的链接",
        "Link to this term": "本术语的链接",
        "Permalink to this equation": "本公式的链接",
        "Copy to clipboard": "复制",
        "Breadcrumb": "所在位置",
    }
}
ATTRIBUTE = re.compile(r'\b(?P<name>title|aria-label|data-bs-title|placeholder)="(?P<value>[^"]*)"')


def translate_proofs(app: Sphinx, doctree: nodes.document) -> None:
    """sphinx-proof opens every proof with the English word."""
    if app.config.course_language not in PROOF:
        return
    english, word = PROOF[app.config.course_language]
    for proof in doctree.findall(proof_node):
        first = next(proof.findall(nodes.Text))
        if not first.startswith(english):
            raise ValueError(
                f"sphinx-proof opened a proof with {first.astext()[:20]!r}, not {english!r}"
            )
        rest = nodes.Text(first.removeprefix(english))
        first.parent.replace(first, [nodes.strong("", word.strip()), nodes.Text(" "), rest])


def translate_citations(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """sphinxcontrib-bibtex joins names in English: and, et al."""
    if app.config.course_language != "zh":
        return
    for citation in doctree.findall(nodes.inline):
        if "bibtex-citation" in citation["classes"]:
            for text in list(citation.findall(nodes.Text)):
                new = text.replace("et al.", "等").replace(" and ", " 和 ")
                text.parent.replace(text, nodes.Text(new))


def translate_attributes(app: Sphinx, error: Exception | None) -> None:
    """Put the hints of the finished pages into the language of the book."""
    words = INTERFACE.get(app.config.course_language)
    if error is not None or words is None or app.builder.name != "html":
        return

    def translated(match: re.Match[str]) -> str:
        value = words.get(match["value"].strip(), match["value"])
        return f'{match["name"]}="{value}"'

    for file in Path(app.outdir).rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        new = ATTRIBUTE.sub(translated, text)
        if new != text:
            file.write_text(new, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register all of them."""
    app.connect("doctree-read", translate_proofs)
    app.connect("doctree-resolved", translate_citations)
    app.connect("build-finished", translate_attributes)
