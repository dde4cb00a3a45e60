"""Errors that the engine raises for bad input. Internal faults are assertions, not these.

EngineError
├── ModelError              a model file that is missing, corrupt, or of an architecture that we can't run
│   ├── UnsupportedModel    one that another executor may run
│   ├── ChatTemplateError   the model has no chat template, or its template refuses the messages
│   └── AdapterError        an adapter that can't be loaded: damaged, for another model, of a kind that isn't supported
├── EngineDied              the engine's process ended under a request; says how
├── DeviceLost              the device computes nothing more for this process
├── RequestError            a request that can't be accepted
│   ├── ContextOverflow     prompt + at least one token don't fit; carries both numbers
│   └── UnknownAdapter      no adapter of this name is loaded; carries the names that are
└── GrammarError            a grammar or schema that can't be compiled
    ├── GBNFSyntaxError     carries line and column
    ├── InvalidSchema       a schema that is none; carries the JSON pointer
    ├── PatternTooCostly    a pattern whose search in a text met its bound
    ├── Unsatisfiable       a schema that nothing satisfies; carries the JSON pointer
    └── GrammarTooLarge     a bound on time or memory was met; says which
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class EngineError(Exception):
    """Base of everything that bad input to the engine raises. Its message is fit for a user. All of them can be pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Not by calling the class with the message, as exceptions are by default: some are made of other arguments."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[EngineError], args: tuple[Any, ...], attributes: dict[str, Any]) -> EngineError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class EngineDied(EngineError):
    """The process that the engine ran in ended by itself. The message says how; the request may be made again."""


class DeviceLost(EngineError):
    """A fault that the device doesn't recover from while this process lives: only another process can go on."""


class ModelError(EngineError):
    """The model file is missing, corrupt, or not supported."""


class UnsupportedModel(ModelError):
    """A model that is well, but that this executor has no decoder or no memory for: another may."""


class ChatTemplateError(ModelError):
    """The model carries no chat template, or the template refuses these messages."""

    @classmethod
    def missing(cls, model: str) -> ChatTemplateError:
        """The error for a model that carries none."""
        return cls(
            f"the model {model} carries no chat template (tokenizer.chat_template); "
            "give the prompt as text, or use an instruction-tuned model"
        )


class AdapterError(ModelError):
    """An adapter is missing, damaged, for another model, or of a kind that this engine doesn't apply."""


class RequestError(EngineError):
    """The request can't be accepted as it is."""


class ContextOverflow(RequestError):
    """The prompt does not fit the context. Never truncated in silence."""

    def __init__(self, prompt_tokens: int, context_tokens: int) -> None:
        super().__init__(
            f"the prompt has {prompt_tokens} tokens, but the model's context holds {context_tokens} "
            f"(prompt and answer together); shorten the prompt or load the model with a larger context"
        )
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class UnknownAdapter(RequestError):
    """A request, or an unload, names an adapter that isn't loaded."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        there = f"loaded are {', '.join(known)}" if known else "none is loaded"
        super().__init__(f"no adapter is called {name!r}; {there}")
        self.name = name
        self.known = tuple(known)


class GrammarError(EngineError):
    """A grammar, schema or tool definition that can't be compiled."""


class GBNFSyntaxError(GrammarError):
    """A GBNF text that doesn't parse. Line and column start at 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column


class InvalidSchema(GrammarError):
    """A JSON Schema that is none: a keyword with a wrong value, or a reference that leads nowhere."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"invalid schema at {pointer or '/'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class PatternTooCostly(GrammarError):
    """A pattern's search in a text met its bound on steps."""

    def __init__(self) -> None:
        super().__init__("the search for the pattern takes too many steps in this text")


class Unsatisfiable(GrammarError):
    """A schema that no value satisfies."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"nothing satisfies the schema at {pointer or '/'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class GrammarTooLarge(GrammarError):
    """Compilation met its bound on time, memory or size; the message says which."""


class LexemesTooLarge(GrammarTooLarge):
    """The search for lexemes met a limit; a grammar that counts less may do."""
