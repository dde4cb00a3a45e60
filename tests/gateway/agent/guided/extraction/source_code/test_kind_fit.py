from __future__ import annotations

from portico_gateway.agent.guided.extraction.source_code.expected import expected_code
from portico_gateway.agent.guided.extraction.source_code.kind_fit import KindFit, is_import
from portico_gateway.agent.guided.extraction.source_code.statements import source_tree
from portico_gateway.agent.guided.extraction.source_code.words import question_terms, with_synonyms


def fit(question: str, text: str, statement: int = 0, line: int | None = None) -> tuple[float, float]:
    tree, terms = source_tree("a.py", text), question_terms(question)
    at = tree.statements[statement]
    first, last = (at.first, at.last) if line is None else (line, line)
    return KindFit(tree, terms, with_synonyms(terms), expected_code(question)).of(at, first, last)


def test_the_class_that_is_named_fits_a_question_for_its_bases_best() -> None:
    question = "Which class does Pool derive from?"
    assert fit(question, "class Pool(Store):\n    pass") > fit(question, "class Other(Store):\n    pass")
    assert fit(question, "class Pool(Store):\n    pass")[1] > 0


def test_upper_and_lower_case_tell_a_class_from_a_function_of_its_name() -> None:
    question = "Which arguments does the constructor of BlockPool take?"
    constructor = "class BlockPool:\n    def __init__(self, size):\n        pass"
    assert fit(question, constructor, statement=1) > fit(question, "def block_pool(size):\n    pass")


def test_the_verb_of_a_question_names_no_function() -> None:
    assert fit("Which arguments does Pool take?", "def take(self):\n    pass")[1] == 0.0


def test_an_answer_to_which_function_is_not_the_function_that_is_named() -> None:
    question = "Which function calls drain_pool?"
    assert fit(question, "def drain_pool():\n    pass")[0] < fit(question, "def close():\n    drain_pool()", statement=1)[0]


def test_an_import_is_no_call() -> None:
    assert fit("Where is drain_pool used?", "from pool import drain_pool")[0] == 0.0
    assert fit("Where is drain_pool used?", "drain_pool()")[0] == 1.0


def test_a_value_fits_best_where_the_asked_name_is_given_it() -> None:
    question = "default block size?"
    assert fit(question, "block_size = 16")[0] > fit(question, "thread_block_size = 16")[0] > fit(question, "page = 16")[0]


def test_a_setting_is_given_a_value_by_a_call() -> None:
    assert (
        fit("default query parser?", "set('query parser', 'simple')")[0]
        > fit("default query parser?", "set('etag', 'weak')")[0]
    )


def test_imports_of_several_languages_are_known() -> None:
    for line in ("import os", "from a import b", "const a = require('a')", '#include "a.h"', "use std::fs;"):
        assert is_import(line), line
    assert not is_import("important = 1")
