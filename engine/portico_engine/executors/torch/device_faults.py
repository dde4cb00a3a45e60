"""What torch raises, by what it means for a step: memory that did not suffice, a device that is lost, or one plan's fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from portico_engine.errors import DeviceLost

_NO_MEMORY = ("can't allocate memory", "not enough memory", "CUDA out of memory", "STATUS_ALLOC_FAILED")  # in RuntimeErrors


@contextmanager
def named_faults(device: str = "cpu") -> Iterator[None]:
    """MemoryError for the first, DeviceLost for the second; everything else as it is.

    After a kernel's error a CUDA context answers every call with that error, for as long as the process lives: whether it was
    such a one is asked by waiting for the device.
    """
    try:
        yield
    except (MemoryError, DeviceLost):
        raise
    except Exception as error:
        if device != "cpu":
            _check(device, error)
        if isinstance(error, torch.OutOfMemoryError) or any(said in str(error) for said in _NO_MEMORY):
            raise MemoryError(str(error)) from error
        raise


def _check(device: str, error: Exception) -> None:
    """Raises DeviceLost where the device computes nothing more; what torch keeps of its memory is given back otherwise."""
    try:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    except RuntimeError as lost:
        raise DeviceLost(f"the GPU computes nothing more for this process: {str(error).splitlines()[0]}") from lost
