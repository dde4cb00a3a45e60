"""Markdown: headings, anchors and lines as the rendered page has them."""

from __future__ import annotations

from portico_servers.docs.ingest.pages import Page
from portico_servers.docs.ingest.readers.markdown import read_markdown


def _sections(page: Page) -> list[tuple[int, str, str, int, int]]:
    return [(s.level, s.title, s.anchor, s.line, s.end) for s in page.sections]


def test_headings_become_sections_with_line_ranges_that_hold_their_subsections() -> None:
    page = read_markdown("# Guide\nintro\n\n## Install\npip\n\n### Linux\napt\n\n## Use\nrun\n")
    assert _sections(page) == [
        (1, "Guide", "guide", 1, 12),
        (2, "Install", "install", 4, 9),
        (3, "Linux", "linux", 7, 9),
        (2, "Use", "use", 10, 12),
    ]
    assert page.sections[2].trail == ("Guide", "Install", "Linux")


def test_a_hash_in_a_code_block_is_no_heading() -> None:
    page = read_markdown("# A\n\n```sh\n# not a heading\n```\n\n    # nor this\n\n~~~\n## nor this\n~~~\n")
    assert [s.title for s in page.sections] == ["A"]


def test_front_matter_gives_the_title_and_does_not_shift_lines() -> None:
    page = read_markdown('---\ntitle: "The page"\ntags: [a]\n---\n\ntext\n\n# First\n')
    assert page.title == "The page"
    assert _sections(page) == [(0, "The page", "", 1, 7), (1, "First", "first", 8, 9)]


def test_toml_front_matter_is_understood() -> None:
    assert read_markdown("+++\ntitle = 'Hugo'\n+++\n# H\n").title == "Hugo"


def test_a_thematic_break_at_the_start_is_no_front_matter() -> None:
    assert [s.title for s in read_markdown("---\n# A\ntext\n").sections if s.anchor] == ["A"]


def test_setext_html_and_marked_up_headings_are_headings() -> None:
    text = "Top\n===\n\n<h2 align='center'>In <b>HTML</b></h2>\n\n### With `code`, *stars* and [a link](x.md)\n"
    assert [(s.level, s.title, s.anchor) for s in read_markdown(text).sections] == [
        (1, "Top", "top"),
        (2, "In HTML", "in-html"),
        (3, "With code, stars and a link", "with-code-stars-and-a-link"),
    ]


def test_custom_ids_and_labels_lead_to_their_section() -> None:
    text = "# One {#custom}\n\n(myst-label)=\n## Two\n\n<a name='old-name'></a>\n## Three\n\nprose\n"
    sections = read_markdown(text).sections
    assert (sections[0].title, sections[0].anchor, sections[0].aliases) == ("One", "custom", ("one",))
    assert sections[1].aliases == ("myst-label",)
    assert sections[2].aliases == ("old-name",)


def test_the_text_stays_the_source() -> None:
    text = "# A\r\n\r\n* b\r\n"
    assert read_markdown(text).text == "# A\n\n* b\n"
