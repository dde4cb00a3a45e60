"""Pages cut into passages that can be cited."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from portico_servers.docs.ingest.chunks import MAX_CHARS, cut
from portico_servers.docs.ingest.pages import Page
from portico_servers.docs.ingest.readers.markdown import read_markdown

_LINE = st.sampled_from(
    ["", "", "# A", "## B", "### C", "word " * 30, "x", "```", "- item", "    code", "é日本 " * 40, "y" * 5000]
)


def _text(page: Page, line: int) -> str:
    return "\n".join(page.text.split("\n")[line - 1 :])


def test_a_passage_never_crosses_a_heading() -> None:
    page = read_markdown("# A\n\nalpha text\n\n## B\n\nbeta text\n\n# C\n\ngamma text\n")
    assert [(page.sections[p.section].title, p.line, p.end) for p in cut(page)] == [("A", 1, 3), ("B", 5, 7), ("C", 9, 11)]


def test_a_bare_heading_goes_on_into_what_follows() -> None:
    page = read_markdown("# Tool\n\n## Name\n\ntool - does things\n\n## Use\n\nrun it\n")
    first = cut(page)[0]
    assert first.section == 0
    assert "does things" in first.text


def test_long_sections_are_cut_between_paragraphs_and_not_inside_a_code_block() -> None:
    code = "```\n" + "\n\n".join(["call()"] * 60) + "\n```"
    page = read_markdown("# A\n\n" + "\n\n".join(["word " * 60] * 6) + "\n\n" + code + "\n\nend of it\n")
    passages = cut(page)
    assert len(passages) > 2
    assert all(p.text.count("```") in (0, 2) for p in passages)


@settings(max_examples=60, deadline=None)
@given(st.lists(_LINE, max_size=60))
def test_every_passage_is_exactly_what_the_page_says_from_its_line_on_and_nothing_is_lost(lines: list[str]) -> None:
    page = read_markdown("\n".join(lines))
    passages = cut(page)
    covered = set()
    for passage in passages:
        assert passage.text in _text(page, passage.line)
        assert passage.line <= passage.end
        assert len(passage.text) <= MAX_CHARS
        section = page.sections[passage.section]
        assert section.line <= passage.line <= section.end
        covered |= set(range(passage.line, passage.end + 1))
    for number, line in enumerate(page.text.split("\n"), 1):
        assert number in covered or not any(c.isalnum() for c in line)
