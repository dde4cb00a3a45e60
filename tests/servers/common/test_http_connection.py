"""What a connection writes: small pieces of one turn together, large ones at once, nothing after an abort."""

from __future__ import annotations

import asyncio

import pytest

from portico_servers.common.http_connection import JOINED_BYTES, JoinedWrites

pytestmark = pytest.mark.anyio


class Recorded(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.ended = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        self.written.append(bytes(data))

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


def joined() -> tuple[JoinedWrites, Recorded]:
    recorded = Recorded()
    return JoinedWrites(recorded, asyncio.get_running_loop()), recorded


async def test_an_answers_head_and_body_are_one_write() -> None:
    transport, recorded = joined()
    for piece in (b"head", b"", b"body"):
        transport.write(piece)
    assert recorded.written == []
    await asyncio.sleep(0)
    assert recorded.written == [b"headbody"]
    transport.write(b"next")
    await asyncio.sleep(0)
    assert recorded.written == [b"headbody", b"next"]


async def test_a_large_piece_is_written_at_once_and_in_order() -> None:
    """So that a reader who doesn't read is felt by the next piece."""
    transport, recorded = joined()
    transport.write(b"head")
    transport.write(b"x" * JOINED_BYTES)
    assert recorded.written == [b"head" + b"x" * JOINED_BYTES]
    await asyncio.sleep(0)
    assert len(recorded.written) == 1


async def test_closing_writes_what_is_held_and_an_abort_does_not() -> None:
    transport, recorded = joined()
    transport.write(b"last")
    transport.close()
    assert (recorded.written, recorded.ended) == ([b"last"], "closed")
    transport, recorded = joined()
    transport.write(b"last")
    transport.abort()
    await asyncio.sleep(0)
    assert (recorded.written, recorded.ended) == ([], "aborted")
