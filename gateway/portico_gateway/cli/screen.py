"""Where an answer is shown: this process's terminal, or that of a command which asked from another process.

Both look the same: what decides colours and widths is read where the person sits.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from portico_gateway.background.remote_terminal import RemoteTerminal
from portico_gateway.safe_output.inert import inert


@dataclass(frozen=True, slots=True)
class Screen:
    """Answers go to `out`, progress and complaints to `err`."""

    out: Console
    err: Console

    def print_line(self, text: str) -> None:
        """As it is, for programs that read it."""
        print(text, file=self.out.file, flush=True)

    def complain(self, text: str) -> None:
        self.err.print(inert(text), style="red", highlight=False, markup=False, soft_wrap=True)


def local_screen() -> Screen:
    return Screen(Console(highlight=False), Console(stderr=True))


def remote_screen(terminal: RemoteTerminal) -> Screen:
    looks = terminal.looks
    out, err = (
        Console(file=stream, highlight=False, width=looks.width, height=looks.height, _environ=looks.environ)  # type: ignore[arg-type]
        for stream in (terminal.stdout, terminal.stderr)
    )
    return Screen(out, err)
