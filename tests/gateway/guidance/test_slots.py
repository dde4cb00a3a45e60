from __future__ import annotations

from tests.gateway.guidance.boats import FORMS, SCHEMA

from portico_gateway.guidance.slots import branches


def test_a_branch_stands_for_its_choices_and_forbidden_keys_are_no_slots() -> None:
    assert [dict(form.choice) for form in FORMS] == [
        {"thing": thing, "action": action} for thing in ("boats", "Owner") for action in ("list", "count", "most")
    ]
    assert ["by" in {slot.name for slot in form.slots} for form in FORMS] == [False, True, True] * 2
    assert branches(SCHEMA["anyOf"][1]["properties"]["where"]["items"]["anyOf"][0], SCHEMA) == []


def test_names_and_values_of_a_list_of_conditions_are_told_apart_whatever_they_are_called() -> None:
    found = next(slot.conditions for slot in FORMS[0].slots if slot.name == "where")
    assert found is not None
    assert (found.subject, found.op, found.value) == ("what", "how", "value")
    assert found.of["colour"].listed == ("red", "sea green")
    assert (found.of["built"].kinds, found.of["length"].ops) == ({"date", "null"}, ("=", ">", "<"))


def test_a_key_in_backquotes_lends_its_phrases() -> None:
    lent = next(slot for slot in FORMS[0].slots if slot.name == "sort").phrases[""]
    assert [phrase.parts[0] for phrase in lent] == [("cheapest",), ("oldest",), ("newest",), ("the", "most")]
