"""Questions about code: by name, by what a thing does, by who uses it, by file, by what has changed.

A name is looked up where the question holds it; where it only says what the code does, the code is searched. What is done is
said as first sentences of docstrings say it, put as questions.
"""

from __future__ import annotations

import posixpath
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from portico_engine.tune.data.sources.own_servers.asked import QUERY, Asked, Finding, asked
from portico_engine.tune.data.sources.own_servers.phrases import phrases
from portico_engine.tune.data.sources.own_servers.sentences import reworded, third_person
from portico_engine.tune.data.sources.own_servers.workspace import Symbol, Workspace

_TRIES = 12  # names that are looked at for a question of a kind
_COMMON = 5  # letters of a name, up to which it may be a word like any other
_WORDS = (3, 16)  # of a description that is asked about
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def about_code(workspace: Workspace, rng: random.Random) -> Asked | None:
    """None: the draw had nothing to ask about."""
    if not workspace.symbols:
        return None
    ask = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
    return next((made for _ in range(_TRIES) if (made := ask(workspace, rng)) is not None), None)


def _defined(workspace: Workspace, rng: random.Random) -> Asked | None:
    symbol = rng.choice(workspace.symbols)
    forms = [*phrases("code")["any"], *phrases("code").get(symbol.kind, ())]
    if symbol.raises:
        forms += [*phrases("code")["raises"]] * 2
    name = _name(symbol, workspace, rng)
    form = rng.choice(phrases("code")["default"]) if symbol.defaults and rng.random() < 0.15 else rng.choice(forms)
    question = _filled(form, symbol, name, rng)
    return asked(question, "code__find_symbol", {"name": name}, rng, Finding(symbol.file, symbol.line), "code")


def _used(workspace: Workspace, rng: random.Random) -> Asked | None:
    symbol = rng.choice([symbol for symbol in workspace.symbols if symbol.uses] or workspace.symbols)
    if not symbol.uses:
        return None
    use = rng.choice(sorted(symbol.uses))
    file, line = symbol.uses[use]
    question = _filled(rng.choice([*phrases("code")[f"used: {use}"], *phrases("code")["used: any"]]), symbol, symbol.name, rng)
    arguments = {"name": symbol.name}
    if rng.random() < 0.12:
        question = f"{question.rstrip('?.')} in {file}?"
        arguments["path"] = file
    return asked(question, "code__find_references", arguments, rng, Finding(file, line), "code")


def _described(workspace: Workspace, rng: random.Random) -> Asked | None:
    """By what it does, as its docstring says, in other words here and there."""
    symbol = rng.choice([symbol for symbol in workspace.symbols if symbol.about] or workspace.symbols)
    said = _shortened(symbol.about, rng)
    if said is None:
        return None
    finding = Finding(symbol.file, symbol.line)
    made = third_person(said)
    if made is None:
        if symbol.kind != "class" or not re.match(r"(?:an?|the) (?!class\b)", said, re.IGNORECASE):
            return None
        question = rng.choice(phrases("code")["what it is"]).format(reworded(said[:1].lower() + said[1:], rng))
        return asked(question, "code__search", {"query": QUERY}, rng, finding, "code")
    does, do = made
    kinds = ["done"] * 8 + ["raises done"] * 3 * bool(symbol.raises) + ["default done"] * 2 * bool(symbol.defaults)
    words = {"kind": symbol.kind, "does": reworded(does, rng), "do": reworded(do, rng)}
    words["parameter"] = _parameter(symbol, rng).replace("_", " ")
    question = rng.choice(phrases("code")[rng.choice(kinds)]).format(**words)
    return asked(question, "code__search", {"query": QUERY}, rng, finding, "code")


def _in_words(workspace: Workspace, rng: random.Random) -> Asked | None:
    """By the words of its name, which is not said itself."""
    symbol = rng.choice(workspace.symbols)
    words = [part.lower() for part in _PARTS.findall(symbol.name)]
    if len(words) < 2 or len(symbol.name) < 8:
        return None
    forms = [*phrases("code")["constant in words" if symbol.kind == "constant" else "in words"]]
    if symbol.raises:
        forms += [*phrases("code")["raises in words"]] * 2
    question = rng.choice(forms).format(words=" ".join(words), kind=symbol.kind)
    return asked(question, "code__search", {"query": QUERY}, rng, Finding(symbol.file, symbol.line), "code")


def _of_documentation(workspace: Workspace, rng: random.Random) -> Asked | None:
    """What the documentation has a word for, where it is the code that is asked about."""
    terms = [
        topic.said for topic in workspace.topics if topic.kind in ("term", "subject") and re.search(r"--|[ -]", topic.said)
    ]
    if not terms:
        return None
    question = rng.choice(phrases("code")["of documentation"]).format(words=rng.choice(terms))
    return asked(question, "code__search", {"query": QUERY}, rng, None, "code")


def _outlined(workspace: Workspace, rng: random.Random) -> Asked:
    symbol = rng.choice(workspace.symbols)
    folder = posixpath.dirname(symbol.file)
    if rng.random() < 0.15 and folder:
        return asked(
            rng.choice(phrases("code")["outlined: folder"]).format(folder), "code__outline", {"path": folder}, rng, None, "code"
        )
    question = rng.choice(phrases("code")["outlined: file"]).format(symbol.file)
    return asked(question, "code__outline", {"path": symbol.file}, rng, Finding(symbol.file, symbol.line), "code")


def _read(workspace: Workspace, rng: random.Random) -> Asked:
    symbol = rng.choice(workspace.symbols)
    if rng.random() < 0.5 and symbol.kind != "constant":
        question = rng.choice(phrases("code")["read: symbol"]).format(name=symbol.name, file=symbol.file)
        arguments: dict[str, Any] = {"path": symbol.file, "symbol": symbol.name}
    else:
        start = max(1, symbol.line - rng.randrange(9))
        end = start + rng.choice((9, 10, 15, 20, 30, 40, 50))
        question = rng.choice(phrases("code")["read: lines"]).format(start=start, end=end, file=symbol.file)
        arguments = {"path": symbol.file, "start": start, "end": end}
    return asked(question, "code__read", arguments, rng, Finding(symbol.file, symbol.line), "code")


def _changed(workspace: Workspace, rng: random.Random) -> Asked:
    ref = rng.choice(_REFS)(rng)
    arguments = {"ref": ref}
    question = rng.choice(phrases("code")["changed: all"])
    if rng.random() < 0.3:
        question, arguments["path"] = (
            rng.choice(phrases("code")["changed: path"]),
            posixpath.dirname(rng.choice(workspace.symbols).file) or "src",
        )
    return asked(question.format(ref=ref, path=arguments.get("path", "")), "code__changed_since", arguments, rng, None, "code")


_KINDS: Mapping[Callable[[Workspace, random.Random], Asked | None], int] = {
    _defined: 27, _used: 20, _described: 29, _in_words: 7, _of_documentation: 4, _outlined: 7, _read: 3, _changed: 4,
}  # fmt: skip
_REFS: Sequence[Callable[[random.Random], str]] = (
    lambda rng: f"v{rng.randrange(6)}.{rng.randrange(20)}",
    lambda rng: f"{rng.randrange(1, 5)}.{rng.randrange(20)}.{rng.randrange(9)}",
    lambda rng: f"{rng.randrange(2021, 2027)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
    lambda rng: f"{rng.getrandbits(32):08x}",
    lambda rng: f"HEAD~{rng.randrange(1, 30)}",
    lambda rng: rng.choice(("main", "release-2", "last-stable", "origin/main")),
)


def _name(symbol: Symbol, workspace: Workspace, rng: random.Random) -> str:
    """With its class before it where it is a word like any other or others have it too, and now and then besides."""
    common = len(symbol.name) <= _COMMON or workspace.times[symbol.name] > 1
    return f"{symbol.owner}.{symbol.name}" if symbol.owner and (common or rng.random() < 0.25) else symbol.name


def _filled(form: str, symbol: Symbol, name: str, rng: random.Random) -> str:
    return form.format(name=name, kind=symbol.kind, file=symbol.file, parameter=_parameter(symbol, rng))


def _parameter(symbol: Symbol, rng: random.Random) -> str:
    return rng.choice(symbol.defaults) if symbol.defaults else ""


def _shortened(about: str, rng: random.Random) -> str | None:
    """The sentence without what is between brackets, at times without what comes behind a comma. None: it says too little."""
    plain = re.sub(r"\s*\([^)]*\)|[`*]+", "", re.sub(r":\w+:", "", about)).strip().rstrip(".")
    first = re.split(r"[,;:] | -- | - ", plain)[0]
    said = first if rng.random() < 0.6 and len(first.split()) >= _WORDS[0] + 1 else plain
    return said if _WORDS[0] <= len(said.split()) <= _WORDS[1] and re.fullmatch(r"[\w ,.'/<>=+-]+", said) else None
