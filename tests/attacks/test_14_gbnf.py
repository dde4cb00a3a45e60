"""Grammars as people write them: what they mean, or a message that is true."""

from __future__ import annotations

import pytest
from tests.attacks.http_server import CHAT, USER, running
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import INFO, tiny_tokenizer
from tests.engine.grammar import oracle

from portico_engine import Engine, Request, SamplingParams
from portico_engine.errors import GBNFSyntaxError, GrammarError
from portico_engine.grammar import compile_gbnf, matcher_factory
from portico_engine.grammar.compiled import CompiledGrammar

pytestmark = pytest.mark.attack("14 GBNF as people write it")

TAKEN = {
    "a byte order mark": ('\ufeffroot ::= "a"', "a"),
    "a pipe that begins a line": ('root ::= "foo"\n       | "bar"\n', "bar"),
    "a pipe behind a comment": ('root ::= "foo" # one\n# two\n\n  | "bar"\nx ::= "y"\n', "bar"),
    "a pipe that ends a line": ('root ::= "foo" |\n  "bar"\n', "bar"),
    "a pipe at the end": ('root ::= "foo" |', ""),
    "an empty alternative": ('root ::= ( | "a") "b"', "b"),
    "a pipe right behind ::=": ('root ::= | "a"\n', ""),
    "underscores in names": ('root ::= my_rule my-rule _x\nmy_rule ::= "a"\nmy-rule ::= "b"\n_x ::= "c"\n', "abc"),
    "CRLF": ('root ::= "a"\r\n | b\r\nb ::= "c"\r\n', "c"),
    "tabs": ('root\t::=\t"a"\t|\t"b"\t\n', "b"),
    "a comment at the end without a newline": ('root ::= "a" # the end', "a"),
    "a comment alone at the end": ('root ::= "a"\n# the end', "a"),
    "\\u": ('root ::= "\\u00e9"', "é"),
    "\\U": ('root ::= "\\U0001F600"', "😀"),
    "\\x in a class": ("root ::= [\\x41-\\x43]", "B"),
    "a rule defined twice: the last counts": ('root ::= a\na ::= "1"\na ::= "2"\n', "2"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_people_write_is_taken_as_they_mean_it(name: str) -> None:
    text, sentence = TAKEN[name]
    compiled = compile_gbnf(text)
    assert oracle.accepts(compiled.text, sentence)
    assert not oracle.accepts(compiled.text, "?")


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_an_empty_grammar_is_none_and_no_limit_is_minus_one(path: str) -> None:
    """What llama.cpp's and LM Studio's clients send where nothing was chosen."""
    body = {"model": "fake", "grammar": "", **({"messages": USER, "max_tokens": -1} if path == CHAT else {"prompt": "Hi"})}
    with running() as server:
        assert server.client.post(path, json=body).status_code == 200
        refused = server.client.post(path, json={**body, "grammar": " "})
        assert (refused.status_code, "no rule `root`" in refused.text) == (400, True)
        assert server.client.post(path, json={**body, "max_tokens": -2}).status_code == 400


REFUSED = {
    "a name that isn't ASCII": ('root ::= é\né ::= "a"', "ASCII"),
    "a pipe before everything": ('| "a"', "no rule is before it"),
    "a rule after a pipe": ('root ::= "a" |\nb ::= "c"\n', "after a `|` the same rule goes on"),
    "half a surrogate pair": ('root ::= "\\ud83d"', "surrogate"),
    "an escape that is none": ('root ::= "\\q"', "unknown escape"),
    "an unknown rule": ("root ::= item_list\nitems ::= [a]", "item_list"),
    "a thousand stars": ('root ::= "a"' + "*" * 1000, "deeply"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_meant_is_refused_by_a_true_message(name: str) -> None:
    text, message = REFUSED[name]
    with pytest.raises(GrammarError, match=message):
        compile_gbnf(text)


def _answer(compiled: CompiledGrammar) -> str:
    """What an engine writes whose executor has no say in it."""
    tokenizer = tiny_tokenizer()
    engine = Engine(FakeExecutor(), tokenizer, INFO, chat_template=None, grammars=matcher_factory(tokenizer), check=True)
    request = Request("1", (5, 6), SamplingParams(temperature=0.0), max_tokens=20, grammar=compiled)
    deltas = list(engine.generate(request))
    assert deltas[-1].finish_reason == "stop", deltas[-1].error
    return "".join(delta.text for delta in deltas)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('root ::= "ok" <{end}>', "ok"),
        ('root ::= "ok" <[2]>', "ok"),
        ('root ::= "ok" end\nend ::= <{end}>', "ok"),
        ('root ::= "ok" (<{end}> | <{end}>)', "ok"),
        ('root ::= "ok" <{end}>?', "ok"),
    ],
)
def test_a_grammar_may_end_by_the_end_token(text: str, answer: str) -> None:
    end = tiny_tokenizer().tokens[2].strip("<>")
    assert _answer(compile_gbnf(text.replace("{end}", end))) == answer


def test_an_end_token_in_the_middle_is_refused_by_name() -> None:
    end = tiny_tokenizer().tokens[2]
    with pytest.raises(GrammarError, match="last of a grammar"):
        matcher_factory(tiny_tokenizer()).matcher(compile_gbnf(f'root ::= "ok" {end} "more"'))


def test_a_syntax_error_names_its_place() -> None:
    with pytest.raises(GBNFSyntaxError) as error:
        compile_gbnf('root ::= "a"\nb ::= )')
    assert (error.value.line, error.value.column) == (2, 7)
