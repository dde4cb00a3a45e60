"""What is printed for llguidance means what the IR means: llguidance against the slow recognizer, on every short string."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.grammar.oracle import MARK, accepts, forced, recognizes
from tests.engine.grammar.regular.test_automata import NODES

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir
from portico_engine.grammar.llguidance import lexing, lexing_conflicts
from portico_engine.grammar.llguidance.lark import to_lark
from portico_engine.grammar.llguidance.lexing_conflicts import Conflicts, same_first_byte

STRINGS = ["".join(letters) for size in range(5) for letters in itertools.product("abc", repeat=size)]
NAMES = ("root", "x", "y", "X")


def _extend(inner: st.SearchStrategy[ir.Node]) -> st.SearchStrategy[ir.Node]:
    bounds = st.tuples(st.integers(0, 2), st.sampled_from([None, 1, 2]))
    return st.one_of(
        st.builds(lambda parts: ir.seq(*parts), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda parts: ir.alt(*parts), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda item, b: ir.repeat(item, b[0], None if b[1] is None else b[0] + b[1]), inner, bounds),
    )


BODIES = st.recursive(st.one_of(NODES, st.sampled_from(NAMES).map(ir.Ref)), _extend, max_leaves=5)
GRAMMARS = st.fixed_dictionaries(dict.fromkeys(NAMES, BODIES)).map(ir.Grammar)


def disagreements(grammar: ir.Grammar, texts: list[str]) -> list[str]:
    lark = to_lark(grammar).text
    return [text for text in texts if accepts(lark, text) != recognizes(grammar, text)]


@settings(max_examples=50, deadline=None)
@given(GRAMMARS)
def test_any_grammar_keeps_its_language(grammar: ir.Grammar) -> None:
    assert not disagreements(grammar, STRINGS[:60] + STRINGS[60::7])


@settings(max_examples=50, deadline=None)
@given(grammar=GRAMMARS)
def test_any_grammar_cut_into_many_lexemes_keeps_its_language(grammar: ir.Grammar) -> None:
    with pytest.MonkeyPatch.context() as patch:  # so that short repetitions count as long ones, and small classes as wide
        patch.setattr(lexing, "WIDE", 2)
        patch.setattr(lexing, "LONG_REPEAT", 2)
        assert not disagreements(grammar, STRINGS[:60] + STRINGS[60::7])


def test_without_the_analysis_greedy_reading_would_change_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    word = ir.repeat(ir.chars("abc"), 1, None)
    grammar = ir.Grammar({"root": ir.seq(ir.Ref("words"), ir.text("c")), "words": ir.alt(word, ir.seq(word, ir.Ref("words")))})
    assert not disagreements(grammar, STRINGS)
    monkeypatch.setattr(lexing, "find_conflicts", lambda *_: Conflicts([], False))
    assert "abc" in disagreements(grammar, STRINGS)


def test_what_is_read_in_small_pieces_is_told() -> None:
    name = ir.repeat(ir.chars((97, 122)), 1, None)
    grammar = ir.Grammar({"root": ir.alt(ir.seq(ir.text("("), ir.Ref("root"), ir.text(")")), ir.seq(name, ir.Ref("tail"))),
                          "tail": ir.alt(ir.text("x"), ir.seq(ir.text("x"), ir.Ref("root")))})  # fmt: skip
    text, notes, _ = to_lark(grammar)
    assert accepts(text, "(abx)")
    assert len(notes) == 1
    assert "`[a-z]+`" in notes[0]


def test_a_regular_grammar_is_one_lexeme_and_costs_no_notes() -> None:
    text, notes, _ = to_lark(ir.Grammar({"root": ir.seq(ir.Ref("word"), ir.text("x")), "word": ir.repeat(ir.chars((97, 122)))}))
    assert accepts(text, "abx")
    assert not accepts(text, "ab")
    assert not notes


def test_lexemes_whose_next_characters_share_a_first_byte_are_no_trap() -> None:
    # あ is E3 81 82 and 。is E3 80 82: after あ a lexer that could read on as い (E3 81 84) has taken E3 already
    kana = ir.repeat(ir.chars("あい"), 1, None)
    grammar = ir.Grammar({"root": ir.alt(kana, ir.seq(kana, ir.text("。"), ir.Ref("root"), ir.text("。")))})
    assert not disagreements(grammar, ["あ", "あい", "あ。い。", "あ。", "。", "い。あ。い。。", "あ。い"])
    assert same_first_byte(((0x61, 0x61), (0x3042, 0x3042))) == ((0x61, 0x61), (0x3000, 0x3FFF))
    assert same_first_byte(((0xE9, 0xE9), (0x10FFFF, 0x10FFFF))) == ((0xC0, 0xFF), (0x100000, 0x10FFFF))


def test_forced_text_stays_forced_across_lexemes_and_rules() -> None:
    string = ir.seq(ir.text('"'), ir.repeat(ir.chars((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E)), 0, 512), ir.text('"'))
    value = ir.alt(ir.Ref("string"), ir.seq(ir.text("["), ir.Ref("value"), ir.text("]")))
    body = ir.seq(ir.text('{"name":'), ir.Ref("string"), ir.text(',"value":'), ir.Ref("value"), ir.text("}"))
    lark = to_lark(ir.Grammar({"root": body, "string": string, "value": value})).text
    assert forced(lark) == '{"name":"'
    assert forced(lark, '{"name":"a"') == ',"value":'
    assert forced(lark, '{"name":"a","value":["b"') == "]}"


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "//",
        "#x",
        "\\",
        '"',
        "\n",
        "\x00",
        "\x7f",
        "[a]",
        "a-b",
        "^",
        "&",
        "~",
        "%json",
        "é",
        "日本",
        "\U0001f600",
        "\x85\u2028",
    ],
)
def test_every_character_survives_in_strings_and_classes(text: str) -> None:
    for node in (ir.Text(text), ir.repeat(ir.chars(text), 1, len(text)), ir.seq(ir.Text(text), ir.Ref("other"))):
        lark = to_lark(ir.Grammar({"root": node, "other": ir.alt(ir.EMPTY, ir.Text(text))})).text
        assert accepts(lark, text)
        assert not accepts(lark, text + "y")


def test_deep_nesting_is_given_names_before_the_matcher_refuses_it() -> None:
    node: ir.Node = ir.chars("a")
    for depth in range(60):
        node = ir.seq(ir.text("("), ir.alt(node, ir.text(str(depth))), ir.text(")"))
    assert accepts(to_lark(ir.Grammar({"root": node})).text, "(" * 60 + "a" + ")" * 60)
    deep = ir.Grammar({"root": ir.alt(node, ir.seq(ir.text("<"), ir.Ref("root"), ir.text(">")))})
    assert accepts(to_lark(deep).text, "<" + "(" * 60 + "a" + ")" * 60 + ">")


def test_names_that_differ_by_case_alone_or_begin_with_a_digit_are_kept_apart() -> None:
    rules = {
        "root": ir.seq(ir.Ref("A"), ir.Ref("a"), ir.Ref("7"), ir.Ref("-"), ir.Ref("start")),
        "A": ir.text("1"),
        "a": ir.text("2"),
    }
    rules |= {
        "7": ir.alt(ir.text("3"), ir.seq(ir.text("("), ir.Ref("7"), ir.text(")"))),
        "-": ir.text("4"),
        "start": ir.text("5"),
    }
    assert accepts(to_lark(ir.Grammar(rules)).text, "12(3)45")


def test_token_references_by_id_are_single_tokens() -> None:
    lark = to_lark(ir.Grammar({"root": ir.seq(ir.TokenRef(MARK), ir.text("a"), ir.TokenRef(MARK, negated=True))})).text
    assert accepts(lark, [MARK, *b"ab"])
    assert not accepts(lark, [*b"ab"])
    assert not accepts(lark, [MARK, *b"a", MARK])


def test_what_can_not_be_printed_is_named() -> None:
    with pytest.raises(GrammarError, match="no rule 'root'"):
        to_lark(ir.Grammar({"x": ir.text("a")}))
    with pytest.raises(GrammarError, match="refers to 'gone'"):
        to_lark(ir.Grammar({"root": ir.Ref("gone")}))
    with pytest.raises(GrammarError, match="use its id"):
        to_lark(ir.Grammar({"root": ir.TokenRef("<think>", negated=True)}))
    with pytest.raises(GrammarError, match="not regular"):
        to_lark(ir.Grammar({"root": ir.alt(ir.And((ir.Ref("root"), ir.text("a"))), ir.text("b"))}))


def test_an_intersection_that_must_be_cut_is_read_a_character_at_a_time() -> None:
    no_aa = ir.And((ir.repeat(ir.chars("ab")), ir.Not(ir.seq(ir.ANY_TEXT, ir.text("aa"), ir.ANY_TEXT))))
    grammar = ir.Grammar({"root": ir.alt(ir.text("c"), ir.seq(no_aa, ir.text("b"), ir.Ref("root")))})
    assert not disagreements(grammar, [text + end for text in STRINGS for end in ("", "bc")])
    assert to_lark(grammar).notes


def test_an_ambiguity_too_wide_to_follow_costs_speed_and_not_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexing_conflicts, "MAX_ROWS", 2)
    word = ir.repeat(ir.chars("ab"), 1, 3)
    grammar = ir.Grammar({"root": ir.alt(word, ir.seq(ir.text("c"), ir.Ref("root"), word, ir.text("bc")))})
    assert not disagreements(grammar, STRINGS)
