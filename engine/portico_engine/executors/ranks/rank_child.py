"""Another rank's process: loads its part, runs each step that it is told, and ends when the first rank does.

The main thread reads messages and nothing else, so that it hears at once when the first rank is gone, whatever the device is
waiting for. Whatever goes wrong ends the process: ranks that ran different steps could not go on together.
"""

from __future__ import annotations

import faulthandler
import os
import queue
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
    """Runs what comes in `told`."""

    def __init__(self, wire: messages.RankWire, told: queue.SimpleQueue[Any]) -> None:
        self._wire = wire
        self._told = told
        self._plans = messages.PlanReceiver()

    def run(self) -> None:
        """Until it is told to close."""
        loaded = self._load(self._told.get())
        self._wire.send(messages.Ready())
        while not isinstance(message := self._told.get(), messages.Close):
            with suppress(StoreRefused, RequestError):  # which the first rank meets at the same place
                self._do(loaded, message)
        loaded.executor.close()

    def _load(self, message: messages.LoadModel) -> LoadedRank:
        model = message.model
        self._wire.send(messages.Ready())
        assert isinstance(self._told.get(), messages.Meet)
        group = RankGroup.join(message.rank, model.world_size, message.folder, cuda=model.cuda)

        def agreed(_taken: int) -> Sizes:
            group.largest(-free_memory(model))
            told = self._told.get()
            assert isinstance(told, messages.AgreedSizes)
            return told.sizes

        loaded = model.load(model.open(message.rank), group, agreed)
        if block_bytes := loaded.executor.caps.block_bytes:
            loaded.executor.attach(OtherRankStore(block_bytes, group))
        return loaded

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
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    wire = messages.RankWire(socket.socket(fileno=int(sys.argv[1])))

    def run() -> None:
        try:
            RankChild(wire, told).run()
        except BaseException as error:  # noqa: BLE001 - the outermost loop of the thread; the first rank says it
            traceback.print_exc()
            with suppress(ConnectionError):
                wire.send(messages.Failed(f"{type(error).__name__}: {error}"))
            _end(1)
        _end(0)

    threading.Thread(target=run, name="portico-rank", daemon=True).start()
    while (message := wire.receive()) is not None:
        told.put(message)
    _end(0)


def _end(code: int) -> NoReturn:
    sys.stderr.flush()
    os._exit(code)  # at once: the other thread may be waiting for a rank that is gone


if __name__ == "__main__":
    main()
