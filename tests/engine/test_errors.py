from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from portico_engine import errors

MADE = [
    errors.ContextOverflow(300, 256),
    errors.UnknownAdapter("sql", ["a", "b"]),
    errors.GBNFSyntaxError("expected a name", 3, 7),
    errors.InvalidSchema("/properties/a", "type is 3"),
    errors.Unsatisfiable("", "no value is both"),
    errors.PatternTooCostly(),
]


def kinds(of: type[errors.EngineError]) -> Iterator[type[errors.EngineError]]:
    """The engine's own: a process that has imported the gateway has its kinds, too."""
    yield of
    for kind in of.__subclasses__():
        if kind.__module__.startswith("portico_engine."):
            yield from kinds(kind)


@pytest.mark.parametrize(
    "error", [*MADE, *(k("said") for k in kinds(errors.EngineError) if "__init__" not in vars(k))], ids=repr
)
def test_an_error_is_the_same_after_pickling(error: errors.EngineError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_every_error_is_among_those() -> None:
    assert {type(error) for error in MADE} == {k for k in kinds(errors.EngineError) if "__init__" in vars(k)}
