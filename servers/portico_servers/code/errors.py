"""What a caller can get wrong. Messages are fit for a user or a model: what is wrong, and what would be right.

CodeError
├── BadPattern      a regular expression that ripgrep can't read
├── BadFilter       a path or language filter that can't match anything
├── BadRange        lines that the file does not have
├── NoSuchSymbol    a file without such a definition
├── GitError        no repository, an unknown revision, or git could not answer
│   └── RootGone    the directory is not there any more
└── ToolMissing     a program that the answer needs is not installed
"""

from __future__ import annotations


class CodeError(Exception):
    """Base of what this server reports to its caller."""


class BadPattern(CodeError):
    """ripgrep refused the regular expression."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(
            f"the pattern {pattern[:80]!r} is not a regular expression: {reason}; search without regex takes plain words"
        )


class BadFilter(CodeError):
    """A filter names nothing that exists."""


class BadRange(CodeError):
    """The lines asked for are not in the file."""


class NoSuchSymbol(CodeError):
    """The file defines nothing of that name."""


class GitError(CodeError):
    """git could not answer."""


class RootGone(GitError):
    """There is no directory to ask git about."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the directory of {name} is gone")


class ToolMissing(CodeError):
    """A program is missing; the message says how to get it."""
