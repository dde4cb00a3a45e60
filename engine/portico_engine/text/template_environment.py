"""The sandbox that chat templates run in: jinja2's immutable one, with what published templates expect of it beyond that.

It owns tags and filters, and sees to it that text from outside keeps its stand-ins (`untrusted`) through all of them. Templates
come with models from anywhere: they have no access to files or attributes, and a budget (`template_budget`).
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from portico_engine.text.template_budget import CALL, COUNTED, RenderBudget, count_loops
from portico_engine.text.untrusted import Disguise

_UNKNOWN_TAG = re.compile(r"unknown tag '(\w+)'")
_MOST_UNKNOWN_TAGS = 16
_NUMBERS = frozenset(("int", "float", "round", "abs", "filesizeformat"))  # filters that look at digits


class CompiledTemplate:
    """A template, and the budget that each render has. `takes_parts`: does it want content as parts, never as a string?"""

    def __init__(self, source: str, environment: _Environment) -> None:
        """Raises jinja2.TemplateError where the source doesn't parse."""
        self._template = environment.from_string(source)
        self._budget = environment.budget
        self.takes_parts = _takes_parts(environment.parse(source))

    def render(self, **variables: Any) -> str:
        """Raises jinja2.TemplateError, and what the template's own operations raise."""
        with self._budget.begun():
            return self._template.render(**variables)


def _takes_parts(tree: nodes.Template) -> bool:
    """Does the template take a message's content as a list of parts alone: does it go through it, and never ask whether it is a
    string?
    """
    loops = any(_is_content(loop.iter) for loop in tree.find_all(nodes.For))
    asks = any(test.name in ("string", "iterable", "sequence") and _is_content(test.node) for test in tree.find_all(nodes.Test))
    return loops and not asks


def _is_content(node: nodes.Node) -> bool:
    """Is it `x.content` or `x['content']`, filtered or not?"""
    while isinstance(node, nodes.Filter) and node.node is not None:
        node = node.node
    if isinstance(node, nodes.Getattr):
        return node.attr == "content"
    return isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and node.arg.value == "content"


def compile_template(source: str, disguise: Disguise) -> CompiledTemplate:
    """A block tag that jinja2 doesn't know (`{% generation %}` marks what a trainer looks at) prints its body.

    Raises jinja2.TemplateError where the source doesn't parse.
    """
    tags = {"generation"}
    while True:
        try:
            return CompiledTemplate(source, _Environment(disguise, tags))
        except jinja2.TemplateSyntaxError as error:
            unknown = _UNKNOWN_TAG.search(error.message or "")
            tag = unknown.group(1) if unknown else ""
            ends = re.search(rf"\{{%[-+]?\s*end{tag}\b", source) if tag else None
            if not ends or tag in tags or len(tags) > _MOST_UNKNOWN_TAGS:
                raise
            tags.add(tag)


class _CodeGenerator(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """`~`, by the environment's way of joining."""
        self.write("environment.concat(map(str, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write(")))")


class _Environment(ImmutableSandboxedEnvironment):
    code_generator_class = _CodeGenerator
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, disguise: Disguise, tags: Iterable[str]) -> None:
        bodies = [type("Bodies", (_Bodies,), {"tags": set(tags)})]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do", *bodies])
        self._disguise = disguise
        self.budget = RenderBudget()
        self.concat = self._concat  # type: ignore[method-assign]
        self.filters["tojson"] = _tojson
        self.filters.update({name: self._tracing(name, given) for name, given in self.filters.items()})
        self.filters[COUNTED] = self.budget.counted
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Functions and methods, called by a template."""
        self.budget.step(CALL)
        self.budget.check_arguments((*args, *kwargs.values()))
        return self.budget.check_text(self._disguise.traced(super().call(context, called, *args, **kwargs)))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Operators that make much of little."""
        if operator == "+":
            return self.budget.sum(left, right)
        if operator == "*":
            return self.budget.product(left, right)
        if operator == "**":
            return self.budget.power(left, right)
        if isinstance(left, str):
            self.budget.check_format(left)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`format` of a string, as jinja2 guards it."""
        guarded = super().wrap_str_format(value)
        if guarded is None:
            return None

        def checked(*args: Any, **kwargs: Any) -> str:
            self.budget.check_format(value.__self__)
            return guarded(*args, **kwargs)

        return checked

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """jinja2's own prints nothing for what a template must not see."""
        raise SecurityError(f"it reaches for the attribute {attribute!r} of a {type(obj).__name__}, outside of its sandbox")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return count_loops(super()._parse(source, name, filename))

    def _concat(self, parts: Iterable[str]) -> str:
        joined: str = self._disguise.traced(self.budget.check_text("".join(parts)))
        return joined

    def _tracing(self, name: str, given: Callable[..., Any]) -> Callable[..., Any]:
        show, traced = self._disguise.show, self._disguise.traced

        @wraps(given)
        def apply(*args: Any, **kwargs: Any) -> Any:
            if name not in _NUMBERS:
                self.budget.check_arguments((*args[1:], *kwargs.values()))
            if name in _NUMBERS:
                args = tuple(show(each) if isinstance(each, str) else each for each in args)
            return self.budget.check_text(traced(given(*args, **kwargs)))

        return apply


class _Bodies(Extension):
    """Tags of which only what is between them matters."""

    def parse(self, parser: Parser) -> nodes.Node:
        token = next(parser.stream)
        while parser.stream.current.type != "block_end":  # what a tag is given doesn't matter either
            next(parser.stream)
        body = parser.parse_statements((f"name:end{token.value}",), drop_needle=True)
        return nodes.Scope(body, lineno=token.lineno)


def _tojson(
    value: Any,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON: jinja2's own filter escapes `<`, `>`, `&` and `'` for HTML, which a model has never seen. Options are
    `json.dumps`'.
    """
    if separators is not None:
        separators = (str(separators[0]), str(separators[1]))
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.datetime.now().strftime(pattern)
