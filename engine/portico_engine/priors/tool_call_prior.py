"""A prior over tool calls for constrained decoding: what a caller believes about names, keys and values of a JSON text.

Very small models name the first tool whatever is asked, and fill in every optional argument that they may. Adding a caller's
opinion to their logits, where the grammar leaves a choice, is a product of experts (Hinton 1999) that leaves validity to the
grammar. Opinions are a potential over JSON prefixes: a token gets the potential after it less the potential before it
(potential-based shaping; Ng, Harada and Russell 1999), so that along a whole call they sum up to the weights of its parts.

It owns the arithmetic on text; it knows neither schemas nor retrieval (the caller has made weights out of those), nor logits.
`text_prior.py` does the same for a choice among whole texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from portico_engine.priors.protocol import TokenPrior
from portico_engine.priors.token_texts import TokenTexts

OPEN_STRING = 256  # more allowed tokens than this: free text, not a choice between names
MORE = -9.0  # nats for an array's every item but the first, and for an empty array
ITEM = 6.0  # nats for an item that an array is worth having
EMPTY_STRING = -20.0  # nats for leaving a free string empty
NO_PHRASE = "\x00"  # leads away from every phrase: JSON strings can't have it as it is
LONGEST_TOKEN = 32  # characters
HURRY = 0.25  # nats a character for ending a free string that is past the caller's patience


@dataclass(frozen=True, slots=True)
class CallPrior:
    """Weights in nats, by path below the call's arguments ("filters.column"; arrays don't count as a level).

    `keys` weigh writing a key at all, in schema order; `values` weigh whole strings (JSON-escaped) as values of a path, `bare`
    numbers and literals as JSON writes them. `items`: what is believed of each item that an array is worth having.
    `then`: what is believed of the rest of an object, and of all below, once the value at that path is the one named.
    """

    keys: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # of an object's path
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    bare: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    items: Mapping[str, Sequence[CallPrior]] = field(default_factory=dict)
    then: Mapping[str, Mapping[str, CallPrior]] = field(default_factory=dict)


_NOTHING = CallPrior()


@dataclass(frozen=True, slots=True)
class _Level:
    kind: Literal["{", "["]
    path: str
    prior: CallPrior = _NOTHING
    key: str | None = None
    expects: Literal["key", "value", "end"] = "key"
    items: frozenset[str] = frozenset()  # of an array, the strings it has
    filled: bool = False  # of an array, whether it has anything
    commas: int = 0  # of an array, how many items lie behind


@dataclass(frozen=True, slots=True)
class JsonState:
    """Where a JSON prefix stands, and the weights that it has collected."""

    levels: tuple[_Level, ...] = ()
    string: str | None = None  # the open string's content so far, escapes as written
    bare: str | None = None  # the number or literal that is being written
    is_key: bool = False
    escaped: bool = False
    tool: str | None = None
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolCallPrior:
    """Implements `Prior` for texts like `{"name":"TOOL","arguments":{...}}`, alone or in an array.

    `names` weighs tools; `calls`: what is believed about each one's arguments. Past `patience` characters a free string is
    hurried to its end. `strength` scales all weights: the weaker the model, the more its caller's opinion counts.
    """

    names: Mapping[str, float]
    calls: Mapping[str, CallPrior]
    patience: int = 64
    strength: float = 1.0

    def bind(self, vocabulary: TokenTexts) -> TokenPrior:
        """See `Prior`."""
        return _ToolCallBias(self, vocabulary)


class _ToolCallBias:
    """One answer's: it remembers how far it has read."""

    def __init__(self, prior: ToolCallPrior, vocabulary: TokenTexts) -> None:
        self._vocabulary = vocabulary
        self._names = prior.names
        self._calls = prior.calls
        self._patience = prior.patience
        self._strength = prior.strength
        self._seen: tuple[str, JsonState] = ("", JsonState())

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """See `TokenPrior`."""
        state = self._advance(text)
        before = self._potential(state)
        if len(allowed) <= OPEN_STRING:
            after = [self._potential(self._feed(state, self._vocabulary.texts[token])) for token in allowed.tolist()]
            return self._strength * (np.asarray(after, np.float32) - np.float32(before))
        if state.string is None or state.is_key:
            return None
        return self._free(state, before, allowed)

    def _free(self, state: JsonState, before: float, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Inside a free string: every token leaves the phrases, but for those that go on along one, or end the string."""
        assert state.string is not None
        out = np.full(len(allowed), self._potential(self._feed(state, NO_PHRASE)) - before, np.float32)
        place = {token: i for i, token in enumerate(allowed.tolist())}
        for phrase in self._values(state):
            if phrase.startswith(state.string):
                rest = phrase[len(state.string) :]
                # The longest token alone: shorter ones lead to spellings that the model has never seen.
                for end in range(min(len(rest), LONGEST_TOKEN), 0, -1):
                    found = [token for token in self._vocabulary.ids.get(rest[:end], ()) if token in place]
                    if found:
                        for token in found:
                            out[place[token]] = self._potential(self._feed(state, rest[:end])) - before
                        break
        over = max(0, len(state.string) - self._patience)
        for token in self._vocabulary.with_quote:
            if (i := place.get(token)) is not None:
                text = self._vocabulary.texts[token]
                end_weight = EMPTY_STRING if text.startswith('"') and not state.string else HURRY * over
                out[i] = self._potential(self._feed(state, text)) - before + end_weight
        return self._strength * out

    def _advance(self, text: str) -> JsonState:
        seen, state = self._seen
        if not text.startswith(seen):
            seen, state = "", JsonState()
        state = self._feed(state, text[len(seen) :])
        self._seen = (text, state)
        return state

    # --- reading --------------------------------------------------------------------------------------------------------------

    def _feed(self, state: JsonState, piece: str) -> JsonState:
        for char in piece:
            state = self._inside(state, char) if state.string is not None else self._outside(state, char)
        return state

    def _inside(self, state: JsonState, char: str) -> JsonState:
        assert state.string is not None
        if char != '"' or state.escaped:
            return replace(state, string=state.string + char, escaped=char == "\\" and not state.escaped)
        said, tool = state.string, state.tool
        if not state.levels:
            return replace(state, string=None)
        level = state.levels[-1]
        if state.is_key:
            total = state.total + _keys(level).get(said, 0.0)
            level = replace(level, key=said, expects="value")
        elif level.kind == "[":
            total = state.total + (self._values(state).get(said, 0.0) if said not in level.items else MORE)
            level = replace(level, items=level.items | {said}, filled=True, expects="end")
        else:
            total = state.total + self._values(state).get(said, 0.0) - self._peak(state)
            if level.path == "" and level.key == "name":
                tool = said
            level = replace(level, expects="end", prior=_then(level, said))
        return replace(state, string=None, is_key=False, tool=tool, total=total, levels=(*state.levels[:-1], level))

    def _outside(self, state: JsonState, char: str) -> JsonState:
        if state.bare is not None and char in ",}]":
            state = self._end_bare(state)
        levels = state.levels
        top = levels[-1] if levels else None
        if char == '"':
            is_key = top is not None and top.kind == "{" and top.expects == "key"
            return replace(state, string="", is_key=is_key, escaped=False, levels=_begun(levels))
        if char in "{[":
            path = "" if top is None else top.path if top.kind == "[" else _join(top.path, top.key)
            outer = levels if top is None or top.kind == "{" else (*levels[:-1], replace(top, filled=True, expects="end"))
            return replace(state, levels=(*outer, _Level("{" if char == "{" else "[", path, self._inherited(state, path))))
        if char in "}]" and top is not None:
            empty = char == "]" and top.kind == "[" and not top.filled
            outer = levels[:-1]
            if outer and outer[-1].kind == "{":
                outer = (*outer[:-1], replace(outer[-1], expects="end"))
            return replace(state, levels=outer, total=state.total + (MORE if empty else 0.0))
        if char == "," and top is not None:
            more = MORE if top.kind == "[" and top.commas + 1 >= max(_wanted(top), 1) else 0.0
            top = replace(top, expects="key", commas=top.commas + 1)
            return replace(state, levels=(*levels[:-1], top), total=state.total + more)
        if char != ":" and top is not None and (top.kind == "[" or top.expects == "value"):
            levels = _begun(levels)
            return replace(state, bare=(state.bare or "") + char, levels=(*levels[:-1], replace(levels[-1], filled=True)))
        return state

    def _end_bare(self, state: JsonState) -> JsonState:
        assert state.bare is not None
        total = state.total + self._bare(state).get(state.bare, 0.0) - self._peak(state)
        level = replace(state.levels[-1], expects="end")
        return replace(state, bare=None, total=total, levels=(*state.levels[:-1], level))

    def _inherited(self, state: JsonState, path: str) -> CallPrior:
        """What is believed inside of an object or array that opens here."""
        if not state.levels:
            return _NOTHING
        if path == "arguments" and len(state.levels) == 1 + (state.levels[0].kind == "["):
            return self._calls.get(state.tool or "", _NOTHING)
        return _item(state.levels[-1])

    # --- weighing -------------------------------------------------------------------------------------------------------------

    def _potential(self, state: JsonState) -> float:
        """What is collected, the best of what is open, and every later key or item that is worth writing."""
        if not state.levels:
            return state.total
        top = state.levels[-1]
        total = state.total + sum(_rest(level) for level in state.levels[:-1])
        if state.is_key or (top.kind == "{" and top.expects == "key" and top.key is not None):
            names = list(later := _later_keys(top))
            start = state.string or ""
            choices = [
                later[name] + _worth({after: later[after] for after in names[i + 1 :]})
                for i, name in enumerate(names)
                if name.startswith(start)
            ]
            return total + max(choices, default=0.0)
        return total + self._best(state, top)

    def _best(self, state: JsonState, top: _Level) -> float:
        """What the value that is being written may still become, with what it makes of the rest of its object."""
        if state.bare is not None:
            weights = self._bare(state)
            return (
                _rest(top)
                + max((w for text, w in weights.items() if text.startswith(state.bare)), default=0.0)
                - self._peak(state)
            )
        start = state.string or ""
        if state.string is not None or (top.kind == "[" and top.expects == "key" and top.filled):
            found = [
                weight + _gain(top, phrase)
                for phrase, weight in self._values(state).items()
                if phrase not in top.items and phrase.startswith(start)
            ]
            return _rest(top) + max(found, default=0.0) - self._peak(state)
        return _rest(top)

    def _peak(self, state: JsonState) -> float:
        """The best that an object's value can add. It is taken off all of them: a key is worth writing for its own weight."""
        top = state.levels[-1]
        if top.kind == "[":
            return 0.0
        strings = (weight + _gain(top, phrase) for phrase, weight in self._values(state).items())
        return max((*strings, *self._bare(state).values()), default=0.0)

    def _values(self, state: JsonState) -> Mapping[str, float]:
        if not state.levels:
            return {}
        top = state.levels[-1]
        if top.path == "" and top.key == "name":
            return self._names
        path = _value_path(top)
        return {} if path is None else _item(top).values.get(path, {})

    def _bare(self, state: JsonState) -> Mapping[str, float]:
        path = _value_path(state.levels[-1])
        return {} if path is None else _item(state.levels[-1]).bare.get(path, {})


def _keys(level: _Level) -> Mapping[str, float]:
    path = _below_arguments(level.path)
    return {} if path is None else level.prior.keys.get(path, {})


def _later_keys(level: _Level) -> Mapping[str, float]:
    """The keys of an object that may follow the last one written."""
    keys = _keys(level)
    if level.key is None or level.key not in keys:
        return keys
    names = list(keys)
    return {name: keys[name] for name in names[names.index(level.key) + 1 :]}


def _rest(level: _Level) -> float:
    """What is still worth writing in an object or an array."""
    if level.kind == "[":
        return ITEM * max(0, _wanted(level) - level.commas - (level.expects != "key"))
    return _worth(_later_keys(level))


def _wanted(level: _Level) -> int:
    """How many items an array is worth having."""
    path = _below_arguments(level.path)
    return 0 if path is None else len(level.prior.items.get(path, ()))


def _item(level: _Level) -> CallPrior:
    """What is believed of the value that comes next in an object, or of an array's present item."""
    items = level.prior.items.get(_below_arguments(level.path) or "", ()) if level.kind == "[" else ()
    return items[level.commas] if level.commas < len(items) else level.prior


def _begun(levels: tuple[_Level, ...]) -> tuple[_Level, ...]:
    """The levels, once a string or a bare value has begun in the last one."""
    return (*levels[:-1], replace(levels[-1], expects="value")) if levels and levels[-1].kind == "[" else levels


def _gain(level: _Level, said: str) -> float:
    """What a value makes of the rest of its object."""
    return _rest(replace(level, prior=then)) - _rest(level) if (then := _then(level, said)) is not level.prior else 0.0


def _then(level: _Level, said: str) -> CallPrior:
    path = _value_path(level)
    return level.prior if path is None else level.prior.then.get(path, {}).get(said, level.prior)


def _value_path(level: _Level) -> str | None:
    return _below_arguments(level.path if level.kind == "[" else _join(level.path, level.key))


def _worth(keys: Mapping[str, float]) -> float:
    return sum(weight for weight in keys.values() if weight > 0)


def _join(path: str, key: str | None) -> str:
    return f"{path}.{key}" if path else key or ""


def _below_arguments(path: str) -> str | None:
    """The path relative to the call's arguments, or None where it isn't below them."""
    if path == "arguments":
        return ""
    return path.removeprefix("arguments.") if path.startswith("arguments.") else None
