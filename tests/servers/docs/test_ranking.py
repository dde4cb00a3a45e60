"""Fusion, the gate that keeps large indexes fast, and the two-step search of embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from portico_servers.docs import ranking, vectors
from portico_servers.docs.ranking import expression, fuse, telling_words
from portico_servers.docs.service import Service
from portico_servers.docs.vectors import Vectors


def test_fusion_adds_reciprocal_ranks_and_first_everywhere_is_one() -> None:
    scores = fuse({"a": [1, 2], "b": [1, 3]}, {"a": 1.0, "b": 0.5})
    assert scores[1] == pytest.approx(1.0)
    assert scores[2] == pytest.approx((1 / 12) / (1.5 / 11))
    assert scores[2] > scores[3]
    assert fuse({"a": [], "b": [7]}, {"a": 1.0, "b": 0.5}) == {7: pytest.approx(1.0)}


def test_words_that_carry_nothing_are_dropped_unless_there_are_no_others() -> None:
    assert telling_words("How do I use os.path.join in a thread?") == ["os.path.join", "thread"]
    assert telling_words("how to do it") == ["how", "to", "do", "it"]
    assert telling_words("?!") == []


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
        wanted = full.nearest(query, None, 50)
        assert len(set(wanted) & set(short.nearest(query, None, 50))) >= 48
        assert all(passage % 2 == 1 for passage, _ in short.nearest(query, [1], 50))
    assert full.nearest(np.zeros(256, np.float32), None) == []


class _Rows:
    def __init__(self, rows: list[tuple[int, int, int, bytes]]) -> None:
        self._rows = rows

    def execute(self, statement: str) -> _Rows:
        return self

    def fetchall(self) -> list[tuple[int, int, int, bytes]]:
        return self._rows
