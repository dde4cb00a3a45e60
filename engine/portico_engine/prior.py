"""A prior over tool calls for constrained decoding: what a caller believes about names, keys and values of a JSON text.

Very small models name the first tool whatever is asked, and fill in every optional argument that they may. Adding a caller's
opinion to their logits, where the grammar leaves a choice, is a product of experts (Hinton 1999) that leaves validity to the
grammar. Opinions are a potential over JSON prefixes: a token gets the potential after it less the potential before it
(potential-based shaping; Ng, Harada and Russell 1999), so that along a whole call they sum up to the weights of its parts.

`TextPrior` does the same for a choice among whole texts. It owns the arithmetic on text; it knows neither schemas nor retrieval
(the caller has made weights out of those), nor logits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

OPEN_STRING = 256  # more allowed tokens than this: free text, not a choice between names
MORE = -9.0  # nats for an array's every item but the first, and for an empty array
EMPTY_STRING = -20.0  # nats for leaving a free string empty
NO_PHRASE = "\x00"  # leads away from every phrase: JSON strings can't have it as it is
LONGEST_TOKEN = 32  # characters
HURRY = 0.25  # nats a character for ending a free string that is past the caller's patience


@dataclass(frozen=True, slots=True)
class CallPrior:
    """Weights in nats, by path below the call's arguments ("filters.column"; arrays don't count as a level).

    `keys` weigh writing a key at all, in schema order; `values` weigh whole strings (JSON-escaped) as values of a path.
    """

    keys: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # of an object's path
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Level:
    kind: Literal["{", "["]
    path: str
    key: str | None = None
    expects: Literal["key", "value", "end"] = "key"
    items: frozenset[str] = frozenset()  # of an array, the strings it has
    filled: bool = False  # of an array, whether it has anything


@dataclass(frozen=True, slots=True)
class JsonState:
    """Where a JSON prefix stands, and the weights that it has collected."""

    levels: tuple[_Level, ...] = ()
    string: str | None = None  # the open string's content so far, escapes as written
    is_key: bool = False
    escaped: bool = False
    tool: str | None = None
    total: float = 0.0


class ToolCallPrior:
    """Implements `TokenPrior` for texts like `{"name":"TOOL","arguments":{...}}`, alone or in an array.

    `token_texts` are the vocabulary's texts by id; `names` weighs tools; `calls`: what is believed about each one's arguments.
    """

    def __init__(
        self,
        token_texts: Sequence[str],
        names: Mapping[str, float],
        calls: Mapping[str, CallPrior],
        *,
        patience: int = 64,
        strength: float = 1.0,
    ) -> None:
        """`strength` scales all weights: the weaker the model, the more its caller's opinion counts."""
        self._texts = token_texts
        self._names = names
        self._calls = calls
        self._patience = patience
        self._strength = strength
        self._ids, self._quotes = _index(token_texts)
        self._seen: tuple[str, JsonState] = ("", JsonState())

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """See `TokenPrior`."""
        state = self._advance(text)
        before = self._potential(state)
        if len(allowed) <= OPEN_STRING:
            after = [self._potential(self._feed(state, self._texts[token])) for token in allowed.tolist()]
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
                    found = [token for token in self._ids.get(rest[:end], ()) if token in place]
                    if found:
                        for token in found:
                            out[place[token]] = self._potential(self._feed(state, rest[:end])) - before
                        break
        over = max(0, len(state.string) - self._patience)
        for token in self._quotes:
            if (i := place.get(token)) is not None:
                text = self._texts[token]
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
        said = state.string
        total, tool = state.total, state.tool
        if not state.levels:
            return replace(state, string=None)
        level = state.levels[-1]
        if state.is_key:
            total += self._keys(state, level).get(said, 0.0)
            level = replace(level, key=said, expects="value")
        elif level.kind == "[":
            total += self._values(state).get(said, 0.0) if said not in level.items else MORE
            level = replace(level, items=level.items | {said}, filled=True, expects="end")
        else:
            total += self._values(state).get(said, 0.0)
            if level.path == "" and level.key == "name":
                tool = said
            level = replace(level, expects="end")
        return replace(state, string=None, is_key=False, tool=tool, total=total, levels=(*state.levels[:-1], level))

    def _outside(self, state: JsonState, char: str) -> JsonState:
        levels = state.levels
        top = levels[-1] if levels else None
        if char == '"':
            return replace(state, string="", is_key=top is not None and top.kind == "{" and top.expects == "key", escaped=False)
        if char in "{[":
            path = "" if top is None else top.path if top.kind == "[" else _join(top.path, top.key)
            outer = levels if top is None or top.kind == "{" else (*levels[:-1], replace(top, filled=True, expects="end"))
            return replace(state, levels=(*outer, _Level("{" if char == "{" else "[", path)))
        if char in "}]" and top is not None:
            empty = char == "]" and top.kind == "[" and not top.filled
            outer = levels[:-1]
            if outer and outer[-1].kind == "{":
                outer = (*outer[:-1], replace(outer[-1], expects="end"))
            return replace(state, levels=outer, total=state.total + (MORE if empty else 0.0))
        if char == "," and top is not None:
            more = MORE if top.kind == "[" else 0.0
            return replace(state, levels=(*levels[:-1], replace(top, expects="key")), total=state.total + more)
        if top is not None and top.kind == "[" and not top.filled:
            return replace(state, levels=(*levels[:-1], replace(top, filled=True)))
        return state

    # --- weighing -------------------------------------------------------------------------------------------------------------

    def _potential(self, state: JsonState) -> float:
        """What is collected, the best of what is open, and every later key that is worth writing."""
        if not state.levels:
            return state.total
        top = state.levels[-1]
        total = state.total + sum(_worth(self._later_keys(state, level)) for level in state.levels[:-1] if level.kind == "{")
        later = self._later_keys(state, top) if top.kind == "{" else {}
        if state.is_key or (top.kind == "{" and top.expects == "key" and top.key is not None):
            names = list(later)
            start = state.string or ""
            choices = [
                later[name] + _worth({after: later[after] for after in names[i + 1 :]})
                for i, name in enumerate(names)
                if name.startswith(start)
            ]
            return total + max(choices, default=0.0)
        total += _worth(later)
        if state.string is not None:
            options = self._values(state).items()
            fitting = (weight for phrase, weight in options if phrase.startswith(state.string) and phrase not in top.items)
            return total + max(fitting, default=0.0)
        if (top.kind == "{" and top.expects == "value") or (top.kind == "[" and top.expects == "key" and top.filled):
            fresh = (weight for phrase, weight in self._values(state).items() if phrase not in top.items)
            return total + max(fresh, default=0.0)
        return total

    def _later_keys(self, state: JsonState, level: _Level) -> Mapping[str, float]:
        """The keys of an object that may follow the last one written."""
        keys = self._keys(state, level)
        if level.key is None or level.key not in keys:
            return keys
        names = list(keys)
        return {name: keys[name] for name in names[names.index(level.key) + 1 :]}

    def _keys(self, state: JsonState, level: _Level) -> Mapping[str, float]:
        path = _below_arguments(level.path)
        call = self._calls.get(state.tool or "")
        return {} if call is None or path is None else call.keys.get(path, {})

    def _values(self, state: JsonState) -> Mapping[str, float]:
        if not state.levels:
            return {}
        top = state.levels[-1]
        if top.path == "" and top.key == "name":
            return self._names
        path = _below_arguments(top.path if top.kind == "[" else _join(top.path, top.key))
        call = self._calls.get(state.tool or "")
        return {} if call is None or path is None else call.values.get(path, {})


class TextPrior:
    """Implements `TokenPrior` for a choice among whole texts, of which `weights` (nats) says how likely each one is."""

    def __init__(self, token_texts: Sequence[str], weights: Mapping[str, float], *, strength: float = 1.0) -> None:
        self._texts = token_texts
        self._weights = weights
        self._strength = strength

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """See `TokenPrior`. A token that ends the text weighs what the text so far does."""
        before = self._best(text)
        if before is None:
            return None
        pieces = (self._texts[token] for token in allowed.tolist())
        found = [self._best(text + piece) if piece else None for piece in pieces]  # control tokens have no text
        whole = self._weights.get(text, before)
        return np.asarray([self._strength * ((whole if f is None else f) - before) for f in found], np.float32)

    def _best(self, start: str) -> float | None:
        return max((weight for text, weight in self._weights.items() if text.startswith(start)), default=None)


def _worth(keys: Mapping[str, float]) -> float:
    return sum(weight for weight in keys.values() if weight > 0)


def _join(path: str, key: str | None) -> str:
    return f"{path}.{key}" if path else key or ""


def _below_arguments(path: str) -> str | None:
    """The path relative to the call's arguments, or None where it isn't below them."""
    if path == "arguments":
        return ""
    return path.removeprefix("arguments.") if path.startswith("arguments.") else None


_INDEXES: dict[int, tuple[Sequence[str], dict[str, list[int]], list[int]]] = {}


def _index(token_texts: Sequence[str]) -> tuple[dict[str, list[int]], list[int]]:
    """Token ids by text, and those whose text has a quote; made once a vocabulary."""
    found = _INDEXES.get(id(token_texts))
    if found is None or found[0] is not token_texts:
        ids: dict[str, list[int]] = defaultdict(list)
        for i, text in enumerate(token_texts):
            if text:
                ids[text].append(i)
        found = _INDEXES[id(token_texts)] = (token_texts, dict(ids), [i for i, text in enumerate(token_texts) if '"' in text])
        while len(_INDEXES) > 4:
            _INDEXES.pop(next(iter(_INDEXES)))
    return found[1], found[2]
