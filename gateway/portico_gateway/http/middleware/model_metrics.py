"""The models' part of GET /metrics: whether each is loaded, what its engine counts, and the servers that answer in its place.

Every series has a label `model`, the name that the configuration gave it, so that there are no more than it names. The other
labels are fixed words too: a state, a part of a step, whose text a KV block holds. It reads and keeps nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from portico_engine.request import EXPERT_TOKENS, KV_OWNERS, KV_STATES, STEP_PARTS, KVOwner
from portico_gateway.model.host import ModelHost
from portico_gateway.model.remote.engine import RemoteEngine

_Family: TypeAlias = GaugeMetricFamily | CounterMetricFamily


class _Stat(NamedTuple):
    """Which of the engine's stats a series shows."""

    name: str
    help: str
    labels: Mapping[str, str]  # beside `model`
    key: str


_OWNERS: Mapping[KVOwner, str] = {"shared": "catalog", "callers": "caller"}  # instructions and tools; what somebody said
_GAUGES = (
    _Stat("portico_engine_requests", "Requests in the engine.", {"state": "running"}, "running"),
    _Stat("portico_engine_requests", "", {"state": "waiting"}, "waiting"),
    _Stat("portico_engine_requests", "", {"state": "paused"}, "paused"),
    _Stat("portico_kv_blocks", "KV blocks of 16 tokens.", {"state": "free", "owner": ""}, "blocks_free"),
    *(
        _Stat("portico_kv_blocks", "", {"state": state, "owner": _OWNERS[owner]}, f"blocks_{state}_{owner}")
        for state in KV_STATES
        for owner in KV_OWNERS
    ),
)
_COUNTERS = (
    _Stat("portico_engine_steps", "Batches that the model ran.", {}, "steps"),
    _Stat("portico_engine_steps_ahead", "Those behind which the next one was begun before they ended.", {}, "steps_ahead"),
    *(
        _Stat("portico_engine_step_seconds", "Time that they took, by what it went to.", {"part": part}, f"step_seconds_{part}")
        for part in STEP_PARTS
    ),
    _Stat("portico_tokens_generated", "Tokens of answers, forced ones among them.", {}, "generated_tokens"),
    _Stat("portico_tokens_forced", "Tokens that a grammar left no choice about: they were not sampled.", {}, "forced_tokens"),
    _Stat("portico_prompt_tokens", "Tokens of prompts.", {}, "prompt_tokens"),
    _Stat(
        "portico_prompt_tokens_cached",
        "Tokens of prompts whose keys and values were there.",
        {"tier": "memory"},
        "prompt_tokens_cached_memory",
    ),
    _Stat("portico_prompt_tokens_cached", "", {"tier": "host"}, "prompt_tokens_cached_host"),
    _Stat("portico_prompt_tokens_cached", "", {"tier": "disk"}, "prompt_tokens_cached_disk"),
    _Stat("portico_preemptions", "Requests that gave up their blocks and were computed again.", {}, "preemptions"),
    _Stat("portico_kv_evictions", "Cached blocks that made room.", {}, "evictions"),
    _Stat("portico_kv_offloads", "Blocks that went to the host's memory.", {}, "kv_offloads"),
    _Stat("portico_kv_fetches", "Blocks that came from there.", {}, "kv_fetches"),
    _Stat("portico_kv_saves", "Blocks that went to disk.", {}, "kv_saves"),
    _Stat("portico_kv_saves_lost", "Blocks that the disk was too slow for, or failed on.", {}, "kv_saves_lost"),
    _Stat("portico_kv_loads", "Blocks that came from disk.", {}, "kv_loads"),
    _Stat("portico_kv_load_seconds", "Time that reading and checking them took.", {}, "kv_load_seconds"),
)


class ModelReading(NamedTuple):
    """A model, and its engine's stats: None where it isn't loaded, or doesn't answer at once."""

    host: ModelHost
    stats: Mapping[str, float] | None


async def read_models(hosts: Sequence[ModelHost]) -> list[ModelReading]:
    """How they are now."""
    found = await asyncio.gather(*(host.stats() for host in hosts))
    return [ModelReading(host, stats) for host, stats in zip(hosts, found, strict=True)]


def model_metrics(models: Sequence[ModelReading]) -> Iterator[Metric]:
    """All series of these models, none where there are none."""
    if not models:
        return
    ready = GaugeMetricFamily("portico_model_ready", "Whether the model is loaded.", labels=["model"])
    restarts = CounterMetricFamily("portico_engine_restarts", "Times that its engine was started again.", labels=["model"])
    fallbacks = GaugeMetricFamily(
        "portico_engine_fallbacks", "1 for what its engine does instead of something better.", labels=["model", "kind"]
    )
    for host, _ in models:
        ready.add_metric([host.name], float(host.loaded is not None))
        restarts.add_metric([host.name], host.status.restarts)
        for kind in host.loaded.info.fallbacks if host.loaded is not None else ():
            fallbacks.add_metric([host.name, kind], 1.0)
    yield from (ready, restarts, fallbacks)
    yield from _model_servers([host for host, _ in models if isinstance(host.loaded, RemoteEngine)])
    counted = [(host.name, stats) for host, stats in models if stats]
    if counted:
        yield from _families(GaugeMetricFamily, _GAUGES, counted)
        yield from _families(CounterMetricFamily, _COUNTERS, counted)
        yield _experts(counted)


def _model_servers(hosts: Sequence[ModelHost]) -> Iterator[Metric]:
    """The servers whose model answers in an engine's place."""
    if not hosts:
        return
    labels = ["model", "url"]
    up = GaugeMetricFamily("portico_model_server_up", "Whether a model server is well.", labels=labels)
    running = GaugeMetricFamily("portico_model_server_requests_running", "Requests that it answers now.", labels=labels)
    requests = CounterMetricFamily("portico_model_server_requests", "Requests that it got.", labels=labels)
    failures = CounterMetricFamily("portico_model_server_failures", "Requests that it failed, and looks at it.", labels=labels)
    for host in hosts:
        assert isinstance(host.loaded, RemoteEngine)
        for server in host.loaded.servers:
            of = [host.name, server.url]
            up.add_metric(of, float(server.problem is None))
            running.add_metric(of, server.in_flight)
            requests.add_metric(of, server.requests)
            failures.add_metric(of, server.failures)
    yield from (up, running, requests, failures)


def _experts(models: Sequence[tuple[str, Mapping[str, float]]]) -> Metric:
    """Of mixtures of experts; without samples where no model is one."""
    found = CounterMetricFamily("portico_expert_tokens", "Tokens that an expert took.", labels=["model", "layer", "expert"])
    for name, stats in models:
        for key, value in stats.items():
            if key.startswith(EXPERT_TOKENS):
                found.add_metric([name, *key.removeprefix(EXPERT_TOKENS).split(".")], value)
    return found


def _families(
    kind: type[_Family], shown: tuple[_Stat, ...], models: Sequence[tuple[str, Mapping[str, float]]]
) -> Iterator[Metric]:
    families: dict[str, _Family] = {}
    for name, text, labels, key in shown:
        if name not in families:
            families[name] = kind(name, text, labels=["model", *labels])
        for model, stats in models:
            families[name].add_metric([model, *labels.values()], stats[key])
    yield from families.values()
