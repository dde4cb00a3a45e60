"""What texts a Lark grammar or a regular expression allows, through the matcher that enforces it."""

from __future__ import annotations

import json
import re

import pytest
from tests.engine.grammar.oracle import accepts

from portico_engine.errors import GrammarError
from portico_engine.grammar.calls.compile import compile_tool_calls
from portico_engine.grammar.lark.language import text_language
from portico_engine.tool import TextInput, text_tool

PATCH = r"""
start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?

hunk: add_hunk | delete_hunk
    | update_hunk   // a rule goes on behind a bar
add_hunk: "*** Add File: " filename LF add_line+
delete_hunk: "*** Delete File: " filename LF
update_hunk: "*** Update File: " filename LF change+

filename: /(.+)/
add_line: "+" /(.*)/ LF -> line
change: ("@@" | "@@ " /(.+)/) LF | ("+" | "-" | " ") /(.*)/ LF

%import common.LF
"""
SUMS = """
?start: sum
sum: sum ("+" | "-") product -> add
   | product
product: product "*" atom | atom
atom: NUMBER | "(" sum ")"
%import common (NUMBER, WS_INLINE)
%ignore WS_INLINE
"""


def allows(syntax: str, definition: str, text: str) -> bool:
    """Is a call with this text allowed, and is nothing but the definition the reason if not?"""
    tool = text_tool("t", "", TextInput(syntax, definition))  # type: ignore[arg-type]
    compiled = compile_tool_calls([tool])
    assert compiled.report.exact, compiled.report
    return accepts(compiled.text, f'{{"name":"t","arguments":{{"input":{json.dumps(text, ensure_ascii=False)}}}}}')


ADDED = '*** Begin Patch\n*** Add File: a.py\n+print("hi\\n")\n+\n*** End Patch'


@pytest.mark.parametrize(
    ("definition", "good", "bad"),
    [
        (
            PATCH,
            (ADDED, ADDED + "\n", "*** Begin Patch\n*** Update File: ü.py\n@@ def f\n-\told\r\n+new\n*** End Patch"),
            ("", ADDED.replace("*** End", "*** And"), ADDED.replace("+print", "print"), "*** Begin Patch\n*** End Patch", "hi"),
        ),
        (SUMS, ("1", "1 + 2 * (3.5 - 4)", " ((1))", "1e5"), ("", "1 +", "(1", "1 2", "a")),
        ('start: "a"~2 | "b"~1..3', ("aa", "b", "bbb"), ("a", "aaa", "bbbb", "ab")),
        ('start: ["x"] ("a".."c")+', ("a", "xabc"), ("", "x", "xd")),
        ('start: "select"i /[a-z]+/i', ("SELECTx", "selectABC"), ("select", "sel")),
        ('start: A b\nA.2: /x\\/y/\n!b: "\\n" | A', ("x/y\n", "x/yx/y"), ("x/y", "x\\/y\n")),
        ("start: ESCAPED_STRING\n%import common.ESCAPED_STRING", ('"a"', r'"a\"b"'), ('"a', 'a"')),
        ("start: N\n%import common.SIGNED_NUMBER -> N", ("-1.5e3", ".5"), ("-", "1e")),
        ('start: "a"?B+\nB: "b"', ("b", "abb"), ("a", "aab")),
        ('start: "(" start ")" | "x"', ("x", "((x))"), ("((x)", "()")),
    ],
)
def test_a_lark_grammar_allows_its_texts_and_no_others(definition: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    for text in good:
        assert allows("lark", definition, text), text
    for text in bad:
        assert not allows("lark", definition, text), text


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\d{4}-\d\d$", ("2026-11",), ("2026-1", "x2026-11", "2026-11\n")),
        (r"(?i)yes|no", ("YES", "no"), ("yes!", "")),
        (r"a.b", ("a\u2028b", "a\rb", 'a"b'), ("a\nb",)),
    ],
)
def test_a_regular_expression_describes_the_whole_text(pattern: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    for text in good:
        assert allows("regex", pattern, text), text
    for text in bad:
        assert not allows("regex", pattern, text), text


def test_without_a_definition_any_text_of_any_length_is_taken() -> None:
    assert allows("any", "", 'x"\\\n\u2028' * 2000)


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ("start: foo", "line 1: 'foo' is not defined"),
        ('begin: "a"', "no rule 'start'"),
        ('start: "a', "line 1: '\"' begins nothing"),
        ("start: a\na: /[/", "line 2: the regular expression /[/ can't be read"),
        ("start: a\n\na: /(/", "line 3: the regular expression"),
        ('start: ("a"', "`)` was due"),
        ('start: "a" )', "line 1: a rule ends at its line's end"),
        ('start: "a"\nstart: "b"', "line 2: 'start' is defined twice"),
        ('start: "a"~3..2', "asks for at least 3 and at most 2"),
        ('start: "a"~99999999', "may count to"),
        ("%import python.NAME\nstart: NAME", "only %import common.NAME"),
        ("%import common.NOPE\nstart: NOPE", "common has no NOPE"),
        ("%declare A\nstart: A", "%declare is not taken here"),
        ('start: pair{"a"}\npair{x}: x', "line 1"),
        ('start: a\na: b\nb: a | "x"', "begins with itself"),
        ('start: "x" start', "no text of finite length"),
        ("start: " + "(" * 200 + '"a"' + ")" * 200, "groups lie in each other"),
        ("", "no rule 'start'"),
    ],
)
def test_what_is_no_lark_grammar_is_told_with_its_line(definition: str, why: str) -> None:
    with pytest.raises(GrammarError, match=re.escape(why)):
        text_language(TextInput("lark", definition), "")


@pytest.mark.parametrize("steps", [8, 12, 60])
def test_rules_that_double_at_every_step_cost_a_bounded_time(steps: int) -> None:
    lines = [f"r{i}: r{i + 1} r{i + 1}" for i in range(steps)]
    tool = text_tool("t", "", TextInput("lark", "start: r0\n" + "\n".join(lines) + f'\nr{steps}: "x"?'))
    compiled = compile_tool_calls([tool])
    assert compiled.report.compile_seconds < 30
    assert accepts(compiled.text, '{"name":"t","arguments":{"input":"xx"}}')
    assert accepts(compiled.text, '{"name":"t","arguments":{"input":"xy"}}') is bool(compiled.report.failed)
