"""Questions for any tool as a person puts them who does not know its parameters' names: what is wanted in few words, and values
that are known by what they look like and where they stand.

It owns how a request is put. What a value may be, `schema_questions` says, and where that says nothing, the shape of an example
in the description, or a word or a number of one's own.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Mapping
from typing import Any, NamedTuple

from portico_engine.tool import Tool
from portico_engine.tune.data.other_words import in_other_words
from portico_engine.tune.data.schema_questions import value_of, words_of
from portico_engine.tune.data.value_kinds import Stated, of_kind
from portico_engine.tune.data.word_lists import WORDS

_LOOKING = frozenset(
    "show list get retrieve return fetch find search read view display check describe look see browse query inspect".split()
)
_SEEN = ("show me {}", "let me see {}", "I'd like to see {}", "can I see {}", "give me {}", "I need {}", "get me {}", "{}",
    "what about {}", "I want to look at {}", "tell me {}", "could you bring up {}", "have a look at {}")  # fmt: skip
_ARE = ("what are {}", "which are {}")
_DONE = ("{}", "{}", "please {}", "can you {}", "could you {}", "I want to {}", "I'd like to {}", "go ahead and {}", "let's {}",
    "I need to {}", "we have to {}", "help me {}", "time to {}", "would you {}", "now {}")  # fmt: skip
_ALIKE = {
    "create": ("make", "set up", "open", "start"), "add": ("put", "make", "give"), "delete": ("remove", "drop", "get rid of"),
    "remove": ("delete", "take away", "drop"), "update": ("change", "edit", "modify"), "edit": ("change", "modify"),
    "send": ("write", "post"), "post": ("write", "send", "put"), "reply": ("answer", "respond"), "move": ("shift", "take"),
    "switch": ("change", "go over"), "record": ("save", "keep"), "write": ("save", "put down"), "run": ("execute", "start"),
    "execute": ("run", "do"), "convert": ("turn", "change"), "calculate": ("work out", "compute"), "upload": ("send", "put up"),
    "download": ("fetch", "get"), "set": ("change", "put"), "generate": ("make", "write"), "open": ("go to", "pull up"),
}  # fmt: skip
_NAMED = ("{}", "{} please", "do a {}", "I need a {}", "run a {} for me", "a {}, please", "{} - can you do that")
_BEFORE = ("Quick one: ", "Before I forget: ", "I was away. ", "One more thing: ", "Okay, ", "Hi, ", "So, ", "Next, ",
    "For the report: ", "I'm not sure any more. ", "Someone asked me about it. ", "Back at my desk, ")  # fmt: skip
_AFTER = (" thanks", " please", " when you can", " for me", " if you can", " now", " - thanks")
_CUT = re.compile(
    r"\s+(?:that|which|from|using|with|by|for|including|based on|whose|where|as|via|given|so that|to the)\s", re.I
)
_SHAPE = re.compile(r"(?:format|like|form|example|e\.g\.?)[^'\"`]{0,12}['\"`]([^'\"`\s]{3,40})['\"`]", re.I)
_SMALL = frozenset("a an the of to in on for and or with specific given new existing".split())
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_QUOTED = re.compile(r"['\"`]([A-Za-z][\w\-/.]{1,30})['\"`]")

_PLACES = frozenset(
    "path repo repository folder directory dir base table channel project database index site collection workspace board "
    "bucket room space org organization cluster namespace file document page list".split()
)
_TEXTS = frozenset("text message body content comment description note caption summary reply".split())
_TITLES = frozenset("title name subject label".split())
_LOOKED_FOR = frozenset("query term search keyword keywords topic question pattern".split())
_COUNTS = frozenset("limit count max maximum size top results".split())
_BEGINNINGS = frozenset("start since after from begin oldest".split())
_ENDS = frozenset("end until before to latest newest".split())
_PEOPLE = frozenset("user email assignee owner author recipient member person".split())
_EXCHANGED = 0.6  # of the words that people have others for, in a request that is put in other words
_GIVEN = frozenset("id path uuid sha hash ref revision branch target url key ts timestamp cursor slug emoji reaction".split())


class _Part(NamedTuple):
    """A value's words, and whether they may stand in front of the request."""

    words: str
    first: bool = False


def say_tool(tool: Tool, rng: random.Random, other_words: float = 0.0) -> tuple[str, dict[str, Any]] | None:
    """A question and its arguments; in `other_words` of the requests words that people have others for are exchanged.
    None: the tool says nothing of itself, or requires what can't be stated.
    """
    request = _request(tool, rng)
    if request is None:
        return None
    if other_words and rng.random() < other_words:
        request = in_other_words(request, rng, _EXCHANGED)
    properties: Mapping[str, Any] = tool.parameters.get("properties") or {}
    required = set(tool.parameters.get("required") or ())
    optional = [name for name in properties if name not in required]
    wanted = required | set(rng.sample(optional, min(len(optional), rng.choice((0, 0, 0, 1, 1, 2)))))
    parts, arguments = [], {}
    for name in properties:
        if name not in wanted:
            continue
        stated = stated_value(name, properties[name], rng)
        if stated is not None:
            arguments[name] = stated.value
            parts.append(_said(name, stated, rng, alike=_opaque(name) and sum(map(_opaque, wanted)) > 1))
        elif name in required:
            return None
    return _sentence(request, parts, rng), arguments


def stated_value(name: str, schema: Any, rng: random.Random) -> Stated | None:
    """As `value_of` has it, else by the description's example, or a value of the type. None: an object, or what has no type."""
    schema = schema if isinstance(schema, Mapping) else {}
    views = [
        v for key in ("anyOf", "oneOf") for v in schema.get(key) or () if isinstance(v, Mapping) and v.get("type") != "null"
    ]
    view = {**views[0], "description": schema.get("description", "")} if views else schema
    if view.get("type") == "array" and isinstance(view.get("items"), Mapping) and view["items"].get("type") == "string":
        made = [stated_value(name.rstrip("s"), view["items"], rng) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
        found = list({one.value: one for one in made if one is not None}.values())
        return Stated([one.value for one in found], _and([one.surface for one in found])) if found else None
    if view.get("type") in ("integer", "number") and isinstance(schema.get("default"), int | float) and "maximum" not in view:
        count = rng.choice([n for n in (1, 2, 4, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 80) if n != schema["default"]])
        return Stated(count, str(count))
    if view.get("type") != "string" or isinstance(view.get("enum"), list):
        return value_of(name, schema, rng)
    said = str(view.get("description", ""))
    if _DATE.search(said):
        return of_kind("date", rng)
    if shape := _SHAPE.search(said):
        value = re.sub(r"\d", lambda _: rng.choice(string.digits), shape[1])
        value = re.sub(r"(?<=\w)[A-Z]|[A-Z](?=[A-Z\d])", lambda _: rng.choice(string.ascii_uppercase), value)
        return Stated(value, value)
    choices = list(dict.fromkeys(_QUOTED.findall(said)))
    if len(choices) > 1 and not view.get("format"):
        value = rng.choice(choices)
        return Stated(value, value)
    named = words_of(name).split()
    kind = (
        "folder" if named[-2:] in (["repo", "path"], ["root", "path"], ["project", "path"]) else named[-2] if named[1:] else ""
    )
    if (named[-1] == "name" or kind == "folder") and kind in WORDS:
        return of_kind(kind, rng)
    if (suggested := value_of(name, view, rng)) is not None:
        return suggested
    words = {*words_of(name).split(), *(words_of(said).split() if len(said) < 80 else ())}
    if words & {"sha", "hash", "revision", "commit"} and rng.random() < 0.7:
        value = "".join(rng.choices("0123456789abcdef", k=7))
        return Stated(value, value)
    return of_kind(rng.choice(("word", "id", "branch", "word")), rng)


def _request(tool: Tool, rng: random.Random) -> str | None:
    """What is wanted, without values and without an end."""
    text = re.split(r"(?<=[.!?])\s|\n|;|:\s", tool.description.strip(), maxsplit=1)[0].strip(" .")
    first, _, rest = re.sub(r"\s*\([^)]*\)", "", text).partition(" ")
    if not rest or not text.isascii() or len(text) > 160:
        return None
    verb, wanted = plain_verb(first), rest
    if (cut := _CUT.search(wanted)) and cut.start() > 3 and rng.random() < 0.5:
        wanted = wanted[: cut.start()]
    if len(wanted.split()) > 2 and rng.random() < 0.35:
        wanted = _fewer_words(wanted, rng)
    if rng.random() < 0.15:
        return rng.choice(_NAMED).format(_own_words(tool.name))
    if verb not in _LOOKING:
        verb = rng.choice(_ALIKE[verb]) if verb in _ALIKE and rng.random() < 0.5 else verb
        return rng.choice(_DONE).format(f"{verb} {wanted}")
    if rng.random() < 0.35:
        return rng.choice(_DONE).format(f"{rng.choice((verb, 'show', 'give me', 'look up'))} {wanted}")
    plural = wanted.split()[-1].endswith("s") and wanted.lower().startswith(("the ", "all "))
    return rng.choice(_SEEN + (_ARE if plural else ())).format(wanted.removeprefix("for "))


def _fewer_words(text: str, rng: random.Random) -> str:
    """Some of its words, in order: what people say of a thing is seldom all that its description says."""
    words = [word for word in text.split() if word.lower() not in _SMALL or rng.random() < 0.6]
    kept = [word for word in words if rng.random() < 0.7]
    return " ".join(kept or words[-1:] or text.split())


def plain_verb(word: str) -> str:
    """`Shows`, `Switches` and `Copies` as `show`, `switch` and `copy`."""
    word = word if word.isupper() else word[:1].lower() + word[1:]
    if re.search(r"(?:ch|sh|x|ss|zz)es$", word):
        return word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us")) and not word.isupper() else word


def _own_words(name: str) -> str:
    """A tool's name in words, without what stands before its first `__` or `_`."""
    own = name.rpartition("__")[2]
    words = words_of(own).split()
    return " ".join(words[1:] if len(words) > 2 else words)


def _opaque(name: str) -> bool:
    """Is its value known by its parameter alone?"""
    return words_of(name).split()[-1:] in (["id"], ["ids"], ["key"], ["slug"])


def _said(name: str, stated: Stated, rng: random.Random, *, alike: bool) -> _Part:
    """`alike`: another value of the question looks like this one, so that each needs its word."""
    words, value = words_of(name).split(), stated.surface
    kinds = {word.rstrip("s") for word in words} | set(words)
    last = words[-1] if words else ""
    label = " ".join(words)
    quoted = f'"{stated.value}"' if isinstance(stated.value, str) and rng.random() < 0.6 else f"'{stated.value}'"
    if alike and rng.random() < 0.9:
        short = " ".join(words[:-1]) or label
        return _Part(rng.choice((f"in {short} {value}", f"{short} {value}", f"of {short} {value}", f"{label} {value}")))
    if isinstance(stated.value, bool):
        return _Part(rng.choice((f"{label}: {value}", f"with {label} {value}", f"{label} {value}")))
    if rng.random() < 0.12:
        return _Part(rng.choice((f"{label} {value}", f"{label}: {value}", f"with {value} as the {label}")))
    if kinds & _TEXTS:
        return _Part(rng.choice((f": {quoted}", f"saying {quoted}", quoted, f"with {quoted}", f"- {quoted}")))
    if isinstance(stated.value, int | float):
        if last == "number":
            short = " ".join(words[:-1])
            return _Part(rng.choice((f"#{value}", f"number {value}", f"{short} {value}".strip(), f"{short} #{value}".strip())))
        if kinds & _COUNTS:
            forms = ("only {}", "the first {}", "at most {}", "{} of them", "just {}", "the last {}", "no more than {}")
            return _Part(rng.choice(forms).format(value))
        return _Part(rng.choice((f"{label} {value}", f"with {value} {label}", f"{value} {label}", f"with {label} {value}")))
    if kinds & _PLACES:
        link = rng.choice(("in", "in", "in", "of", "for", "from"))
        return _Part(f"{link} {value}", first=link != "of")
    if kinds & _LOOKED_FOR:
        return _Part(rng.choice((f"about {value}", f"for {value}", f"with {value} in it", quoted)))
    if kinds & _BEGINNINGS:
        return _Part(rng.choice((f"since {value}", f"from {value} on", f"after {value}")))
    if kinds & _ENDS and last not in _GIVEN:
        return _Part(rng.choice((f"until {value}", f"before {value}", f"up to {value}")))
    if kinds & _PEOPLE:
        return _Part(rng.choice((f"for {value}", f"of {value}", f"by {value}", value)))
    if last in _TITLES:
        return _Part(rng.choice((f"called {value}", f"named {value}", value, quoted)))
    if kinds & _GIVEN:
        return _Part(rng.choice((value, value, f"for {value}", f"on {value}", f"of {value}", f"at {value}")))
    return _Part(rng.choice((value, f"{label} {value}", f"with {value}", f"as {value}")))


def _sentence(request: str, parts: list[_Part], rng: random.Random) -> str:
    front = [part for part in parts if part.first]
    lead = ""
    if front and rng.random() < 0.3:
        parts = [part for part in parts if part is not front[0]]
        lead = front[0].words + rng.choice((", ", ": ", " "))
    if rng.random() < 0.4:
        rng.shuffle(parts)
    text = lead + request
    for at, part in enumerate(parts):
        link = "" if part.words.startswith((":", "-")) and not at else rng.choice((" ", " ", " ", ", "))
        text += (" " if part.words.startswith("-") else link) + part.words.lstrip(":" if at else "")
    if rng.random() < 0.15:
        text += rng.choice(_AFTER)
    asks = text.startswith(("what", "which", "can", "could", "would"))
    text += "?" if asks and rng.random() < 0.8 else rng.choice((".", ".", "", "?" if asks else ""))
    before = rng.choice(_BEFORE) if rng.random() < 0.2 else ""
    text = before + (text[0].upper() + text[1:] if before.endswith(". ") else text)
    return text[0].upper() + text[1:] if rng.random() < 0.7 else text


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
