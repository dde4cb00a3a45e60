"""Fusion, the gate that keeps large indexes fast, and the two-step search of embeddings."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from portico_servers.docs.config import DocsConfig
from portico_servers.docs.index import vectors
from portico_servers.docs.index.vectors import Vectors
from portico_servers.docs.search import ranking
from portico_servers.docs.search.ranking import (
    FUSION,
    LexicalMatch,
    LexicalResult,
    Neighbour,
    content_words,
    expression,
    fuse,
    lexical_search,
    normalized_scores,
    rank,
)
from portico_servers.docs.service import Service


def _scored(*rows: tuple[int, float]) -> list[LexicalMatch]:
    return [LexicalMatch(passage, section, "page.md", score) for passage, (section, score) in enumerate(rows)]


def test_fusion_is_the_weighted_mean_and_best_everywhere_is_one() -> None:
    scores = fuse({"a": {1: 1.0, 2: 0.5}, "b": {1: 1.0, 3: 1.0}, "c": {9: 1.0}}, {"a": 1.0, "b": 0.5, "c": 0.0})
    assert scores == {1: pytest.approx(1.0), 2: pytest.approx(1 / 3), 3: pytest.approx(1 / 3)}


def test_a_term_is_what_its_section_speaks_of_again_and_again_and_a_sentence_is_answered_in_one_place() -> None:
    words = _scored((1, 4.0), (2, 3.5), (2, 3.5))
    assert normalized_scores(words) == {1: 1.0, 2: 0.875}
    assert normalized_scores(words, 0.5) == {1: pytest.approx(4 / 5.25), 2: 1.0}
    assert [r.section for r in rank(LexicalResult(words, [], [], {}, term=True))] == [2, 1]
    assert [r.section for r in rank(LexicalResult(words, [], [], {}, term=False))] == [1, 2]
    assert normalized_scores([]) == {}


def test_a_hit_shows_the_passage_that_fits_best_and_lists_of_changes_come_later() -> None:
    words = [
        LexicalMatch(10, 1, "changelog.md", 4.0),
        LexicalMatch(20, 2, "guide.md", 3.9),
        LexicalMatch(21, 2, "guide.md", 1.0),
    ]
    ranked = rank(LexicalResult(words, [], [], {}, term=False), [Neighbour(30, 3, 0.9), Neighbour(22, 2, 0.1)])
    assert [(r.section, r.passage) for r in ranked] == [(2, 20), (1, 10), (3, 30)]
    assert all(0 < r.score < 1 for r in ranked)


def test_the_section_whose_name_is_the_question_comes_first(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    root.mkdir()
    (root / "box.rst").write_text(
        "Boxes\n=====\n\n.. module:: parcels\n\n.. function:: pack(things, tape=True)\n\n   Puts them in.\n\n"
        "Usage\n-----\n\nCall parcels.pack to pack: parcels.pack packs all parcels. Pack parcels with parcels.pack.\n"
    )
    with closing(Service(DocsConfig((root,), tmp_path / "cache", watch=False))) as service:
        service.indexer.update(service.library.library_versions())
        with service.store.read() as db:
            found = lexical_search(db, "parcels.pack", None)
        (named,) = [s.id for s in service.store.sections(1) if s.anchor == "parcels.pack"]
    assert found.names == {named: 1.0}
    assert rank(found)[0].section == named
    assert rank(found, weights={**FUSION, "names": 0.0})[0].section != named


def test_words_that_carry_nothing_are_dropped_unless_there_are_no_others() -> None:
    assert content_words("How do I use os.path.join in a thread?") == ["os.path.join", "thread"]
    assert content_words("how to do it") == ["how", "to", "do", "it"]
    assert content_words("?!") == []


def test_common_words_count_only_beside_a_rarer_one() -> None:
    counts = {'"rare"': 10, '"middling"': 2_000, '"common"': 50_000}
    match = expression(["common", "rare", "middling"], counts.__getitem__)
    assert match.words == '("rare" OR "middling") AND ("common" OR "rare" OR "middling")'
    assert 'NEAR("common" "rare"' in match.near
    assert expression(["rare", "middling"], counts.__getitem__).words == '"rare" OR "middling"'
    assert expression(["common"], counts.__getitem__).words == '"common"'
    assert expression([]).words == ""


def test_the_gate_and_the_shortlist_leave_the_best_hits_where_they_are(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = ["glass bottles", "close the box with tape", "customs forms abroad", "postage weight"]
    before = [service.library.search(q).hits[0].citation for q in queries]
    monkeypatch.setattr(ranking, "GATE_ROWS", 1)
    monkeypatch.setattr(vectors, "FULL_ROWS", 0)
    with service.store.read() as db:
        service.vectors.load(db)
    assert [service.library.search(q).hits[0].citation for q in queries] == before


def test_the_shortlist_finds_nearly_all_that_a_full_product_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    scale = 1 / np.sqrt(1 + np.arange(256))  # the first dimensions carry most, as the model's do
    whole = rng.normal(size=(6_000, 256)) * scale
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)

    def loaded(full_rows: int) -> Vectors:
        monkeypatch.setattr(vectors, "FULL_ROWS", full_rows)
        made = Vectors()
        made.load(_Rows([(n, n, n % 2, row.astype(np.float16).tobytes()) for n, row in enumerate(whole)]))  # type: ignore[arg-type]
        return made

    full, short = loaded(10_000), loaded(0)
    for _ in range(5):
        query = (rng.normal(size=256) * scale).astype(np.float32)
        wanted = {near.passage for near in full.nearest(query, None, 50)}
        assert len(wanted & {near.passage for near in short.nearest(query, None, 50)}) >= 48
        assert all(near.passage % 2 == 1 for near in short.nearest(query, [1], 50))
    assert full.nearest(np.zeros(256, np.float32), None) == []


class _Rows:
    def __init__(self, rows: list[tuple[int, int, int, bytes]]) -> None:
        self._rows = rows

    def execute(self, statement: str) -> _Rows:
        return self

    def fetchall(self) -> list[tuple[int, int, int, bytes]]:
        return self._rows


def test_a_section_whose_name_a_question_spells_comes_before_those_with_its_words(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    root.mkdir()
    entries = "\n".join(
        f".. data:: KEY_{n}\n\n   Which value of the body the key has when a status is late.\n" for n in range(9)
    )
    (root / "config.rst").write_text(f"Config\n======\n\n{entries}\n.. data:: MAX_BODY_SIZE\n\n   Refused with 413.\n")
    (root / "status.md").write_text(
        "# Status code\n\nThe status code that you get when the request body exceeds what is sent.\n"
    )
    with closing(Service(DocsConfig((root,), tmp_path / "cache", watch=False))) as service:
        service.indexer.update(service.library.library_versions())
        hits = service.library.search("Which status code do I get when the body exceeds MAX_BODY_SIZE?").hits
    assert "Refused with 413" in hits[0].text


def test_a_page_whose_file_a_question_spells_comes_before_others_that_say_the_same(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    root.mkdir()
    for name, word in (("alpha", "red"), ("beta", "green"), ("gamma", "blue")):
        (root / f"{name}.md").write_text(f"# Colours\n\nThe pump is painted {word} before it leaves.\n")
    with closing(Service(DocsConfig((root,), tmp_path / "cache", watch=False))) as service:
        service.indexer.update(service.library.library_versions())
        hits = service.library.search("Which colour is the pump painted, according to beta.md?").hits
    assert hits[0].path == "beta.md"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("what does tool memory --save do?", {"--save"}),
        ("which fields does .columns return", {".columns"}),
        ("Is MAX_SIZE like os.path or ThreadPool? E.g. in 3.1", {"max_size", "os.path", "threadpool"}),
        ("plain words of a sentence. And more", set()),
    ],
)
def test_names_that_a_question_spells_are_told_from_words(query: str, names: set[str]) -> None:
    assert ranking.spelled_names(query) >= names
    assert names or not ranking.spelled_names(query)
