"""Numbers on their way to a GPU and back, without waiting for what it computes.

An ordinary copy waits until the device has done all that it was given; one through pinned memory takes its place behind that,
so that a step can be begun while the one before it runs. It owns the copies, in the order of the current stream.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def to_device(values: npt.NDArray[Any], device: torch.device | str) -> Tensor:
    """An array on the device; on a CPU the same memory."""
    host = torch.from_numpy(np.ascontiguousarray(values))
    if torch.device(device).type == "cpu":
        return host
    return host.pin_memory().to(device, non_blocking=True)


def copy_into(target: Tensor, values: npt.NDArray[Any]) -> None:
    """An array into a tensor of its shape."""
    host = torch.from_numpy(values)
    target.copy_(host.pin_memory() if target.is_cuda else host, non_blocking=True)


class Readback:
    """A tensor on its way to this machine's memory, as it is when this is made."""

    def __init__(self, values: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        self._host = values
        if values.is_cuda:
            self._host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._host.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def tolist(self) -> list[Any]:
        """Wait for it, and for nothing that the device was given later."""
        if self._event is not None:
            self._event.synchronize()
        found: list[Any] = self._host.tolist()
        return found
