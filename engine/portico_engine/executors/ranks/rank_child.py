"""Another rank's process: loads its part, runs each step that it is told, and ends when the first rank does.

The main thread waits for the end of the first rank and nothing else, so that it hears of it at once, whatever the device is
waiting for; the other one reads each step itself, which is sooner there than through a queue. Whatever goes wrong ends the
process: ranks that ran different steps could not go on together.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any, NoReturn

from portico_engine.errors import RequestError
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.ranks import messages
from portico_engine.executors.ranks.rank_model import LoadedRank, free_memory
from portico_engine.executors.ranks.rank_store import OtherRankStore, StoreRefused
from portico_engine.parallel.rank_group import RankGroup
from portico_engine.parallel.sharded_adapter import shard_adapter


class RankChild:
    """Runs what comes over `wire`."""

    def __init__(self, wire: messages.RankWire) -> None:
        self._wire = wire
        self._plans = messages.PlanReceiver()

    def run(self) -> None:
        """Until it is told to close, or nobody is there to tell it."""
        loaded = self._load(self._hear())
        self._wire.send(messages.Ready())
        while not isinstance(message := self._hear(), messages.Close):
            with suppress(StoreRefused, RequestError):  # which the first rank meets at the same place
                self._do(loaded, message)
        loaded.executor.close()

    def _load(self, message: messages.LoadModel) -> LoadedRank:
        model = message.model
        self._wire.send(messages.Ready())
        assert isinstance(self._hear(), messages.Meet)
        group = RankGroup.join(message.rank, model.world_size, message.folder, cuda=model.cuda)

        def agreed(_taken: int) -> Sizes:
            group.largest(-free_memory(model))
            told = self._hear()
            assert isinstance(told, messages.AgreedSizes)
            return told.sizes

        loaded = model.load(model.open(message.rank), group, agreed)
        if block_bytes := loaded.executor.caps.block_bytes:
            loaded.executor.attach(OtherRankStore(block_bytes, group))
        return loaded

    def _hear(self) -> Any:
        message = self._wire.receive()
        if message is None:
            _end(0)
        return message

    def _do(self, loaded: LoadedRank, message: object) -> None:
        executor = loaded.executor
        match message:
            case messages.RunStep():
                executor.submit(self._plans.unpack(message))
            case messages.EmbedTexts(texts, pooling):
                executor.embed(texts, pooling)
            case messages.LoadAdapter(place, adapter):
                executor.load_adapter(place, shard_adapter(adapter, loaded.file))
            case messages.UnloadAdapter(place):
                executor.unload_adapter(place)
            case _:
                raise AssertionError(f"a rank is told {type(message).__name__}")


def main() -> NoReturn:
    """Entry: the only argument is the file descriptor of this end of the socket."""
    os.dup2(2, 1)  # what a native library prints goes where its complaints go
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first rank decides
    sock = socket.socket(fileno=int(sys.argv[1]))
    wire = messages.RankWire(sock)

    def run() -> None:
        try:
            RankChild(wire).run()
        except BaseException as error:  # noqa: BLE001 - the outermost loop of the thread; the first rank says it
            traceback.print_exc()
            with suppress(ConnectionError):
                wire.send(messages.Failed(f"{type(error).__name__}: {error}"))
            _end(1)
        _end(0)

    threading.Thread(target=run, name="portico-rank", daemon=True).start()
    hangup = select.poll()
    hangup.register(sock, 0)  # that alone, not what there is to read
    while not hangup.poll():
        pass
    _end(0)


def _end(code: int) -> NoReturn:
    sys.stderr.flush()
    os._exit(code)  # at once: the other thread may be waiting for a rank that is gone


if __name__ == "__main__":
    main()
