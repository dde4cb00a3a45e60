"""GBNF that is printed means what the IR means, reads well, and keeps within llama.cpp's limits where it is for llama.cpp."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import assume, given, settings
from tests.engine.grammar.llguidance.test_lark import GRAMMARS
from tests.engine.grammar.oracle import recognizes

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir
from portico_engine.grammar.gbnf import parse_gbnf, to_gbnf
from portico_engine.grammar.gbnf.left_recursion import left_recursion
from portico_engine.grammar.gbnf.printer import Target

STRINGS = ["".join(letters) for size in range(5) for letters in itertools.product("abc", repeat=size)]
LETTERS = ir.chars((97, 122))


@pytest.mark.parametrize("target", ["portico", "llama.cpp"])
@settings(max_examples=50, deadline=None)
@given(grammar=GRAMMARS)
def test_what_is_printed_parses_to_the_same_language(grammar: ir.Grammar, target: Target) -> None:
    assume(not any(left_recursion(grammar.rules)))
    text = to_gbnf(grammar, target=target)
    again = parse_gbnf(text)
    assert "# looser" not in text
    for sentence in STRINGS[::5]:
        assert recognizes(again, sentence) == recognizes(grammar, sentence), sentence


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (ir.Text('a"\\\n\t\r\x00\x7fé\u2028\U0001f600'), '"a\\"\\\\\\n\\t\\r\\x00\\x7Fé\\u2028\U0001f600"'),
        (ir.chars("abcx"), "[a-cx]"),
        (ir.chars("ab"), "[ab]"),
        (ir.chars("-]^["), "[\\-\\[\\]\\x5E]"),
        (ir.Chars(ir.complement(((97, 97),))), "[^a]"),
        (ir.chars((0, ir.MAX_CODE_POINT)), "."),
        (ir.chars("a"), '"a"'),
        (ir.EMPTY, '""'),
        (ir.seq(ir.repeat(LETTERS), ir.repeat(LETTERS, 1), ir.optional(LETTERS)), "[a-z]* [a-z]+ [a-z]?"),
        (ir.seq(ir.repeat(LETTERS, 2, 2), ir.repeat(LETTERS, 2), ir.repeat(LETTERS, 0, 9)), "[a-z]{2} [a-z]{2,} [a-z]{0,9}"),
        (ir.repeat(ir.alt(ir.text("a"), LETTERS)), '("a" | [a-z])*'),
        (ir.alt(ir.EMPTY, ir.text("a")), '"a" | ""'),
        (ir.seq(ir.TokenRef("<think>"), ir.TokenRef(7, negated=True)), "<think> !<[7]>"),
    ],
)
def test_a_node_reads_as_one_would_write_it(node: ir.Node, text: str) -> None:
    printed = to_gbnf(ir.Grammar({"root": node}))
    assert printed == f"root ::= {text}\n"
    assert parse_gbnf(printed).rules["root"] in (node, ir.alt(ir.text("a"), ir.EMPTY), ir.text("a"))


def test_the_start_is_called_root_and_only_what_it_reaches_is_printed() -> None:
    grammar = ir.Grammar(
        {"start": ir.seq(ir.Ref("root"), ir.Ref("x")), "root": ir.text("r"), "x": ir.text("x"), "unused": ir.EMPTY},
        "start",
        ("made by hand",),
    )
    assert to_gbnf(grammar) == '# made by hand\nroot ::= root-0 x\nroot-0 ::= "r"\nx ::= "x"\n'


def test_a_long_alternation_is_broken_after_its_bars() -> None:
    grammar = ir.Grammar({"root": ir.alt(*(ir.text(f"option number {i}") for i in range(12)))})
    text = to_gbnf(grammar)
    assert text.count("|\n  ") == 11
    assert parse_gbnf(text).rules == grammar.rules


def test_an_intersection_is_printed_as_right_linear_rules() -> None:
    no_aa = ir.And((ir.repeat(ir.chars("abc")), ir.Not(ir.seq(ir.ANY_TEXT, ir.text("aa"), ir.ANY_TEXT))))
    text = to_gbnf(ir.Grammar({"root": ir.seq(ir.text("<"), no_aa, ir.text(">"))}))
    again = parse_gbnf(text)
    assert not list(left_recursion(again.rules))
    for sentence in STRINGS:
        assert recognizes(again, f"<{sentence}>") == ("aa" not in sentence)


def test_beyond_two_thousand_states_a_looser_rule_is_marked() -> None:
    anything = ir.repeat(LETTERS, 0, 5000)
    no_bad = ir.Not(ir.seq(ir.ANY_TEXT, ir.text("bad"), ir.ANY_TEXT))
    text = to_gbnf(ir.Grammar({"root": ir.And((anything, no_bad))}))
    assert re.search(r"^# looser in rule root-automaton: bounds on repetitions are dropped", text, re.MULTILINE)
    assert re.search(r"^# looser: bounds", text, re.MULTILINE)
    again = parse_gbnf(text)
    assert recognizes(again, "good")
    assert not recognizes(again, "abad")
    blowup = ir.seq(ir.repeat(LETTERS), ir.text("a"), *[LETTERS] * 16)  # 2 ** 17 states, and no count to drop
    text = to_gbnf(ir.Grammar({"root": ir.And((blowup, ir.repeat(LETTERS)))}))
    assert "one part of an intersection alone is kept" in text
    text = to_gbnf(ir.Grammar({"root": ir.Not(blowup)}))
    assert "a complement became any text" in text


def test_for_llama_cpp_repetitions_keep_within_what_it_counts() -> None:
    grammar = ir.Grammar({"root": ir.seq(ir.repeat(LETTERS, 0, 10_000), ir.text(":"), ir.repeat(ir.text("x"), 4500, None))})
    text = to_gbnf(grammar, target="llama.cpp")
    assert "# looser in rule root: at most 10,000 repetitions became any number" in text
    assert '[a-z]* ":" (root-part{2000} root-part{2000} root-part{500,})' in text
    assert "looser" not in to_gbnf(grammar)
    assert "[a-z]{0,10000}" in to_gbnf(grammar)


def test_what_stands_in_many_places_gets_a_rule() -> None:
    character = ir.alt(
        ir.Chars(ir.complement(ir.merge_ranges([(34, 34), (92, 92)]))), ir.seq(ir.text("\\"), ir.chars('"\\bfnrt'))
    )
    grammar = ir.Grammar({"root": ir.seq(ir.repeat(character, 0, 9), ir.text('"'), ir.repeat(character, 1, 5))})
    assert to_gbnf(grammar) == 'root ::= char{0,9} "\\"" char{1,5}\nchar ::= [^"\\\\] | "\\\\" ["\\\\bfnrt]\n'


def test_a_missing_rule_is_named() -> None:
    with pytest.raises(GrammarError, match="'gone'"):
        to_gbnf(ir.Grammar({"root": ir.Ref("gone")}))
