"""JSON Schema validation for tools' arguments, imported when first used, and quickly.

jsonschema imports every format checker that is installed; the one for IRIs builds its grammar then, which takes about two
seconds of processor time. Tools' arguments are never checked for formats here, so it is kept out of the first import.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

_SLOW = "rfc3987_syntax"


def validator(schema: Mapping[str, Any]) -> Any:
    """A validator of draft 2020-12, reusable."""
    return _library().Draft202012Validator(schema)


def first_error(checker: Any, instance: Any) -> Any:
    """The most telling jsonschema ValidationError; None where `instance` fits the validator's schema."""
    return _library().exceptions.best_match(checker.iter_errors(instance))


def _library() -> Any:
    """jsonschema."""
    hidden = "jsonschema" not in sys.modules and _SLOW not in sys.modules
    if hidden:
        sys.modules[_SLOW] = None  # type: ignore[assignment]  # importing it raises ImportError, which jsonschema expects
    try:
        import jsonschema
    finally:
        if hidden:
            del sys.modules[_SLOW]
    return jsonschema
