"""What grammar exports is there, and its map says what each name is for."""

from __future__ import annotations

from portico_engine import grammar as package


def test_every_exported_name_is_there_and_in_the_map() -> None:
    assert package.__doc__ is not None
    for name in package._HOMES:
        assert getattr(package, name) is not None
        assert name in package.__doc__, name
