"""Candidates of what commands print."""

from __future__ import annotations

from portico_gateway.agent.guided.extraction.plain_text import plain_text

STATUS = """On branch main
Changes to be committed:
  (use "git restore --staged <file>..." to unstage)
\tmodified:   VERSION

Untracked files:
  (use "git add <file>..." to include in what will be committed)
\tnotes.txt
\tdraft.txt
"""
LOG = "History:\nCommit: 1a\nAuthor: Ada\nMessage: Start\n\n\nCommit: 2b\nAuthor: Bob\nMessage: Go on: faster\n"


def texts(text: str) -> list[str]:
    return [candidate.text for candidate in plain_text(text)]


def test_a_section_is_told_under_its_heading_without_a_command_s_advice() -> None:
    found = texts(STATUS)
    assert "Untracked files: notes.txt, draft.txt" in found
    assert not any("(use" in text for text in found)


def test_records_of_lines_are_one_candidate_each() -> None:
    assert texts(LOG)[:2] == ["commit: 1a; author: Ada; message: Start", "commit: 2b; author: Bob; message: Go on: faster"]


def test_a_listing_stays_whole() -> None:
    assert "a.txt, b.txt, c.txt" in texts("a.txt\nb.txt\nc.txt")


def test_what_a_difference_adds_is_one_candidate() -> None:
    assert "added: two; three" in texts("--- a/x\n+++ b/x\n@@ -1 +1,3 @@\n one\n+two\n+three\n")


def test_headings_alone_are_no_answer() -> None:
    assert "# Title" not in texts("# Title\n\nSome words here.")


def test_a_long_paragraph_is_cut_into_sentences() -> None:
    assert len(set(texts("".join(f"This is sentence {n} of some length. " for n in range(20))))) > 1
