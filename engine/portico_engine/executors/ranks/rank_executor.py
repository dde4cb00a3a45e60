"""The first rank: plans in, sampled tokens out, as of any executor; each plan goes to the other ranks as it is begun here.

It owns the order in which ranks hear of things, and what a fault means: whatever goes wrong in the middle of a step, or a
rank's end, loses the device, since ranks that are not at the same place can't go on together. It samples alone.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from portico_engine.adapters.adapter import Adapter
from portico_engine.errors import ModelError, RequestError
from portico_engine.executors.protocol import BlockStore, PendingStep, Sizes, SizesFor
from portico_engine.executors.ranks import messages
from portico_engine.executors.ranks.rank_children import RankChildren
from portico_engine.executors.ranks.rank_model import LoadedRank, RankModel, free_memory
from portico_engine.executors.ranks.rank_store import FirstRankStore
from portico_engine.executors.ranks.rank_watch import RankWatch
from portico_engine.fallbacks import Fallbacks
from portico_engine.grammar.protocol import Bitmask
from portico_engine.models.weight_loader import Progress
from portico_engine.parallel.rank_group import RankGroup
from portico_engine.parallel.sharded_adapter import shard_adapter
from portico_engine.plan import Bias, StepPlan, StepResult
from portico_engine.request import Pooling

_CLOSE_SECONDS = 3.0  # that the others get
_HEAR_SECONDS = 2.0  # between a broken connection and the news of why


class RankExecutor:
    """`executors.protocol.Executor` over `world_size` processes."""

    def __init__(self, model: RankModel, sizes: Sizes | SizesFor, *, progress: Progress | None, fallbacks: Fallbacks) -> None:
        """Starts the others and loads with them. Raises ModelError where that can't be, naming the rank that failed."""
        self._folder = Path(tempfile.mkdtemp(prefix="portico-ranks-"))
        self._group: RankGroup | None = None
        self._children: RankChildren | None = None
        self._watch = RankWatch(model.world_size, self._let_go)
        self._plans = messages.PlanSender()
        self._store: FirstRankStore | None = None
        try:
            self._loaded = self._load(model, sizes, progress, fallbacks)
        except BaseException as error:
            lost = self._watch.is_lost(_HEAR_SECONDS if isinstance(error, RuntimeError | OSError) else 0)
            self._watch.close()
            self._let_go()
            self._end()
            if lost:
                raise ModelError(
                    f"{model.path} can't be loaded over {model.world_size} ranks: {self._watch.error()}"
                ) from error
            raise
        inner = self._loaded.executor.caps
        numerics = f"{inner.numerics_id}-{model.world_size}ranks{'-ep' if model.expert_parallel else ''}"
        self.caps = replace(
            inner,
            block_bytes=inner.block_bytes * model.world_size,
            numerics_id=numerics,
            runs_ahead=False,  # what was sampled is on the first rank's device alone, and rows of all ranks begin with it
        )

    @classmethod
    def load(
        cls,
        model: RankModel,
        sizes: Sizes | SizesFor,
        *,
        progress: Progress | None = None,
        fallbacks: Fallbacks | None = None,
    ) -> RankExecutor:
        """Read a model, each rank its part. Where `sizes` is to be found, by what the weights took of the fullest device."""
        return cls(model, sizes, progress=progress, fallbacks=fallbacks or Fallbacks())

    @property
    def pids(self) -> Sequence[int]:
        """Of the other ranks' processes."""
        return [] if self._children is None else self._children.pids

    def attach(self, store: BlockStore) -> None:
        """See `Executor.attach`."""
        assert self._group is not None
        self._store = FirstRankStore(store, self._group)
        self._loaded.executor.attach(self._store)

    def submit(self, plan: StepPlan) -> PendingStep:
        """Start a plan on all ranks."""
        with self._together(self._plans.pack(plan)):
            return _RankStep(self._loaded.executor.submit(plan), self._watch)

    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        """See `Executor.embed`."""
        with self._together(messages.EmbedTexts(texts, pooling)):
            return self._loaded.executor.embed(texts, pooling)

    def load_adapter(self, place: int, adapter: Adapter) -> None:
        """See `Executor.load_adapter`."""
        with self._together(messages.LoadAdapter(place, adapter)):
            self._loaded.executor.load_adapter(place, shard_adapter(adapter, self._loaded.file))

    def unload_adapter(self, place: int) -> None:
        """See `Executor.unload_adapter`."""
        with self._together(messages.UnloadAdapter(place)):
            self._loaded.executor.unload_adapter(place)

    def expert_tokens(self) -> Mapping[int, Sequence[int]]:
        """See `Executor.expert_tokens`. All ranks route all tokens."""
        return self._loaded.executor.expert_tokens()

    def close(self) -> None:
        """End all ranks."""
        self._watch.close()
        self._loaded.executor.close()  # graphs first, which have the group's sums in them
        self._end()

    def _load(self, model: RankModel, sizes: Sizes | SizesFor, progress: Progress | None, fallbacks: Fallbacks) -> LoadedRank:
        opened, free = model.open(0), free_memory(model)
        threads = 0 if model.cuda else _share_threads(model.world_size)
        children = self._children = RankChildren(model.world_size, self._watch.ended, cuda=model.cuda, threads=threads)
        children.tell_each(lambda rank: messages.LoadModel(model, rank, self._folder))
        children.hear()
        children.tell(messages.Meet())
        group = self._group = RankGroup.join(0, model.world_size, self._folder, cuda=model.cuda)

        def agreed(_taken: int) -> Sizes:
            """By the fullest device, and with what the connections to the others take."""
            (negative,) = group.largest(-free_memory(model))
            found = sizes if isinstance(sizes, Sizes) else sizes(free + negative)
            children.tell(messages.AgreedSizes(found))
            return found

        loaded = model.load(opened, group, agreed, progress, fallbacks=fallbacks)
        children.hear()
        return loaded

    @contextmanager
    def _together(self, message: object) -> Iterator[None]:
        """All ranks do what the message says, this one in the block. Raises DeviceLost where they can't go on together."""
        self._watch.begin()
        try:
            assert self._children is not None
            self._children.tell(message)
            yield
        except BaseException as error:
            if self._left_together(error):
                raise
            if not self._watch.is_lost(_HEAR_SECONDS):
                self._watch.lose(f"rank 0 failed in the middle of a step ({type(error).__name__}: {error})")
            raise self._watch.error() from error
        finally:
            self._watch.end()

    def _left_together(self, error: BaseException) -> bool:
        """Have the other ranks left off at the same place? They have where a request or the store is at fault."""
        if isinstance(error, RequestError):
            return True
        if self._store is None or self._store.refusal is not error:
            return False
        self._store.refusal = None
        return True

    def _let_go(self) -> None:
        if self._children is not None:
            self._children.kill()
        if self._group is not None:
            self._group.abort()

    def _end(self) -> None:
        self._watch.close()
        if self._children is not None:
            self._children.close(_CLOSE_SECONDS)
        if self._group is not None:
            self._group.abort()
        shutil.rmtree(self._folder, ignore_errors=True)


class _RankStep:
    """`executors.protocol.PendingStep`."""

    def __init__(self, inner: PendingStep, watch: RankWatch) -> None:
        self._inner = inner
        self._watch = watch

    @property
    def logits(self) -> object:
        """The inner step's, for who measures."""
        return self._inner.logits  # type: ignore[attr-defined]

    def sample(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> None:
        """See `PendingStep.sample`."""
        with self._watched():
            self._inner.sample(bitmask, bias)

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        """Wait and sample here. Raises DeviceLost where a rank ended under it: then what was waited for means nothing."""
        with self._watched():
            return self._inner.finish(bitmask, bias)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self._watch.begin()
        try:
            yield
        except Exception as error:
            if self._watch.is_lost():
                raise self._watch.error() from error
            raise
        finally:
            self._watch.end()
        if self._watch.is_lost():
            raise self._watch.error()


def _share_threads(world_size: int) -> int:
    """Of this process's, which takes no more from now on."""
    import torch

    threads = max(1, torch.get_num_threads() // world_size)
    torch.set_num_threads(threads)
    return threads
