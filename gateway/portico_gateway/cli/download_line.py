"""The progress of a download, on stderr: a bar that is drawn over itself in a terminal, elsewhere a line a tenth of a file."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from portico_gateway.safe_output.inert import inert


class DownloadLine:
    """`report(file, there, all)` as often as one likes."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._tenths: dict[str, int] = {}

    def __enter__(self) -> DownloadLine:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def report(self, file: str, there: int, every: int) -> None:
        if not self._console.is_terminal:
            self._plain(file, there, every)
            return
        if file not in self._tasks:
            self._tasks[file] = self._progress.add_task(inert(file), total=every)
        self._progress.update(self._tasks[file], completed=there)

    def _plain(self, file: str, there: int, every: int) -> None:
        tenth = 10 * there // max(1, every)
        if tenth > self._tenths.get(file, -1):
            self._tenths[file] = tenth
            self._console.print(inert(f"{file}: {10 * tenth}% of {every / 1e6:.0f} MB"), markup=False, soft_wrap=True)
