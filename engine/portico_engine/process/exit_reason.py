"""How a process ended, in words for a user: exit codes, signals, and the kernel's count of processes killed for memory."""

from __future__ import annotations

import signal
from pathlib import Path

from portico_engine.executors.ranks.rank_watch import RANKS_LOST

_VMSTAT = Path("/proc/vmstat")
_REQUESTS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_MEANINGS: dict[int, str] = {
    signal.SIGSEGV: "segmentation fault",
    signal.SIGBUS: "bus error",
    signal.SIGILL: "illegal instruction",
    signal.SIGFPE: "arithmetic error",
    signal.SIGABRT: "aborted by a native library",
}


def memory_kills() -> int | None:
    """How many processes this system has killed because memory ran out, since it was started; None where it doesn't say."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    counts = (line.split() for line in lines)
    return next((int(value) for name, value in counts if name == "oom_kill"), None)


def describe_exit(code: int, kills_before: int | None) -> str:
    """The end of the engine's process. `code` as subprocess has it (negative: a signal), `kills_before` of its start."""
    if code == RANKS_LOST:
        return (
            "the engine's process ended with those of the other devices that the model is spread over, one of which ended or "
            "did not answer (the log says which)"
        )
    if code >= 0:
        return f"the engine's process ended with exit code {code}"
    if -code == signal.SIGKILL:
        kills = memory_kills()
        if kills is not None and kills_before is not None and kills > kills_before:
            return "the engine's process was killed by the system because memory ran out (signal 9)"
        return "the engine's process was killed (signal 9), as the system does where memory runs out"
    if -code in _REQUESTS:
        return f"the engine's process was told to end by another process (signal {-code})"
    meaning = _MEANINGS.get(-code)
    return f"the engine's process crashed (signal {-code}{f': {meaning}' if meaning else ''})"
