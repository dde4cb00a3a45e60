"""JSON Schema validation of tools' arguments; jsonschema is imported when it is first used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def validator(schema: Mapping[str, Any]) -> Any:
    """A validator of draft 2020-12, reusable. Formats are not checked."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)


def first_error(checker: Any, instance: Any) -> Any:
    """The most telling jsonschema ValidationError; None where `instance` fits the validator's schema."""
    from jsonschema.exceptions import best_match

    return best_match(checker.iter_errors(instance))
