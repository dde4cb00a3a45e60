"""What an engine does instead of what it would rather do, and why: each said once.

It owns the kinds, the log's line and the record that `ModelInfo` carries to whoever asks, across processes too. It decides
nothing: who falls back says so here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

_log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["device", "weights", "experts", "graphs", "layers", "kernels", "executor", "devices"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_INSTEAD: Mapping[Kind, str] = MappingProxyType(
    {
        "device": "the CPU instead of a GPU",
        "weights": "bfloat16 instead of the file's codes",
        "experts": "experts read from this machine's memory instead of the GPU's",
        "graphs": "one launch after the other instead of CUDA graphs",
        "layers": "single operations instead of five kernels a layer for steps of few tokens",
        "kernels": "plain torch instead of kernels compiled for this CPU",
        "executor": "llama.cpp instead of torch",
        "devices": "one device instead of several",
    }
)


class Fallbacks:
    """Those of one engine that is being loaded."""

    def __init__(self, *, quiet: bool = False) -> None:
        """`quiet`: nothing goes to the log, for who only wants to know."""
        self._quiet = quiet
        self._found: dict[Kind, str] = {}

    def record(self, kind: Kind, reason: str, *, expected: bool = False) -> None:
        """Something was taken instead of something better. The first reason of a kind counts, and is the log's one line: a
        warning, unless nobody can have `expected` anything else of this machine.
        """
        if kind not in self._found:
            self._found[kind] = reason
            if not self._quiet:
                _log.log(logging.INFO if expected else logging.WARNING, "%s: %s", _INSTEAD[kind], reason)

    def described(self) -> dict[str, str]:
        """Kind -> what is done instead, and why."""
        return {kind: f"{_INSTEAD[kind]}: {reason}" for kind, reason in self._found.items()}
