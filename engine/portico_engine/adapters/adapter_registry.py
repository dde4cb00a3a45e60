"""Which adapters an engine holds: under which names, in which of the executor's places, and who still uses them.

It owns names, places and the count of users: one that is unloaded is found no more, and its place is free when its last request
has ended. It knows neither files nor what a place is made of.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from portico_engine.adapters.adapter import Adapter, AdapterInfo
from portico_engine.errors import AdapterError, UnknownAdapter
from portico_engine.faults import describe_fault, faults_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class AdapterPlaces(Protocol):
    """An executor's memory for adapters, by number."""

    def load_adapter(self, place: int, adapter: Adapter) -> None: ...

    def unload_adapter(self, place: int) -> None: ...


@dataclass(slots=True, eq=False)
class LoadedAdapter:
    """One in its place."""

    info: AdapterInfo
    digest: bytes
    place: int
    users: int = 0
    unloaded: bool = False


class AdapterRegistry:
    """For one executor with `count` places; `read` makes an adapter of a path."""

    def __init__(self, places: AdapterPlaces, count: int, read: Callable[[Path], Adapter] | None = None) -> None:
        self._places = places
        self._count = count
        self._read = read
        self._free = list(range(count - 1, -1, -1))
        self._loaded: dict[str, LoadedAdapter] = {}

    def read(self, path: Path) -> Adapter:
        """The adapter at a path. Changes nothing: any thread may ask. Raises AdapterError."""
        if self._read is None or not self._count:
            raise AdapterError("this engine was loaded without room for adapters; load it with adapters=1 or more")
        return self._read(path)

    def load(self, name: str, adapter: Adapter) -> AdapterInfo:
        """From now on requests find it by this name. Raises AdapterError for a name that is taken or none, or without room."""
        if not _NAME.fullmatch(name):
            raise AdapterError(f"an adapter can't be called {name!r}; names are of letters, digits, '.', '_' and '-'")
        if name in self._loaded:
            raise AdapterError(f"an adapter called {name!r} is loaded already; unload it first")
        if not self._free:
            leaving = self._count - len(self._loaded)
            holders = [*self._loaded, *([f"{leaving} unloaded that requests still use"] if leaving else [])]
            raise AdapterError(f"there is no room: adapters={self._count}, taken by {', '.join(holders)}")
        place = self._free.pop()
        try:
            with faults_of("loading the adapter"):
                self._places.load_adapter(place, adapter)
        except BaseException:
            self._free.append(place)
            raise
        info = AdapterInfo(name, adapter.path, adapter.base, adapter.rank, adapter.digest.hex(), adapter.prompts)
        self._loaded[name] = LoadedAdapter(info, adapter.digest, place)
        return info

    def unload(self, name: str) -> None:
        """New requests don't find it any more; those that have it end with it. Raises UnknownAdapter."""
        loaded = self._find(name)
        del self._loaded[name]
        loaded.unloaded = True
        self._leave(loaded)

    def acquire(self, name: str) -> LoadedAdapter:
        """For a request, until `release`. Raises UnknownAdapter."""
        loaded = self._find(name)
        loaded.users += 1
        return loaded

    def release(self, loaded: LoadedAdapter) -> None:
        """A request that had it has ended."""
        loaded.users -= 1
        self._leave(loaded)

    def infos(self) -> tuple[AdapterInfo, ...]:
        """What is loaded, in order of loading. Any thread may ask."""
        return tuple(loaded.info for loaded in list(self._loaded.values()))

    def check_integrity(self) -> None:
        """Assert that no place is both free and taken."""
        taken = [loaded.place for loaded in self._loaded.values()]
        assert len({*taken, *self._free}) == len(taken) + len(self._free) <= self._count
        assert all(loaded.users >= 0 and not loaded.unloaded for loaded in self._loaded.values())

    def _find(self, name: str) -> LoadedAdapter:
        loaded = self._loaded.get(name)
        if loaded is None:
            raise UnknownAdapter(name, tuple(self._loaded))
        return loaded

    def _leave(self, loaded: LoadedAdapter) -> None:
        """Who lets go of it last is not to blame where the executor can't: its place is not used again."""
        if loaded.unloaded and not loaded.users:
            try:
                self._places.unload_adapter(loaded.place)
            except BaseException as error:  # noqa: BLE001 - the executor's
                describe_fault("unloading an adapter", error)
            else:
                self._free.append(loaded.place)
