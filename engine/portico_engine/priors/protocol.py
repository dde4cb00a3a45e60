"""The seam between whoever believes something about an answer and the step that samples it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from portico_engine.priors.token_texts import TokenTexts


class Prior(Protocol):
    """A caller's belief about an answer, as plain data that can be pickled: it knows no vocabulary yet."""

    def bind(self, vocabulary: TokenTexts) -> TokenPrior:
        """The belief for one answer in a vocabulary."""
        ...


class TokenPrior(Protocol):
    """A belief about what comes next, added to the logits of a constrained step before sampling. One answer's own."""

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """`text` is the completion so far, `allowed` the token ids allowed next [n]; returns what to add [n], or None."""
        ...
