"""Search, read and list over an indexed tree; every citation opens to the cited text."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from portico_servers.docs.config import DocsConfig
from portico_servers.docs.errors import PageNotFound, SourceError, TooSlow
from portico_servers.docs.index.database import ReadLimit
from portico_servers.docs.index.indexer import IndexingProgress
from portico_servers.docs.search.versions import version_key
from portico_servers.docs.service import Service


def _places(service: Service, query: str, library: str = "") -> list[str]:
    return [f"{h.path}#{h.anchor}" for h in service.library.search(query, library).hits]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("glass bottles", "guide.md#glass-bottles"),
        ("how do I close the box with tape?", "reference.rst#parcel.seal"),
        ("parcel.Label.print_on", "reference.rst#parcel.Label.print_on"),
        ("thread pool padder", "guide.md#fragile-goods"),
        ("pad_thickness", "guide.md#fragile-goods"),
        ("customs", "more/faq.html#faq"),
        ("poster tubes", "guide.md#choose-a-box-1"),
        # No word in common: by meaning alone.
        ("breakable items", "guide.md#fragile-goods"),
        ("international paperwork", "more/faq.html#faq"),
    ],
)
def test_search_finds_the_section(service: Service, query: str, place: str) -> None:
    assert place in _places(service, query)[:2]


def test_a_hit_says_where_it_stands_and_its_citation_opens_to_its_text(service: Service) -> None:
    for query in ("glass", "box", "label", "customs weight", "packing", "tape"):
        found = service.library.search(query)
        assert found.hits
        for hit in found.hits:
            page = service.library.page(hit.library, hit.version, hit.path)
            assert "\n".join(page.text.split("\n")[hit.line - 1 :]).startswith(hit.text)
            opened = service.library.read(hit.citation)
            assert hit.text.split("\n")[0] in opened.text
            assert opened.title_trail == hit.title_trail
            assert service.library.read(f"{hit.path}:{hit.line}").path == hit.path
    hit = service.library.search("glass bottles").hits[0]
    assert (hit.library, hit.version) == ("parcels", "local")
    assert hit.title_trail == ("Packing guide", "Fragile goods", "Glass bottles")
    assert 0 < hit.score <= 1


@pytest.mark.parametrize(
    "query", ['"', "a AND OR NOT", "NEAR(x", "col:box", "*", "^box", "(((", "'; DROP TABLE page; --", "日本", "\0", "-- x"]
)
def test_no_query_is_an_error(service: Service, query: str) -> None:
    found = service.library.search(query)
    assert found.complete
    assert found.hits or found.note == "searched parcels@local (3 pages)"


@pytest.mark.parametrize("query", ["***", "\0", "退款", "日本", "qwertzuiop", "carburetor"])
def test_a_question_that_shares_neither_word_nor_meaning_has_no_answer(service: Service, query: str) -> None:
    found = service.library.search(query)
    assert (found.hits, found.complete, found.note) == ([], True, "searched parcels@local (3 pages)")


def test_a_page_that_is_not_indexed_yet_is_waited_for(docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Service(DocsConfig((docs,), tmp_path / "cache", watch=False))) as service:
        asked = threading.Event()
        wait = IndexingProgress.wait

        def waiting(progress: IndexingProgress, seconds: float) -> bool:
            asked.set()
            return wait(progress, 60)

        monkeypatch.setattr(IndexingProgress, "wait", waiting)
        texts: list[str] = []
        reader = threading.Thread(target=lambda: texts.append(service.library.page("parcels", "local", "guide.md").text))
        reader.start()
        assert asked.wait(60)
        service.start()
        reader.join(60)
        assert texts == [(docs / "guide.md").read_text()]
        service.stop()


def test_a_page_that_is_not_there_while_the_index_is_built_is_not_found_yet(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portico_servers.docs.search.library._LONG_WAIT", 0.01)
    with closing(Service(DocsConfig((docs,), tmp_path / "cache", watch=False))) as service:
        for read in (lambda: service.library.page("parcels", "local", "guide.md"), lambda: service.library.read("guide.md")):
            with pytest.raises(PageNotFound, match=r"not found yet: .*guide.md \(indexing has just begun\)"):
                read()


def test_the_answer_keeps_to_its_budget_and_goes_on_where_it_stopped(service: Service) -> None:
    everything = _places(service, "box")
    first = service.library.search("box", budget=60)
    assert len(first.hits) == 1
    assert first.more
    assert len(first.hits[0].text) < 300
    rest = service.library.search("box", offset=1, budget=100_000)
    assert [f"{h.path}#{h.anchor}" for h in rest.hits] == everything[1:]


def test_equal_passages_are_given_once(tmp_path: Path) -> None:
    root = tmp_path / "d"
    root.mkdir()
    for name in ("a.md", "b.md"):
        (root / name).write_text("# Copy\n\nThe very same words about turnips.\n")
    with closing(Service(DocsConfig((root,), tmp_path / "cache", watch=False))) as service:
        service.indexer.update(service.library.library_versions())
        assert len(_places(service, "turnips")) == 1


def test_read_takes_a_page_a_section_a_line_or_a_bare_file_name(service: Service) -> None:
    read = service.library.read
    assert read("guide.md").text.startswith("# Packing guide")
    assert read("guide.md#fragile-goods").text.startswith("## Fragile goods")
    assert [s.anchor for s in read("guide.md#fragile-goods").sections] == ["glass-bottles"]
    assert "second section" in read("guide.md#choose-a-box-1").text
    assert read("guide.md:15").anchor == "glass-bottles"
    assert read("faq.html#cost").path == "more/faq.html"
    assert read("parcels/guide.md").path == "guide.md"
    assert read("guide.md#Glass bottles").anchor == "glass-bottles"
    assert read("docs://parcels/local/more/faq.html#cost").anchor == "cost"


def test_a_long_page_is_read_in_parts_that_join_to_the_whole(service: Service) -> None:
    parts, line = [], 0
    while True:
        got = service.library.read("guide.md", max_chars=120, from_line=line)
        parts.append(got.text)
        line = got.end + 1
        if got.end >= got.last:
            break
    assert len(parts) > 3
    assert "\n".join(parts) == service.library.page("parcels", "local", "guide.md").text


@pytest.mark.parametrize("path", ["../secret.md", "/etc/passwd", "nope.md", "", "guide.md/..", "more", "\0"])
def test_what_is_not_in_the_index_is_not_found(service: Service, path: str) -> None:
    with pytest.raises(PageNotFound, match="not found"):
        service.library.read(path)


def test_an_unknown_section_or_library_is_named_with_what_is_near(service: Service) -> None:
    with pytest.raises(PageNotFound, match="fragile-goods"):
        service.library.read("guide.md#fragile-good")
    with pytest.raises(PageNotFound, match="libraries: parcels"):
        service.library.search("x", "numpy")
    with pytest.raises(PageNotFound, match="it has local"):
        service.library.search("x", "parcels@9")


def test_the_newest_version_answers_unless_another_is_named(tmp_path: Path) -> None:
    with closing(Service(DocsConfig((), tmp_path / "cache", watch=False))) as service:
        for version, word in (("1.9", "carton"), ("1.10", "crate"), ("1.10rc1", "sack")):
            root = tmp_path / version
            root.mkdir()
            (root / "a.md").write_text(f"# Boxes\n\nUse a {word} here.\n")
            service.store.add_library_version("box", version, "dir", str(root))
        service.indexer.update(service.library.library_versions())
        texts = {name: service.library.search("boxes", name).hits for name in ("", "box", "box@1.9", "box@*")}
        assert ["crate" in h.text for h in texts[""]] == [True]
        assert [h.version for h in texts["box"]] == ["1.10"]
        assert [h.version for h in texts["box@1.9"]] == ["1.9"]
        said = service.library.search("Which boxes does box 1.9 use?").hits
        assert [h.version for h in said] == ["1.9"]
        assert [h.version for h in service.library.search("Which boxes does box 7.5 use?").hits] == ["1.10"]
        assert {h.version for h in texts["box@*"]} == {"1.9", "1.10", "1.10rc1"}


def test_versions_sort_as_people_count() -> None:
    names = ["2.0", "10.1", "local", "1.0rc1", "1.0", "1.0.1", "9"]
    assert sorted(names, key=version_key) == ["local", "1.0rc1", "1.0", "1.0.1", "2.0", "9", "10.1"]


def test_a_root_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such directory") as error:
        Service(DocsConfig((tmp_path / "nope",), tmp_path / "cache"))
    assert "\n" not in str(error.value)


def test_reads_end_when_their_limit_is_over_or_their_asker_is_gone(service: Service) -> None:
    limit = ReadLimit(60)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    threading.Timer(0.2, limit.cancel).start()
    with service.store.within(limit), pytest.raises(TooSlow), service.store.read() as db:
        db.execute(endless).fetchone()
    with service.store.within(ReadLimit(0.1)), pytest.raises(TooSlow), service.store.read() as db:
        db.execute(endless).fetchone()
    assert service.library.search("glass").hits


def test_an_anchor_that_several_sections_share_opens_all_of_them(tmp_path: Path) -> None:
    root = tmp_path / "d"
    root.mkdir()
    (root / "a.html").write_text("<main><h1 id=x>One</h1><p>alpha<h2 id=x>Two</h2><p>beta<h1 id=x>Three</h1><p>gamma</main>")
    with closing(Service(DocsConfig((root,), tmp_path / "cache", watch=False))) as service:
        service.indexer.update(service.library.library_versions())
        hit = service.library.search("gamma").hits[0]
        assert "gamma" in service.library.read(hit.citation).text


def test_search_says_how_often_the_words_of_a_query_occur(service: Service) -> None:
    page = service.library.search("Where is glass wrapped in unobtainium?")
    assert page.words == {"glass": 2, "wrapped": 1, "unobtainium": 0}
    assert page.passages >= 6


def test_a_question_leads_to_passages_under_their_pages_and_headings(service: Service) -> None:
    best = service.library.places("how much padding does fragile glass get?")["places"][0]
    assert best["name"].startswith("guide.md ")
    assert "Fragile goods" in best["name"]
    assert "pad_thickness" in best["text"]
    assert service.library.places(" ") == {}


def test_while_pages_are_read_a_question_leads_nowhere_yet(service: Service) -> None:
    service.library.progress.set(phase="reading")
    assert service.library.places("how much padding does fragile glass get?") == {}
