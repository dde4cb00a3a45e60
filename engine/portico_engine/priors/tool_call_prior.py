"""A prior over tool calls for constrained decoding: what a caller believes about names, keys and values of a JSON text.

Very small models name the first tool whatever is asked, and fill in every optional argument that they may. Adding a caller's
opinion to their logits, where the grammar leaves a choice, is a product of experts (Hinton 1999) that leaves validity to the
grammar. Opinions are a potential over JSON prefixes: a token gets the potential after it less the potential before it
(potential-based shaping; Ng, Harada and Russell 1999), so that along a whole call they sum up to the weights of its parts.

It owns the arithmetic on text; it knows neither schemas nor retrieval (the caller has made weights out of those), nor logits.
`text_prior.py` does the same for a choice among whole texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portico_engine.priors.call_prior import (
    ARGUMENTS,
    NO_BELIEFS,
    CallPrior,
    JsonLevel,
    JsonState,
    gain,
    item_prior,
    join_path,
    keys_of,
    later_keys,
    prior_after,
    remaining_worth,
    value_path,
    wanted_items,
    with_value_begun,
    worth,
)
from portico_engine.priors.protocol import TokenPrior
from portico_engine.priors.token_texts import TokenTexts

OPEN_STRING = 256  # more allowed tokens than this: free text, not a choice between names
MORE = -9.0  # nats for every item but the first of an array of values, and for an empty array
EMPTY_STRING = -20.0  # nats for leaving a free string empty
NO_PHRASE = "\x00"  # leads away from every phrase: JSON strings can't have it as it is
LONGEST_TOKEN = 32  # characters
_STRING_MARK = re.compile(r'["\\]')
HURRY = 0.25  # nats a character for ending a free string that is past the caller's patience


@dataclass(frozen=True, slots=True)
class ToolCallPrior:
    """Implements `Prior` for texts like `{"name":"TOOL","arguments":{...}}`, alone or in an array.

    `names` weighs tools; `calls`: what is believed about each one's arguments. Past `patience` characters a free string is
    hurried to its end. `strength` scales all weights: the weaker the model, the more its caller's opinion counts; but for
    `call`, the nats for making a call where the answer may also be a text, which are added as they are.
    `own_values`: arrays and strings are as long as the model makes them, in calls of tools of which `calls` says nothing.
    """

    names: Mapping[str, float]
    calls: Mapping[str, CallPrior]
    patience: int = 64
    strength: float = 1.0
    call: float = 0.0
    own_values: bool = False

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
        self._call = prior.call
        self._own_values = prior.own_values
        self._seen: tuple[str, JsonState] = ("", JsonState())
        # what is looked up again and again; priors are told apart by identity: `prior` holds them all
        self._worths: dict[tuple[int, str, str | None], float] = {}
        self._peaks: dict[tuple[int, str, str | None, str, int], float] = {}
        self._prior = prior

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """See `TokenPrior`."""
        state = self._advance(text)
        before = self._potential(state)
        if len(allowed) <= OPEN_STRING:
            after = [self._potential(self._feed(state, self._vocabulary.texts[token])) for token in allowed.tolist()]
            return self._strength * (np.asarray(after, np.float32) - np.float32(before))
        if self._call and not text.strip():
            return np.where(np.isin(allowed, self._vocabulary.opening), np.float32(self._call), np.float32(0.0))
        if state.string is None or state.is_key or self._is_own(state):
            return None
        return self._bias_free_string(state, before, allowed)

    def _bias_free_string(self, state: JsonState, before: float, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
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

    def _is_own(self, state: JsonState) -> bool:
        """Are the values of this call the model's own?"""
        return self._own_values and state.tool not in self._calls

    def _more(self, state: JsonState) -> float:
        return 0.0 if self._is_own(state) else MORE

    def _advance(self, text: str) -> JsonState:
        seen, state = self._seen
        if not text.startswith(seen):
            seen, state = "", JsonState()
        state = self._feed(state, text[len(seen) :])
        self._seen = (text, state)
        return state

    # --- reading --------------------------------------------------------------------------------------------------------------

    def _feed(self, state: JsonState, piece: str) -> JsonState:
        at = 0
        while at < len(piece):
            if state.string is None:
                state = self._feed_structure(state, piece[at])
                at += 1
            elif not state.escaped and (end := _end_of_plain(piece, at)) > at:
                state = state._replace(string=state.string + piece[at:end])
                at = end
            else:
                state = self._feed_string(state, piece[at])
                at += 1
        return state

    def _feed_string(self, state: JsonState, char: str) -> JsonState:
        assert state.string is not None
        if char != '"' or state.escaped:
            return state._replace(string=state.string + char, escaped=char == "\\" and not state.escaped)
        said, tool = state.string, state.tool
        if not state.levels:
            return state._replace(string=None)
        level = state.levels[-1]
        if state.is_key:
            total = state.total + keys_of(level).get(said, 0.0)
            level = level._replace(key=said, expects="value")
        elif level.kind == "[":
            total = state.total + (self._values(state).get(said, 0.0) if said not in level.items else self._more(state))
            level = level._replace(items=level.items | {said}, filled=True, expects="end")
        else:
            total = state.total + self._values(state).get(said, 0.0) - self._peak(state)
            if level.path == "" and level.key == "name":
                tool = said
            level = level._replace(expects="end", prior=prior_after(level, said))
        return state._replace(string=None, is_key=False, tool=tool, total=total, levels=(*state.levels[:-1], level))

    def _feed_structure(self, state: JsonState, char: str) -> JsonState:
        if char.isspace():  # some families write `"name": `
            return state
        if state.bare is not None and char in ",}]":
            state = self._end_bare(state)
        levels = state.levels
        top = levels[-1] if levels else None
        if char == '"':
            is_key = top is not None and top.kind == "{" and top.expects == "key"
            return state._replace(string="", is_key=is_key, escaped=False, levels=with_value_begun(levels))
        if char in "{[":
            path = "" if top is None else top.path if top.kind == "[" else join_path(top.path, top.key)
            outer = levels if top is None or top.kind == "{" else (*levels[:-1], top._replace(filled=True, expects="end"))
            return state._replace(levels=(*outer, JsonLevel("{" if char == "{" else "[", path, self._inherited(state, path))))
        if char in "}]" and top is not None:
            empty = char == "]" and top.kind == "[" and not top.filled
            outer = levels[:-1]
            if outer and outer[-1].kind == "{":
                outer = (*outer[:-1], outer[-1]._replace(expects="end"))
            return state._replace(levels=outer, total=state.total + (self._more(state) if empty else 0.0))
        if char == "," and top is not None:
            values = top.kind == "[" and top.path != ""  # an array at the root is several calls
            more = self._more(state) if values and top.commas + 1 >= max(wanted_items(top), 1) else 0.0
            top = top._replace(expects="key", commas=top.commas + 1)
            return state._replace(levels=(*levels[:-1], top), total=state.total + more)
        if char != ":" and top is not None and (top.kind == "[" or top.expects == "value"):
            levels = with_value_begun(levels)
            return state._replace(bare=(state.bare or "") + char, levels=(*levels[:-1], levels[-1]._replace(filled=True)))
        return state

    def _end_bare(self, state: JsonState) -> JsonState:
        assert state.bare is not None
        total = state.total + self._bare(state).get(state.bare, 0.0) - self._peak(state)
        level = state.levels[-1]._replace(expects="end")
        return state._replace(bare=None, total=total, levels=(*state.levels[:-1], level))

    def _inherited(self, state: JsonState, path: str) -> CallPrior:
        """What is believed inside of an object or array that opens here."""
        if not state.levels:
            return NO_BELIEFS
        if path in ARGUMENTS and len(state.levels) == 1 + (state.levels[0].kind == "["):
            return self._calls.get(state.tool or "", NO_BELIEFS)
        return item_prior(state.levels[-1])

    # --- weighing -------------------------------------------------------------------------------------------------------------

    def _potential(self, state: JsonState) -> float:
        """What is collected, the best of what is open, and every later key or item that is worth writing."""
        if not state.levels:
            return state.total
        top = state.levels[-1]
        total = state.total + sum(self._worth(level) for level in state.levels[:-1])
        if state.is_key or (top.kind == "{" and top.expects == "key" and top.key is not None):
            names = list(later := later_keys(top))
            start = state.string or ""
            choices = [
                later[name] + worth({after: later[after] for after in names[i + 1 :]})
                for i, name in enumerate(names)
                if name.startswith(start)
            ]
            return total + max(choices, default=0.0)
        return total + self._best(state, top)

    def _best(self, state: JsonState, top: JsonLevel) -> float:
        """What the value that is being written may still become, with what it makes of the rest of its object."""
        if state.bare is not None:
            weights = self._bare(state)
            return (
                self._worth(top)
                + max((w for text, w in weights.items() if text.startswith(state.bare)), default=0.0)
                - self._peak(state)
            )
        start = state.string or ""
        if state.string is not None or (top.kind == "[" and top.expects == "key" and top.filled):
            found = [
                weight + gain(top, phrase)
                for phrase, weight in self._values(state).items()
                if phrase not in top.items and phrase.startswith(start)
            ]
            return self._worth(top) + max(found, default=0.0) - self._peak(state)
        return self._worth(top)

    def _peak(self, state: JsonState) -> float:
        """The best that an object's value can add. It is taken off all of them: a key is worth writing for its own weight."""
        top = state.levels[-1]
        if top.kind == "[":
            return 0.0
        key = (id(top.prior), top.path, top.key, top.expects, top.commas)
        if (known := self._peaks.get(key)) is None:
            strings = (weight + gain(top, phrase) for phrase, weight in self._values(state).items())
            known = self._peaks[key] = max((*strings, *self._bare(state).values()), default=0.0)
        return known

    def _worth(self, level: JsonLevel) -> float:
        """`remaining_worth`, of an object worked out once."""
        if level.kind == "[":
            return remaining_worth(level)
        key = (id(level.prior), level.path, level.key)
        if (known := self._worths.get(key)) is None:
            known = self._worths[key] = remaining_worth(level)
        return known

    def _values(self, state: JsonState) -> Mapping[str, float]:
        if not state.levels:
            return {}
        top = state.levels[-1]
        if top.path == "" and top.key == "name":
            return self._names
        path = value_path(top)
        return {} if path is None else item_prior(top).values.get(path, {})

    def _bare(self, state: JsonState) -> Mapping[str, float]:
        path = value_path(state.levels[-1])
        return {} if path is None else item_prior(state.levels[-1]).bare.get(path, {})


def _end_of_plain(piece: str, at: int) -> int:
    """Where the characters end that are neither a quotation mark nor a backslash."""
    found = _STRING_MARK.search(piece, at)
    return len(piece) if found is None else found.start()
