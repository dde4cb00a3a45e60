"""Identifiers and questions give the same terms."""

from __future__ import annotations

import pytest

from portico_servers.code.ranking import tokens


@pytest.mark.parametrize(
    ("word", "terms"),
    [
        ("parseHTTPHeader", ("pars", "http", "header", "parsehttpheader")),
        ("parse_http_header", ("pars", "http", "header", "parsehttpheader")),
        ("KVBlock2", ("kv", "block", "kvblock2")),
        ("__init__", ("init",)),
        ("größe", ("größ",)),
        ("naïveÜberGröße_2", ("naïveübergröß", "naïveübergröße2")),
        ("x", ()),
        ("1234567", ()),
    ],
)
def test_an_identifier_gives_its_parts_and_itself(word: str, terms: tuple[str, ...]) -> None:
    assert tokens.split(word) == terms


@pytest.mark.parametrize(
    "family",
    [("block", "blocks"), ("index", "indexes", "indexed"), ("cache", "cached", "caches", "caching"), ("query", "queries")],
)
def test_forms_of_one_word_meet(family: tuple[str, ...]) -> None:
    assert len({tokens.stem(word) for word in family}) == 1


def test_words_that_only_look_like_forms_are_left_alone() -> None:
    assert [tokens.stem(word) for word in ("class", "bus", "this", "is", "ring")] == ["class", "bus", "this", "is", "ring"]


def test_a_question_loses_its_filler_unless_that_is_all_there_is() -> None:
    assert tokens.question_terms("Where is the KV block freed?") == ["kv", "block", "free"]
    assert tokens.question_terms("what is it") == ["what", "is", "it"]
    assert tokens.question_terms("find a class") == ["find", "class"]
    assert tokens.question_terms("") == []


def test_path_terms_leave_the_extension_out() -> None:
    assert list(tokens.path_terms("src/httpClient/retry.py")) == ["src", "http", "client", "httpclient", "retry"]
