"""Which answers were given to whom, so that a word on one can be told from a word on nothing."""

from __future__ import annotations

from collections import OrderedDict

_OF_ONE = 256  # a caller's last answers, as many as it can have stored
_CALLERS = 1000  # access tokens may name any number of them


class AnswerIds:
    """The ids, bare hex, of each caller's last answers, in memory. None survives a restart."""

    def __init__(self) -> None:
        self._given: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def note(self, caller: str, answer: str) -> None:
        """This one is the caller's."""
        given = self._given.setdefault(caller, OrderedDict())
        self._given.move_to_end(caller)
        given[answer] = None
        if len(given) > _OF_ONE:
            given.popitem(last=False)
        if len(self._given) > _CALLERS:
            self._given.popitem(last=False)

    def caller_of(self, answer: str) -> str | None:
        """Whose it is; None where nobody is known to have been given it."""
        return next((caller for caller, given in self._given.items() if answer in given), None)
