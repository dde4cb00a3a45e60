"""An answer that counts for later calls: of that caller, tool, definition and pattern of arguments alone, and for its time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico_gateway.errors import UnknownName
from portico_gateway.policy.remembered import MAX_CHOICES, RememberedChoices


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


ARGUMENTS = {"path": "a", "n": 1}


def test_exact_arguments_are_exact_and_any_are_any() -> None:
    choices = RememberedChoices()
    choices.add("local", "s__t", "d", ARGUMENTS, allow=True, seconds=60)
    assert choices.find("local", "s__t", "d", {"n": 1, "path": "a"}) is not None
    others = [("key", "s__t", "d", ARGUMENTS), ("local", "s__u", "d", ARGUMENTS), ("local", "s__t", "e", ARGUMENTS)]
    others += [("local", "s__t", "d", {**ARGUMENTS, "more": 1}), ("local", "s__t", "d", {"path": "a"})]
    assert not [each for each in others if choices.find(*each)]
    choices.add("local", "s__t", "d", None, allow=False, seconds=60)
    found = choices.find("local", "s__t", "d", {"path": "b"})
    assert found is not None
    assert not found.allow
    exact = choices.find("local", "s__t", "d", ARGUMENTS)
    assert exact is not None
    assert exact.allow, "the narrower choice goes before"
    assert choices.find("local", "s__t", "d", {"path": "b"}, exact=True) is None


def test_it_ends_with_its_time_and_can_be_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    choices = RememberedChoices(tmp_path / "choices.json", clock=clock)
    first = choices.add("local", "s__t", "d", None, allow=True, seconds=60)
    clock.now += 59
    assert choices.find("local", "s__t", "d", {}) == first
    clock.now += 2
    assert choices.find("local", "s__t", "d", {}) is None
    second = choices.add("local", "s__t", "d", None, allow=True, seconds=60)
    assert choices.forget(second.id) == second
    with pytest.raises(UnknownName):
        choices.forget(second.id)


def test_another_process_sees_it_and_the_file_is_private(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "choices.json"
    one, other = RememberedChoices(file), RememberedChoices(file)
    assert other.all() == []
    one.add("local", "s__t", "d", ARGUMENTS, allow=True, seconds=60)
    assert other.find("local", "s__t", "d", ARGUMENTS) is not None
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("{broken")
    assert other.all() == [], "what can't be read allows nothing"


def test_the_same_calls_are_remembered_once_and_there_is_a_most() -> None:
    choices = RememberedChoices()
    for _ in range(3):
        choices.add("local", "s__t", "d", ARGUMENTS, allow=True, seconds=60)
    assert len(choices.all()) == 1
    for number in range(MAX_CHOICES + 5):
        choices.add("local", f"s__{number}", "d", None, allow=True, seconds=60 + number)
    assert len(choices.all()) == MAX_CHOICES


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4), lambda v: st.lists(v, max_size=2), max_leaves=3
)


@given(st.dictionaries(st.text(max_size=3), values, max_size=3), st.dictionaries(st.text(max_size=3), values, max_size=3))
def test_a_choice_covers_equal_arguments_alone(mine: dict[str, object], other: dict[str, object]) -> None:
    choices = RememberedChoices()
    choices.add("local", "s__t", "d", mine, allow=True, seconds=60)
    assert (choices.find("local", "s__t", "d", other) is not None) == (_typed(mine) == _typed(other))


def _typed(value: object) -> object:
    """1 and true are not the same argument."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return type(value).__name__, value
