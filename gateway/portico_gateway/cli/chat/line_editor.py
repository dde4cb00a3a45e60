"""The line that a person writes: edited, completed, remembered in a file of their own. The one place that knows
prompt_toolkit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion, WordCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from portico_gateway.safe_output.private_files import private_folder, private_opener

MAX_HISTORY = 1 << 20  # bytes of the file; a longer one is begun anew


class LineEditor:
    """Reads lines. `commands` are completed, with what each is for."""

    def __init__(self, history: Path, commands: Mapping[str, str]) -> None:
        completer = _FirstWord(WordCompleter([*commands], meta_dict=dict(commands), sentence=True))
        self._session: PromptSession[str] = PromptSession(
            history=_history(history), completer=completer, complete_while_typing=True, enable_history_search=True
        )
        self._plain: PromptSession[str] = PromptSession()  # answers to questions are nobody's history

    async def read(self, prompt: str) -> str:
        """The next line. Raises EOFError at Ctrl-D, KeyboardInterrupt at Ctrl-C."""
        return await self._session.prompt_async(prompt)

    async def ask(self, prompt: str, default: str = "") -> str:
        """An answer, to be edited from `default`. Raises as `read`."""
        return await self._plain.prompt_async(prompt, default=default)


class _FirstWord(Completer):
    """Completes commands alone: what does not begin with a slash is a question."""

    def __init__(self, commands: Completer) -> None:
        self._commands = commands

    def get_completions(self, document: Document, complete_event: object) -> Iterable[Completion]:
        if document.text_before_cursor.startswith("/"):
            yield from self._commands.get_completions(document, complete_event)  # type: ignore[arg-type]


def _history(path: Path) -> History:
    """Kept in a file for its owner alone; in memory where that can't be written."""
    try:
        private_folder(path.parent)
        too_long = path.exists() and path.stat().st_size > MAX_HISTORY
        with open(path, "w" if too_long else "a", encoding="utf-8", opener=private_opener):
            pass
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
