"""Begin where a trained adapter stands, and know a beginning again.

It owns how an adapter's file becomes the matrices that are trained on, and the digest that pins base, adapter and data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from portico_engine.adapters.adapter import StoredAdapter
from portico_engine.adapters.fit import fit
from portico_engine.adapters.peft_folder import read_peft_folder
from portico_engine.errors import AdapterError
from portico_engine.models.config import DecoderConfig
from portico_engine.tune.training.low_rank import LowRankLinear

MOST_RANK = 512


def read_start(path: Path, config: DecoderConfig) -> StoredAdapter:
    """The adapter of a PEFT folder, which fits the model. Raises AdapterError: for another model, pickled, cut short, with
    numbers that are none, with matrices of several ranks.
    """
    if not path.is_dir():
        raise AdapterError(f"{path} is no folder as PEFT saves an adapter; training goes on from such a one alone")
    stored = read_peft_folder(path, config, MOST_RANK)
    fit(stored, config, MOST_RANK)
    ranks = sorted({matrix.rank for matrix in stored.matrices.values()})
    if len(ranks) > 1:
        raise AdapterError(
            f"{path} has matrices of the ranks {', '.join(map(str, ranks))}; training goes on from one of one rank"
        )
    return stored


@torch.no_grad()
def begin_at(adapter: Mapping[str, LowRankLinear], stored: StoredAdapter) -> None:
    """What is stored becomes what is trained on. Raises AdapterError where one has matrices that the other lacks."""
    by_module = {stored.labels[name]: matrix for name, matrix in stored.matrices.items()}
    if by_module.keys() != adapter.keys():
        other = sorted(by_module.keys() ^ adapter.keys())
        raise AdapterError(f"{stored.path} does not change the same matrices as a run here ({other[0]}, ...): train one anew")
    for module, own in adapter.items():
        own.a.copy_(torch.from_numpy(by_module[module].a))
        own.b.copy_(torch.from_numpy(by_module[module].b) / own.scale)


def rank_of(stored: StoredAdapter) -> int:
    return next(iter(stored.matrices.values())).rank


def digest(*parts: str | bytes | Iterable[str]) -> str:
    """sha256 over what a run is made from."""
    found = hashlib.sha256()
    for part in parts:
        for piece in [part] if isinstance(part, str | bytes) else part:
            found.update(piece if isinstance(piece, bytes) else piece.encode())
            found.update(b"\0")
    return found.hexdigest()
