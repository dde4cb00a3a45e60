"""What a caller believes about one call's arguments, and what of that concerns the place where a JSON text stands.

It owns the beliefs, the state of a JSON prefix, and the look-ups of one in the other. How the state goes on with a text, and
what that is worth, is `tool_call_prior`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

ARGUMENTS = ("arguments", "parameters")  # the key of a call's arguments, by the families of models
ITEM = 6.0  # nats for an item that an array is worth having


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


NO_BELIEFS = CallPrior()


class JsonLevel(NamedTuple):
    """An object or array that is open."""

    kind: Literal["{", "["]
    path: str
    prior: CallPrior = NO_BELIEFS
    key: str | None = None
    expects: Literal["key", "value", "end"] = "key"
    items: frozenset[str] = frozenset()  # of an array, the strings it has
    filled: bool = False  # of an array, whether it has anything
    commas: int = 0  # of an array, how many items lie behind


class JsonState(NamedTuple):
    """Where a JSON prefix stands, and the weights that it has collected."""

    levels: tuple[JsonLevel, ...] = ()
    string: str | None = None  # the open string's content so far, escapes as written
    bare: str | None = None  # the number or literal that is being written
    is_key: bool = False
    escaped: bool = False
    tool: str | None = None
    total: float = 0.0


def keys_of(level: JsonLevel) -> Mapping[str, float]:
    """The weights of an object's keys."""
    path = _below_arguments(level.path)
    return {} if path is None else level.prior.keys.get(path, {})


def later_keys(level: JsonLevel) -> Mapping[str, float]:
    """The keys of an object that may follow the last one written."""
    keys = keys_of(level)
    if level.key is None or level.key not in keys:
        return keys
    names = list(keys)
    return {name: keys[name] for name in names[names.index(level.key) + 1 :]}


def remaining_worth(level: JsonLevel) -> float:
    """What is still worth writing in an object or an array."""
    if level.kind == "[":
        return ITEM * max(0, wanted_items(level) - level.commas - (level.expects != "key"))
    return worth(later_keys(level))


def wanted_items(level: JsonLevel) -> int:
    """How many items an array is worth having."""
    path = _below_arguments(level.path)
    return 0 if path is None else len(level.prior.items.get(path, ()))


def item_prior(level: JsonLevel) -> CallPrior:
    """What is believed of the value that comes next in an object, or of an array's present item."""
    items = level.prior.items.get(_below_arguments(level.path) or "", ()) if level.kind == "[" else ()
    return items[level.commas] if level.commas < len(items) else level.prior


def with_value_begun(levels: tuple[JsonLevel, ...]) -> tuple[JsonLevel, ...]:
    """The levels, once a string or a bare value has begun in the last one."""
    return (*levels[:-1], levels[-1]._replace(expects="value")) if levels and levels[-1].kind == "[" else levels


def gain(level: JsonLevel, said: str) -> float:
    """What a value makes of the rest of its object."""
    after = prior_after(level, said)
    return 0.0 if after is level.prior else remaining_worth(level._replace(prior=after)) - remaining_worth(level)


def prior_after(level: JsonLevel, said: str) -> CallPrior:
    """What is believed of the rest of an object once a value is the one named."""
    if not level.prior.then:
        return level.prior
    path = value_path(level)
    return level.prior if path is None else level.prior.then.get(path, {}).get(said, level.prior)


def value_path(level: JsonLevel) -> str | None:
    """The path of the value that comes next, relative to the call's arguments; None where it isn't below them."""
    return _below_arguments(level.path if level.kind == "[" else join_path(level.path, level.key))


def worth(keys: Mapping[str, float]) -> float:
    """What the keys that are worth writing come to."""
    return sum(weight for weight in keys.values() if weight > 0)


def join_path(path: str, key: str | None) -> str:
    """A path one level below."""
    return f"{path}.{key}" if path else key or ""


def _below_arguments(path: str) -> str | None:
    """The path relative to the call's arguments, or None where it isn't below them."""
    key, _, below = path.partition(".")
    return below if key in ARGUMENTS else None
