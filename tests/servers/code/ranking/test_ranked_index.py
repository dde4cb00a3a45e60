"""Ranking: segments give what one index would, and each part does what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from portico_servers.code.index.extraction import extract
from portico_servers.code.index.store import IndexStore
from portico_servers.code.ranking.path_prior import asks_for_tests, path_prior
from portico_servers.code.ranking.ranked_index import RankedIndex, ScoredChunk
from portico_servers.code.ranking.rerank import RankingWeights
from portico_servers.common.embeddings import shared_embedder

OFF = RankingWeights(0, 0, 0, 0, 0, 0, 0, 0)
FILES = {
    "pool.py": "def release_block(block):\n    pool.append(block)\n    return None\n",
    "other.py": "def unrelated():\n    block = 1\n    return block\n",
    "tests/test_pool.py": "def test_release_block():\n    release_block(1)\n    assert True\n",
    "config.py": "class Config:\n    def load(self):\n        return read_settings()\n",
}


def build(
    tmp_path: Path, files: dict[str, str], weights: RankingWeights, *, at_once: bool = True
) -> tuple[RankedIndex, IndexStore]:
    tmp_path.mkdir(exist_ok=True)
    store = IndexStore(tmp_path, tmp_path / "cache")
    ranked = RankedIndex(store, weights)
    facts = [extract(path, len(text), 1, text.encode()) for path, text in files.items()]
    for batch in [facts] if at_once else [[item] for item in facts]:
        ranked.add(store.put(batch))
        ranked.merge_segments()
    return ranked, store


def paths(ranked: RankedIndex, hits: list[ScoredChunk]) -> list[str]:
    return [ranked.files[hit.file_id].path for hit in hits]


def test_a_word_finds_what_holds_it_and_nothing_else(tmp_path: Path) -> None:
    ranked, store = build(tmp_path, FILES, OFF)
    assert set(paths(ranked, ranked.search("block"))) == {"pool.py", "other.py", "tests/test_pool.py"}
    assert ranked.search("nowhere_at_all") == []
    assert ranked.search("") == []
    store.close()


def test_an_index_tells_how_many_pieces_hold_a_word(tmp_path: Path) -> None:
    ranked, store = build(tmp_path, FILES, OFF)
    assert ranked.holding("block") == ranked.holding("Blocks") == len(ranked.search("block"))
    assert ranked.holding("release_block") < ranked.holding("block")
    assert ranked.holding("nowhere_at_all") == ranked.holding("") == 0
    store.close()


def test_scores_are_those_of_the_textbook(tmp_path: Path) -> None:
    """BM25 of one term by hand: idf = ln(1 + (N - n + .5) / (n + .5)), tf part with k1 = 1.2, b = 0.75."""
    ranked, store = build(
        tmp_path, {"a.txt": "alpha beta beta\n", "b.txt": "alpha gamma\n", "c.txt": "gamma gamma gamma delta\n"}, OFF
    )
    (best,) = ranked.search("beta")
    mean = (3 + 2 + 4) / 3
    idf = np.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    assert best.score == pytest.approx(idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / mean)), rel=1e-5)
    store.close()


def test_the_definition_of_a_name_comes_before_its_test(tmp_path: Path) -> None:
    ranked, store = build(tmp_path, FILES, RankingWeights())
    assert paths(ranked, ranked.search("release block"))[0] == "pool.py"
    assert paths(ranked, ranked.search("test release block"))[0] == "tests/test_pool.py"
    store.close()


@pytest.mark.parametrize("part", ["name", "path", "named", "definition", "file", "prior", "semantic", "spread"])
def test_each_part_changes_scores_when_on_and_nothing_when_off(tmp_path: Path, part: str) -> None:
    ranked, store = build(
        tmp_path, {**FILES, "pool_notes.md": "# Pool\n\nrelease block pool\n", "big.py": FILES["pool.py"] * 30}, OFF
    )
    ranked.embed(shared_embedder())
    plain = [(hit.file_id, hit.start, hit.score) for hit in ranked.search("release pool block")]
    ranked.weights = replace(OFF, **{part: 0.5})
    assert [(hit.file_id, hit.start, hit.score) for hit in ranked.search("release pool block")] != plain
    store.close()


def test_many_small_segments_rank_as_one(tmp_path: Path) -> None:
    """Only the mean length differs between segments, so the order of equals may not; the set is the same."""
    many = {f"m{i}.py": f"def function_{i}():\n    shared_word = {i}\n    return marker_{i}\n" for i in range(40)}
    one, first = build(tmp_path / "one", many, RankingWeights())
    lots, second = build(tmp_path / "lots", many, RankingWeights(), at_once=False)
    assert len(lots._segments) <= 8
    for question in ("shared word", "marker_7", "function"):
        assert set(paths(one, one.search(question))) == set(paths(lots, lots.search(question)))
    assert paths(lots, lots.search("marker_7"))[0] == paths(one, one.search("marker_7"))[0] == "m7.py"
    first.close()
    second.close()


def test_a_changed_file_is_found_by_its_new_words_only_also_after_merging(tmp_path: Path) -> None:
    ranked, store = build(tmp_path, FILES, RankingWeights())
    old = {file.path: file.id for file in store.files()}
    for turn in range(12):
        text = f"def renamed_{turn}():\n    fresh = 1\n    return fresh\n"
        stored = store.put([extract("pool.py", len(text), turn, text.encode())])
        ranked.remove([old["pool.py"]])
        ranked.add(stored)
        ranked.merge_segments()
        old["pool.py"] = stored[0].id
    assert "pool.py" not in paths(ranked, ranked.search("append"))
    assert paths(ranked, ranked.search("renamed_11"))[0] == "pool.py"
    assert paths(ranked, ranked.search("fresh")) == ["pool.py"]
    store.close()


def test_meaning_lifts_a_piece_that_says_it_in_other_words(tmp_path: Path) -> None:
    files = {
        "a.py": "def remove_document():\n    folder.erase(document)\n    return thing\n",
        "b.py": "def paint_circle():\n    canvas.draw(circle)\n    return thing\n",
    }
    ranked, store = build(tmp_path, files, replace(OFF, semantic=1.0))
    ranked.embed(shared_embedder())
    hits = ranked.search("delete a file thing")
    assert paths(ranked, hits)[0] == "a.py"
    assert hits[0].score > hits[1].score * 1.05
    store.close()


def test_a_filter_leaves_only_what_it_accepts(tmp_path: Path) -> None:
    ranked, store = build(tmp_path, FILES, RankingWeights())
    assert paths(ranked, ranked.search("block", accept=lambda file: file.path.startswith("tests/"))) == ["tests/test_pool.py"]
    store.close()


@pytest.mark.parametrize(
    ("likelier", "other"),
    [
        ("src/pool.py", "tests/test_pool.py"),
        ("src/pool.py", "vendor/pool.py"),
        ("src/pool.py", "docs/pool.md"),
        ("a.ts", "a.d.ts"),
        ("a.go", "a_test.go"),
    ],
)
def test_priors_prefer_a_projects_own_code(likelier: str, other: str) -> None:
    from portico_servers.code.syntax.languages import language_of

    assert path_prior(likelier, language_of(likelier)) > path_prior(other, language_of(other))


@pytest.mark.parametrize(
    ("question", "tests"),
    [
        ("which test releases a block?", True),
        ("where are the tests of the pool", True),
        ("which class do I use to test commands?", False),
        ("what is the greatest depth of the pool", False),
        ("what base url does TestClient use", False),
    ],
)
def test_tests_are_meant_where_the_word_says_so(question: str, tests: bool) -> None:
    assert asks_for_tests(question) is tests
