"""The sandbox that chat templates run in: jinja2's immutable one, with what published templates expect of it beyond that.

It owns tags and filters, and sees to it that text from outside keeps its stand-ins (`untrusted`) through all of them. Templates
come with models from anywhere: they have no access to files or attributes.
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
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from portico_engine.text.untrusted import Disguise

_UNKNOWN_TAG = re.compile(r"unknown tag '(\w+)'")
_MOST_UNKNOWN_TAGS = 16
_NUMBERS = frozenset(("int", "float", "round", "abs", "filesizeformat"))  # filters that look at digits


def compile_template(source: str, disguise: Disguise) -> jinja2.Template:
    """A block tag that jinja2 doesn't know (`{% generation %}` marks what a trainer looks at) prints its body.

    Raises jinja2.TemplateError where the source doesn't parse.
    """
    tags = {"generation"}
    while True:
        try:
            return _Environment(disguise, tags).from_string(source)
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

    def __init__(self, disguise: Disguise, tags: Iterable[str]) -> None:
        bodies = [type("Bodies", (_Bodies,), {"tags": set(tags)})]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do", *bodies])
        self._disguise = disguise
        self.concat = self._concat  # type: ignore[method-assign]
        self.filters["tojson"] = _tojson
        self.filters.update({name: self._tracing(name, given) for name, given in self.filters.items()})
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Functions and methods, called by a template."""
        return self._disguise.traced(super().call(context, called, *args, **kwargs))

    def _concat(self, parts: Iterable[str]) -> str:
        joined: str = self._disguise.traced("".join(parts))
        return joined

    def _tracing(self, name: str, given: Callable[..., Any]) -> Callable[..., Any]:
        show, traced = self._disguise.show, self._disguise.traced

        @wraps(given)
        def apply(*args: Any, **kwargs: Any) -> Any:
            if name in _NUMBERS:
                args = tuple(show(each) if isinstance(each, str) else each for each in args)
            return traced(given(*args, **kwargs))

        return apply


class _Bodies(Extension):
    """Tags of which only what is between them matters."""

    def parse(self, parser: Parser) -> nodes.Node:
        token = next(parser.stream)
        while parser.stream.current.type != "block_end":  # what a tag is given doesn't matter either
            next(parser.stream)
        body = parser.parse_statements((f"name:end{token.value}",), drop_needle=True)
        return nodes.Scope(body, lineno=token.lineno)


def _tojson(value: Any, indent: int | None = None, **_: Any) -> str:
    """Plain JSON: jinja2's own filter escapes `<`, `>`, `&` and `'` for HTML, which a model has never seen."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.datetime.now().strftime(pattern)
