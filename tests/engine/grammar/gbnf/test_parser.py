"""GBNF as llama.cpp reads it: what each piece of syntax means, and what is said about bad text, with line and column."""

from __future__ import annotations

import pytest
from tests.engine.grammar.oracle import MARK, accepts, recognizes

from portico_engine.errors import GBNFSyntaxError, GrammarError, GrammarTooLarge
from portico_engine.grammar import ir
from portico_engine.grammar.compile import check_gbnf, compile_gbnf
from portico_engine.grammar.gbnf import parse_gbnf

# grammar, texts that it matches, texts that it does not
CASES = [
    ('root ::= "abc"', ["abc"], ["ab", "abcd", ""]),
    ('root ::= "a" "b" | "c"', ["ab", "c"], ["a", "ac"]),
    ('root ::= ("a" | "b") "c"', ["ac", "bc"], ["a", "c"]),
    ('root ::= "ab"* "c"', ["c", "abc", "ababc"], ["abbc"]),
    ('root ::= "a"+ "b"? [cd]{2}', ["abcd", "aacc"], ["bcd", "ac"]),
    ('root ::= "a"{2,}', ["aa", "aaaa"], ["a"]),
    ('root ::= "a"{1,2}', ["a", "aa"], ["", "aaa"]),
    ('root ::= "a"{0} "b"', ["b"], ["ab"]),
    ('root ::= "a"{ 1 , 2 } "b"', ["ab", "aab"], ["b"]),
    ('root ::= "a"?* "b"', ["b", "aaab"], ["a"]),
    ("root ::= [a-cx-z]", list("abcxyz"), ["d", "-", ""]),
    ("root ::= [^a-c]", ["d", "\n", "é", "\U0001f600"], ["a", "b", ""]),
    ("root ::= [-a] [a-] [a\\-c]", ["-a-", "a-c"], ["b-b", "--b"]),
    ("root ::= [a^]", ["a", "^"], ["b"]),
    ('root ::= [&-~ "]', ["&", "~", '"', "a"], ["%", "!"]),
    ("root ::= [\\[\\]\\\\]+", ["[]", "\\"], ["a"]),
    ("root ::= .", ["a", "\n", "\r", "日", "\x00"], ["", "ab"]),
    ("root ::= .*", ["", "any\nthing"], []),
    ('root ::= "\\x41\\u00e9\\U0001F600\\n\\r\\t\\\\\\"\\[\\]\\-"', ['Aé\U0001f600\n\r\t\\"[]-'], ["A"]),
    ("root ::= [\\x30-\\x39\\u3041-\\u309F]+", ["0あ9"], ["a"]),
    ("root ::= [\\U00010000-\\U0010FFFF]", ["\U0001f600"], ["a"]),
    ('root ::= "é日本" [ぁ-ゟ]', ["é日本ん"], ["é日本"]),
    ('root ::= "a" |', ["a", ""], ["b"]),
    ('root ::= ( | "a" ) "b"', ["b", "ab"], ["a"]),
    ("root ::= x\nx ::=", [""], ["a"]),
    ('root ::=\n  "a" |\n  # a comment\n  "b" # another\n', ["a", "b"], ["c"]),
    ('root ::= (\n "a" # inside\n "b"\n)\n"c"', None, None),
    ('# first\n\nroot ::= a-1 A\r\na-1 ::= "x"\r\nA ::= "y"', ["xy"], ["yx"]),
    ('7 ::= "s"\nroot ::= 7 -\n- ::= "t"', ["st"], ["s"]),
    ('root ::= "(" root ")" | "x"', ["x", "((x))"], ["(x", "()"]),
    ('root ::= [a-z]+ "x"', ["abx", "xx"], ["x", "ab"]),
    ('root ::= w " " w\nw ::= [a-z]+ [a-z0-9]* "!"?', ["a b", "ab1! c"], ["a  b", "1 a"]),
    ('root ::= item+\nitem ::= [a-z]+ | [a-z]+ item "."', ["ab", "ab.", "abc.."], ["."]),
    ("root ::= [^\\x00-\\U0010FFFF]", [], ["", "a"]),
    ('root ::= "a"{3000,3001}', ["a" * 3000, "a" * 3001], ["a" * 2999, "a" * 3002]),
    ('root ::= "a"\nroot ::= "b"', ["b"], ["a"]),
]


@pytest.mark.parametrize(("text", "good", "bad"), [case for case in CASES if case[1] is not None])
def test_each_piece_of_syntax_means_what_llama_cpp_says(text: str, good: list[str], bad: list[str]) -> None:
    grammar = parse_gbnf(text)
    lark = compile_gbnf(text).text
    for sentence in good:
        assert accepts(lark, sentence), sentence
    for sentence in bad:
        assert not accepts(lark, sentence), sentence
    for sentence in [each for each in (*good, *bad) if len(each) < 50]:
        assert recognizes(grammar, sentence) == (sentence in good), sentence


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "no rule `root`"),
        ('start ::= "a"', 1, 1, "no rule `root`"),
        ('root ::= "a" rot', 1, 14, "'rot' is not defined; did you mean 'root'"),
        ('root ::= "a"\nx ::= (y | "b")\n', 2, 8, "'y' is not defined"),
        ('root = "a"', 1, 6, "`::=` was due"),
        ('root ::= "a', 1, 10, "never closed"),
        ("root ::= [a", 1, 10, "never closed"),
        ("root ::= [a-", 1, 10, "never closed"),
        ('root ::= ("a"\n', 1, 10, "`(` is never closed"),
        ('root ::= "a")', 1, 13, "`)` without `(`"),
        ("root ::= 'a'", 1, 10, "double quotes"),
        ('root ::= "\\q"', 1, 11, "unknown escape \\q"),
        ('root ::= "\\x4"', 1, 11, "2 hexadecimal digits"),
        ('root ::= "\\U00110000"', 1, 11, "above U+10FFFF"),
        ('root ::= "a\\ud800"', 1, 12, "half of a surrogate pair"),
        ("root ::= [z-a]", 1, 11, "runs backwards"),
        ("root ::= []", 1, 10, "empty class"),
        ("root ::= *", 1, 10, "repeats nothing"),
        ('root ::= "a"{3,2}', 1, 13, "at least 3 and at most 2"),
        ('root ::= "a"{,2}', 1, 14, "write {0,n}"),
        ('root ::= "a"{2', 1, 15, "`}` was due"),
        ('root ::= "a"{99999999999}', 1, 14, "may count to"),
        ("root ::= <a b>", 1, 10, "token reference"),
        ("root ::= <[x]>", 1, 10, "token id"),
        ("root ::= !x", 1, 10, "negates a token reference"),
        ('root ::= root "a" | "b"', 1, 1, "root -> root"),
        ('root ::= "x" a\na ::= b? c\nb ::= "q"\nc ::= a "z" | "w"', 2, 1, "a -> c -> a"),
        ('root ::= "a" x ::= "b"', 1, 16, "inside a rule"),
        ('root ::= "a"\n$', 2, 1, "a rule's name was due"),
        ("root ::= " + "(" * 200, 1, 160, "groups inside each other"),
    ],
)
def test_bad_text_is_refused_where_it_is_wrong(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(GBNFSyntaxError) as caught:
        parse_gbnf(text)
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_newline_ends_a_rule_outside_parentheses() -> None:
    with pytest.raises(GBNFSyntaxError, match="line 5, column 1"):
        parse_gbnf('root ::= (\n "a" # inside\n "b"\n)\n"c"')


def test_token_references_become_ids_where_the_vocabulary_is_known() -> None:
    text = 'root ::= <mark> "ab" !<mark> | <[3]> "x"'
    assert parse_gbnf(text).rules["root"] == ir.alt(
        ir.seq(ir.TokenRef("<mark>"), ir.text("ab"), ir.TokenRef("<mark>", negated=True)),
        ir.seq(ir.TokenRef(3), ir.text("x")),
    )
    lark = compile_gbnf(text, tokens={"<mark>": MARK}).text
    assert accepts(lark, [MARK, *b"ab", *b"c"])
    assert not accepts(lark, [*b"abc"])
    with pytest.raises(GrammarError, match="no token <mark>"):
        compile_gbnf(text, tokens={})


def test_text_beside_a_negated_token_reference_is_told() -> None:
    notes = compile_gbnf("root ::= [a-z]+ !<mark>", tokens={"<mark>": MARK}).report.notes
    assert "is read as text" in notes[-1]
    thought = compile_gbnf("root ::= <mark> thought <mark> .*\nthought ::= !<mark>*", tokens={"<mark>": MARK})
    assert thought.report.notes == ()
    assert accepts(thought.text, [MARK, *b"hm", MARK, *b"yes"])
    assert not accepts(thought.text, [MARK, *b"hm"])


def test_a_token_of_the_ordinary_vocabulary_can_be_asked_for_as_one_token() -> None:
    lark = compile_gbnf('root ::= <abc> "!"', tokens={"<abc>": 258}).text
    assert accepts(lark, [258, *b"!"])
    assert not accepts(lark, [*b"abc!"])


def test_a_rule_defined_twice_is_told() -> None:
    assert "defined more than once" in compile_gbnf('root ::= "a"\nroot ::= "b"').report.notes[0]


def test_check_asks_the_matcher_too() -> None:
    assert check_gbnf('root ::= "a" [b-d]*').report.notes == ()


def test_rules_that_nest_too_deeply_are_refused_and_do_not_crash() -> None:
    def chain(length: int) -> str:
        return "\n".join(['root ::= r0 | "y"', *(f'r{i} ::= "(" r{i + 1}' for i in range(length)), f'r{length} ::= "x"'])

    assert accepts(compile_gbnf(chain(100)).text, "(" * 100 + "x")
    with pytest.raises(GrammarTooLarge, match="nests too deeply"):
        compile_gbnf(chain(5000))


def test_quotes_in_a_class_are_no_ends_of_strings() -> None:
    text = 'root ::= "\\"" [^,]* "\\"" ("," root)? | "\\"" ([^"\\\\] | "\\\\" .)* "\\"" ":" root'
    lark, grammar = compile_gbnf(text).text, parse_gbnf(text)
    for sentence in ('"a"', '"a"b"', '"a\\"', '"a\\":"b"', '"a":"b\\"', '"a\\"b":"c"', '"a","b"', '"a\\","b"'):
        assert accepts(lark, sentence) == recognizes(grammar, sentence), sentence
