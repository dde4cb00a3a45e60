"""Results kept for the pages that follow: a list that is ranked anew between two pages would repeat some and lose others.

A few recent questions are remembered, by the same key that their cursors carry. It knows nothing of what the results are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

_QUESTIONS = 32


class ResultCache:
    """The latest results by question, the oldest forgotten. Thread-safe."""

    def __init__(self, questions: int = _QUESTIONS) -> None:
        self._capacity = questions
        self._lock = threading.Lock()
        self._results: OrderedDict[Hashable, Any] = OrderedDict()

    def put(self, question: Hashable, results: Any) -> None:
        with self._lock:
            self._results[question] = results
            self._results.move_to_end(question)
            while len(self._results) > self._capacity:
                self._results.popitem(last=False)

    def get(self, question: Hashable) -> Any | None:
        """None for a question that was never asked or is forgotten: the caller answers it anew."""
        with self._lock:
            return self._results.get(question)
