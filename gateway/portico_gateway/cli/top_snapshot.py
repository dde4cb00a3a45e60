"""What a running `portico serve` says of itself, read over HTTP: its `/metrics`, and of `/healthz` what is no number.

It owns the reading and the rates between two readings. It shows nothing.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from portico_gateway.config.loopback import proxy_of
from portico_gateway.errors import GatewayError

TIMEOUT = 10.0  # seconds
_SECONDS = "portico_engine_step_seconds_total"


class ServeUnreachable(GatewayError):
    """Nobody answers there, or not as `portico serve` does."""


class _ModelHealth(BaseModel):
    """What `/healthz` says of a model."""

    id: str | None = None
    state: str | None = None
    executor: str | None = None
    memory: str | None = None
    fallbacks: dict[str, str] = {}


class _Health(BaseModel):
    """What of `/healthz` is shown."""

    status: str = "unknown"
    model: _ModelHealth | None = None
    models: list[_ModelHealth] = []  # those that are loaded when somebody asks for them


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """A model's counters since its engine was loaded, at `at` seconds of this machine's clock."""

    at: float
    generated: float
    forced: float
    prompt: float
    cached: float  # of the prompts, found in KV
    steps: float
    step_seconds: Mapping[str, float]  # by part


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One reading of one model. Rates are since the reading before, None where there was none.

    Shares, and `step_ms` of one step by part, are since then too, or since the engine was loaded where no step was run since.
    `hit_rate` is the share of prompts' tokens that were known, None where nothing was asked.
    """

    name: str | None
    state: str | None
    executor: str | None
    requests: Mapping[str, float]  # by state: running, waiting, paused
    blocks: Mapping[
        str, Mapping[str, float]
    ]  # by state (free, held, cached, pinned) and whose text they hold (catalog, caller)
    tokens_per_second: float | None
    forced_share: float | None
    hit_rate: float | None
    steps_per_second: float | None
    step_ms: Mapping[str, float]
    preemptions: float
    memory: str | None
    fallbacks: Mapping[str, str]
    totals: EngineCounters = field(repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of a server: its models, the default one first."""

    status: str
    models: tuple[ModelSnapshot, ...]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        about = asdict(self)
        for model in about["models"]:
            del model["totals"]["at"]
        return about


class ServeReader:
    """Reads one server again and again."""

    def __init__(self, url: str, key: str | None = None, *, transport: httpx2.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx2.Client(
                base_url=url.rstrip("/"),
                headers=headers,
                timeout=TIMEOUT,
                transport=transport,
                trust_env=False,
                proxy=None if transport else proxy_of(url),
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise ServeUnreachable(f"{url!r} is no address: {error}") from None
        self._url = url
        self._before: dict[str | None, EngineCounters] = {}  # by model

    def read(self) -> Snapshot:
        """How it is now. Raises ServeUnreachable."""
        found = _samples(self._get("/metrics").text)
        try:
            about = _Health.model_validate_json(self._get("/healthz").content)
        except ValueError:
            raise ServeUnreachable(f"what answers at {self._url} is not portico serve") from None
        at = time.monotonic()
        models = about.models if about.model is None else [about.model, *about.models]
        models = models or [_ModelHealth(id=name) for name in _by("model", "portico_model_ready", found)] or [_ModelHealth()]
        shown = tuple(_snapshot(_of_model(each.id, found), each, at, self._before.get(each.id)) for each in models)
        self._before = {each.name: each.totals for each in shown}
        return Snapshot(about.status, shown)

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str) -> httpx2.Response:
        try:
            answer = self._client.get(path)
        except httpx2.HTTPError as error:
            raise ServeUnreachable(f"no portico serve answers at {self._url} ({error})") from None
        if answer.status_code in (401, 403):
            raise ServeUnreachable(
                f"{self._url}{path} needs a key with the scope metrics, by --key or PORTICO_KEY; "
                "portico key new NAME --scope metrics makes one"
            )
        if answer.status_code != 200:
            raise ServeUnreachable(f"{self._url}{path} answers {answer.status_code}: it is not portico serve")
        return answer


_Samples: TypeAlias = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]  # labels and value, by name


def _samples(text: str) -> _Samples:
    found: defaultdict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if math.isfinite(sample.value):
                    found[sample.name].append((sample.labels, sample.value))
    except ValueError:
        raise ServeUnreachable("/metrics is not in Prometheus' format") from None
    return found


def _of_model(name: str | None, found: _Samples) -> _Samples:
    """One model's samples, those that say no model among them."""
    return {
        series: [(labels, value) for labels, value in samples if labels.get("model", name) == name]
        for series, samples in found.items()
    }


def _by(label: str, name: str, found: _Samples) -> dict[str, float]:
    """What a series adds up to, by the value of one label."""
    sums: defaultdict[str, float] = defaultdict(float)
    for labels, value in found.get(name, ()):
        sums[labels.get(label, "")] += value
    return dict(sums)


def _total(name: str, found: _Samples) -> float:
    return sum(value for _, value in found.get(name, ()))


def _blocks(found: _Samples) -> dict[str, dict[str, float]]:
    blocks: dict[str, dict[str, float]] = {}
    for labels, value in found.get("portico_kv_blocks", ()):
        blocks.setdefault(labels.get("state", ""), {})[labels.get("owner", "")] = value
    return blocks


def _snapshot(found: _Samples, model: _ModelHealth, at: float, before: EngineCounters | None) -> ModelSnapshot:
    totals = _totals(found, at)
    if before is not None and totals.steps < before.steps:
        before = None  # the engine was started again
    passed = totals if before is None else _since(totals, before)
    seconds = None if before is None else max(1e-9, passed.at)
    worked = passed if passed.steps else totals
    return ModelSnapshot(
        name=model.id,
        state=model.state,
        executor=model.executor,
        requests=_by("state", "portico_engine_requests", found),
        blocks=_blocks(found),
        tokens_per_second=None if seconds is None else passed.generated / seconds,
        forced_share=_share(worked.forced, worked.generated),
        hit_rate=_share(worked.cached, worked.prompt),
        steps_per_second=None if seconds is None else passed.steps / seconds,
        step_ms={part: 1000 * value / max(1.0, worked.steps) for part, value in worked.step_seconds.items()},
        preemptions=_total("portico_preemptions_total", found),
        memory=model.memory,
        fallbacks=model.fallbacks or dict.fromkeys(_by("kind", "portico_engine_fallbacks", found), ""),
        totals=totals,
    )


def _totals(found: _Samples, at: float) -> EngineCounters:
    return EngineCounters(
        at,
        _total("portico_tokens_generated_total", found),
        _total("portico_tokens_forced_total", found),
        _total("portico_prompt_tokens_total", found),
        _total("portico_prompt_tokens_cached_total", found),
        _total("portico_engine_steps_total", found),
        _by("part", _SECONDS, found),
    )


def _since(now: EngineCounters, before: EngineCounters) -> EngineCounters:
    """What came between the two; `at` is the seconds between them."""
    parts = {part: value - before.step_seconds.get(part, 0.0) for part, value in now.step_seconds.items()}
    return EngineCounters(
        now.at - before.at,
        now.generated - before.generated,
        now.forced - before.forced,
        now.prompt - before.prompt,
        now.cached - before.cached,
        now.steps - before.steps,
        parts,
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
