"""Markdown (CommonMark, tables, front matter, MyST and Pandoc anchors) -> Page. The text stays the source, line for line."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from portico_servers.docs.ingest.anchors import GithubSlugs
from portico_servers.docs.ingest.pages import Heading, Page, make_page

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S | re.M)
_FRONT_TITLE = re.compile(r"""^title\s*[:=]\s*(?P<quote>["']?)(?P<title>.*?)(?P=quote)\s*$""", re.M)
_CUSTOM_ID = re.compile(r"\s*\{[^{}]*#(?P<id>[\w.:-]+)[^{}]*\}\s*$")
_MYST_LABEL = re.compile(r"^\((?P<label>[^()\s]+)\)=\s*$")
_NAMED = re.compile(r"""<(?:a|span|div)\b[^<>]*?\b(?:name|id)\s*=\s*["']?([^"'\s>]+)""", re.I)
_HTML_HEADING = re.compile(r"<h([1-6])\b([^<>]*)>(.{0,1000}?)</h\1\s*>", re.I | re.S)
_TAG = re.compile(r"<[^>]+>")


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    # Only headings need their inline structure; parsing it everywhere costs most of the time.
    parser.core.ruler.disable("inline")
    return parser


@cache
def _inline_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")


def front_matter(text: str) -> tuple[str, int]:
    """(title or "", lines that the front matter takes). YAML between `---` or TOML between `+++`."""
    found = _FRONT.match(text)
    if not found:
        return "", 0
    title = _FRONT_TITLE.search(found[2])
    return (title["title"].strip() if title else ""), found[0].count("\n")


def read_markdown(text: str) -> Page:
    title, front_lines = front_matter(text)
    lines = text.split("\n")
    body = "\n" * front_lines + "\n".join(lines[front_lines:])
    slugs = GithubSlugs()
    headings: list[Heading] = []
    labels: list[str] = []  # anchors seen since the last block that isn't one; they belong to the heading that follows
    tokens = _parser().parse(body)
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.map is not None:
            content = tokens[index + 1].content
            headings.append(_heading(int(token.tag[1]), content, token.map[0] + 1, slugs, labels))
            labels = []
        elif token.type == "html_block" and token.map is not None:
            found = list(_html_headings(token, slugs))
            headings += found
            labels = [] if found else labels + _NAMED.findall(token.content)
        elif token.type == "inline" and token.level == 1:
            label = _MYST_LABEL.match(token.content.strip())
            names = [label["label"]] if label else _NAMED.findall(token.content) if token.content.startswith("<") else []
            if tokens[index - 1].type == "paragraph_open":
                labels = labels + names if names else []
        elif token.type in ("fence", "code_block", "hr"):
            labels = []
    return make_page(title, text, "markdown", headings)


def _heading(level: int, content: str, line: int, slugs: GithubSlugs, labels: list[str]) -> Heading:
    custom = _CUSTOM_ID.search(content)
    if custom:
        content = content[: custom.start()]
    title = _plain(content)
    slug = slugs.make(title)
    aliases = [*labels, *_NAMED.findall(content)]
    if custom:
        return Heading(level, title, custom["id"], line, aliases=(slug, *aliases))
    return Heading(level, title, slug, line, aliases=tuple(aliases))


def _html_headings(token: Token, slugs: GithubSlugs) -> list[Heading]:
    """`<h1 align="center">Name</h1>`, as many READMEs begin."""
    assert token.map is not None
    found = []
    for match in _HTML_HEADING.finditer(token.content):
        title = " ".join(_TAG.sub("", match[3]).split())
        line = token.map[0] + 1 + token.content.count("\n", 0, match.start())
        named = tuple(_NAMED.findall(f"<a {match[2]}>"))
        found.append(Heading(int(match[1]), title, slugs.make(title), line, aliases=named))
    return found


def _plain(content: str) -> str:
    """The text that a reader of the rendered heading sees."""
    if not any(c in content for c in "`*_[<&\\!"):
        return content.strip()
    parts: list[str] = []
    for token in _inline_parser().parseInline(content)[0].children or ():
        if token.type in ("text", "code_inline", "text_special"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return "".join(parts).strip()
