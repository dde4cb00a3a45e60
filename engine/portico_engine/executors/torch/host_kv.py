"""Blocks in the host's memory beside a device's: pinned, on a stream of their own, so that copies overlap steps.

    offload:  the step's stream encodes into a buffer -> the copies' stream carries that to its slot, while steps go on
    fetch:    the copies' stream carries the slot to a buffer while a step runs, waits for that step, decodes into the block;
              the next step that reads the block waits for it on the device

It owns slots, buffers and the order of both streams. Which block is in which slot is `kv.host_tier`'s. Where the blocks are in
the host's memory themselves, as on a CPU, everything happens at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from time import perf_counter

import torch
from torch import Tensor

from portico_engine.executors.torch.kv_codec import KVCodec
from portico_engine.plan import BLOCK_TOKENS

_CHUNK = 256 << 20  # bytes of one allocation: pinned ones are rounded up to a power of two
_LEAVING = 64  # blocks on their way to the host, encoded: the device's memory that a slow link may take
_MEASURED = 16  # blocks


class HostKV:
    """`executors.kv_ops.HostMemory` for keys and values bf16 [places, 2 kv_heads, slots of positions, head_dim]."""

    def __init__(self, kv: Tensor, codec: KVCodec, n_bytes: int) -> None:
        """As many slots as `n_bytes` hold. Raises RuntimeError where so much can't be had, pinned for a GPU."""
        self.n_slots = n_bytes // codec.block_bytes
        self._kv = kv
        self._codec = codec
        self._per_chunk = max(1, _CHUNK // codec.block_bytes)
        sizes = [min(self._per_chunk, self.n_slots - at) for at in range(0, self.n_slots, self._per_chunk)]
        self._chunks = [torch.empty(size, codec.block_bytes, dtype=torch.uint8, pin_memory=kv.is_cuda) for size in sizes]
        self._stream = torch.cuda.Stream(kv.device) if kv.is_cuda else None  # type: ignore[no-untyped-call]
        self._leaving: deque[tuple[torch.cuda.Event, Tensor]] = deque()
        self._arriving: set[int] = set()
        self._arrived: torch.cuda.Event | None = None  # behind the last of them

    def offload(self, block: int, slot: int) -> None:
        """See `HostMemory`."""
        self.settle((block,))
        content = self._codec.encode(self._block(block))
        if self._stream is None:
            self._slot(slot).copy_(content)
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._kv.device))
        with torch.cuda.stream(self._stream):
            self._slot(slot).copy_(content, non_blocking=True)
            self._leaving.append((self._stream.record_event(), content))
        while len(self._leaving) > _LEAVING or (self._leaving and self._leaving[0][0].query()):  # type: ignore[no-untyped-call]
            self._leaving.popleft()[0].synchronize()

    def fetch(self, slot: int, block: int) -> None:
        """See `HostMemory`."""
        if self._stream is None:
            self._codec.decode(self._slot(slot), self._block(block))
            return
        steps = torch.cuda.current_stream(self._kv.device)
        with torch.cuda.stream(self._stream):
            content = self._slot(slot).to(self._kv.device, non_blocking=True)
            self._stream.wait_stream(steps)
            self._codec.decode(content, self._block(block))
            self._arrived = self._stream.record_event()
        self._arriving.add(block)

    def settle(self, blocks: Iterable[int]) -> None:
        """See `HostMemory`."""
        if self._arrived is not None and not self._arriving.isdisjoint(blocks):
            torch.cuda.current_stream(self._kv.device).wait_event(self._arrived)
            self._arriving.clear()
            self._arrived = None

    def measure(self) -> float:
        """Seconds that a block takes to its slot and back, once both ways are warm. The first blocks' content is lost.

        Raises RuntimeError where what comes back is not what went.
        """
        n = min(_MEASURED, self.n_slots, self._kv.shape[2] // BLOCK_TOKENS)
        went = []
        for i in range(n):
            self._block(i).copy_(
                torch.linspace(-1, 1 + i, self._block(i).numel(), device=self._kv.device).view_as(self._block(i))
            )
            went.append(self._codec.encode(self._block(i)))
        seconds = 0.0
        for _ in range(2):
            self._wait()
            self.settle(range(n))
            started = perf_counter()
            for i in range(n):
                self.offload(i, i)
            for i in range(n):
                self.fetch(i, n - 1 - i)
            self._wait()
            seconds = perf_counter() - started
        self.settle(range(n))
        if not all(torch.equal(self._codec.encode(self._block(i)), went[i]) for i in range(n)):
            raise RuntimeError("blocks that went to this machine's memory came back otherwise")
        return seconds / n

    def _wait(self) -> None:
        if self._kv.is_cuda:
            torch.cuda.synchronize(self._kv.device)

    def _block(self, block: int) -> Tensor:
        return self._kv[:, :, block * BLOCK_TOKENS : (block + 1) * BLOCK_TOKENS]

    def _slot(self, slot: int) -> Tensor:
        return self._chunks[slot // self._per_chunk][slot % self._per_chunk]


def open_host_kv(kv: Tensor, codec: KVCodec, n_bytes: int) -> HostKV | None:
    """None where not a block fits."""
    return HostKV(kv, codec, n_bytes) if n_bytes >= codec.block_bytes else None
