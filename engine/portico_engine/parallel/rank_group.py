"""Sums and exchanges between ranks: tensors on their devices by NCCL, or on a CPU by gloo; bytes of this machine's memory by
gloo.

It owns the two groups of one rank. All ranks of one machine call the same functions in the same order; whoever isn't there
within `PATIENCE` is an error, and so is whoever has ended. What is exchanged means nothing here. Groups are their owner's
alone: a process may have several.
"""

from __future__ import annotations

import importlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

dist: Any = importlib.import_module("torch.distributed")  # whose types leave out half of what is used of it
PATIENCE = timedelta(seconds=120)
# Loopback alone; and without multicast through the NVLink switch, of which a program that dies may leave something behind.
_SETTINGS = {
    "NCCL_SOCKET_IFNAME": "lo",
    "NCCL_NVLS_ENABLE": "0",
    "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
    "NVSHMEM_DISABLE_NVLS": "1",
}


class RankGroup:
    """This process among its ranks."""

    def __init__(self, rank: int, world_size: int, device: Any, host: Any) -> None:
        """`device` and `host` are process groups of torch's: for tensors where products are computed, for memory here."""
        self.rank = rank
        self.world_size = world_size
        self._device = device
        self._host = host

    @classmethod
    def join(cls, rank: int, world_size: int, folder: Path, *, cuda: bool, patience: timedelta = PATIENCE) -> RankGroup:
        """Meet the others over a file in `folder`, which only this user can read. Raises RuntimeError where they don't come."""
        if not dist.is_available():
            raise RuntimeError(f"torch {torch.__version__} is built without torch.distributed, which several devices need")
        host = _gloo(folder / "host", rank, world_size, patience)
        if not cuda:
            return cls(rank, world_size, _gloo(folder / "device", rank, world_size, patience), host)
        if not dist.is_nccl_available():
            raise RuntimeError(f"torch {torch.__version__} is built without NCCL, which several GPUs need")
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        options = dist.ProcessGroupNCCL.Options()
        options._timeout = patience
        options.global_ranks_in_group = list(range(world_size))
        store = dist.FileStore(str(folder / "device"), world_size)
        group = cls(rank, world_size, dist.ProcessGroupNCCL(store, rank, world_size, options), host)
        group.sum(torch.zeros(1, device="cuda"))  # connects: not in the middle of a graph's capture
        torch.cuda.synchronize()
        return group

    def sum(self, values: Tensor) -> Tensor:
        """Of all ranks' `values`, which become it."""
        _wait(self._device.allreduce([values], _in_order(dist.distributed_c10d.AllreduceOptions())))
        return values

    def gather(self, values: Tensor) -> Tensor:
        """All ranks' `values`, of one shape: [ranks, *shape]."""
        n, *rest = values.shape
        out = torch.empty(self.world_size * n, *rest, dtype=values.dtype, device=values.device)
        _wait(self._device._allgather_base(out, values.contiguous(), _in_order(dist.distributed_c10d.AllgatherOptions())))
        return out.view(self.world_size, n, *rest)

    def exchange(self, values: Tensor, sent: list[int], received: list[int]) -> Tensor:
        """The first `sent[0]` of values [n, ...] go to the first rank, those behind them to the next: what comes back, in the
        order of ranks.
        """
        out = torch.empty(sum(received), *values.shape[1:], dtype=values.dtype, device=values.device)
        options = _in_order(dist.distributed_c10d.AllToAllOptions())
        _wait(self._device.alltoall_base(out, values.contiguous(), received, sent, options))
        return out

    def largest(self, *numbers: int) -> list[int]:
        """The largest of all ranks', each by itself."""
        values = torch.tensor(numbers, dtype=torch.int64)
        options = dist.distributed_c10d.AllreduceOptions()
        options.reduceOp = dist.ReduceOp.MAX
        self._host.allreduce([values], options).wait()
        return [int(value) for value in values.tolist()]

    def gather_bytes(self, content: bytes) -> bytes:
        """All ranks' contents, of one length, one behind the other."""
        own = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        out = torch.empty(self.world_size * len(content), dtype=torch.uint8)
        self._host._allgather_base(out, own).wait()
        return out.numpy().tobytes()

    def broadcast_bytes(self, content: bytes) -> bytes:
        """The first rank's; the others give some of the same length."""
        values = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        options = dist.distributed_c10d.BroadcastOptions()
        options.rootRank, options.rootTensor = 0, 0
        self._host.broadcast([values], options).wait()
        return values.numpy().tobytes()

    def abort(self) -> None:
        """Let go of whoever waits in one of these functions, from any thread; they raise, or return nothing of use."""
        for group in (self._device, self._host):
            group.abort()


def _in_order(options: Any) -> Any:
    """On the stream that computes, behind what it computes: nothing else is waited for."""
    options.asyncOp = False
    return options


def _wait(work: Any) -> None:
    """Until it is done, or is in its place on the stream: then NCCL gives nothing to wait for (torch 2.11)."""
    if work is not None:
        work.wait()


def _gloo(file: Path, rank: int, world_size: int, patience: timedelta) -> Any:
    options = dist.ProcessGroupGloo._Options()
    options._timeout = patience
    options._devices = [dist.ProcessGroupGloo.create_device(hostname="127.0.0.1")]
    return dist.ProcessGroupGloo(dist.FileStore(str(file), world_size), rank, world_size, options)
