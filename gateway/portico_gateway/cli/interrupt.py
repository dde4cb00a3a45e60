"""SIGINT for commands that rely on it.

A shell's background job (`portico serve &`) is started with it ignored, and Python then sets no handler: nothing but SIGTERM
would end the command.
"""

from __future__ import annotations

import signal
import threading


def interruptible() -> None:
    """SIGINT raises KeyboardInterrupt from now on, whatever this process was started with."""
    if threading.current_thread() is threading.main_thread():  # only there may handlers be set, and there signals go
        signal.signal(signal.SIGINT, signal.default_int_handler)
