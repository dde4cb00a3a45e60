"""What a running `portico serve` says of itself, read over HTTP: its `/metrics`, and of `/healthz` what is no number.

It owns the reading and the rates between two readings. It shows nothing.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from portico_gateway.errors import GatewayError

TIMEOUT = 10.0  # seconds
_SECONDS = "portico_engine_step_seconds_total"


class ServerUnreachable(GatewayError):
    """Nobody answers there, or not as `portico serve` does."""


class _ModelHealth(BaseModel):
    """What `/healthz` says of the model."""

    id: str | None = None
    executor: str | None = None
    memory: str | None = None
    fallbacks: dict[str, str] = {}


class _Health(BaseModel):
    """What of `/healthz` is shown."""

    status: str = "unknown"
    model: _ModelHealth | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters since the engine was loaded, at `at` seconds of this machine's clock."""

    at: float
    generated: float
    forced: float
    prompt: float
    cached: float  # of the prompts, found in KV
    steps: float
    step_seconds: Mapping[str, float]  # by part


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading. Rates are since the reading before, None where there was none.

    Shares, and `step_ms` of one step by part, are since then too, or since the engine was loaded where no step was run since.
    `hit_rate` is the share of prompts' tokens that were known, None where nothing was asked.
    """

    status: str
    model: str | None
    executor: str | None
    requests: Mapping[str, float]  # by state: running, waiting, paused
    blocks: Mapping[str, float]  # by state: free, cached, held
    tokens_per_second: float | None
    forced_share: float | None
    hit_rate: float | None
    steps_per_second: float | None
    step_ms: Mapping[str, float]
    preemptions: float
    memory: str | None
    fallbacks: Mapping[str, str]
    totals: Totals = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        about = asdict(self)
        del about["totals"]["at"]
        return about


class ServeReader:
    """Reads one server again and again."""

    def __init__(self, url: str, key: str | None = None, *, transport: httpx2.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx2.Client(base_url=url.rstrip("/"), headers=headers, timeout=TIMEOUT, transport=transport)
        except httpx2.InvalidURL as error:
            raise ServerUnreachable(f"{url!r} is no address: {error}") from None
        self._url = url
        self._before: Totals | None = None

    def read(self) -> Snapshot:
        """How it is now. Raises ServerUnreachable."""
        found = _samples(self._get("/metrics").text)
        try:
            about = _Health.model_validate_json(self._get("/healthz").content)
        except ValueError:
            raise ServerUnreachable(f"what answers at {self._url} is not portico serve") from None
        snapshot = _snapshot(found, about, self._before)
        self._before = snapshot.totals
        return snapshot

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str) -> httpx2.Response:
        try:
            answer = self._client.get(path)
        except httpx2.HTTPError as error:
            raise ServerUnreachable(f"no portico serve answers at {self._url} ({error})") from None
        if answer.status_code in (401, 403):
            raise ServerUnreachable(
                f"{self._url}{path} needs a key with the scope metrics, by --key or PORTICO_KEY; "
                "portico key new NAME --scope metrics makes one"
            )
        if answer.status_code != 200:
            raise ServerUnreachable(f"{self._url}{path} answers {answer.status_code}: it is not portico serve")
        return answer


_Samples = Mapping[str, Mapping[str, float]]  # by name, then by the value of the only label, "" where there is none


def _samples(text: str) -> _Samples:
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if math.isfinite(sample.value):
                    found[sample.name][next(iter(sample.labels.values()), "")] = sample.value
    except ValueError:
        raise ServerUnreachable("/metrics is not in Prometheus' format") from None
    return found


def _snapshot(found: _Samples, about: _Health, before: Totals | None) -> Snapshot:
    model = about.model or _ModelHealth()
    totals = _totals(found)
    if before is not None and totals.steps < before.steps:
        before = None  # the engine was started again
    passed = totals if before is None else _since(totals, before)
    seconds = None if before is None else max(1e-9, passed.at)
    worked = passed if passed.steps else totals
    return Snapshot(
        status=about.status,
        model=model.id or next(iter(found.get("portico_model_ready", ())), None),
        executor=model.executor,
        requests=dict(found.get("portico_engine_requests", {})),
        blocks=dict(found.get("portico_kv_blocks", {})),
        tokens_per_second=None if seconds is None else passed.generated / seconds,
        forced_share=_share(worked.forced, worked.generated),
        hit_rate=_share(worked.cached, worked.prompt),
        steps_per_second=None if seconds is None else passed.steps / seconds,
        step_ms={part: 1000 * value / max(1.0, worked.steps) for part, value in worked.step_seconds.items()},
        preemptions=sum(found.get("portico_preemptions_total", {}).values()),
        memory=model.memory,
        fallbacks=model.fallbacks or dict.fromkeys(found.get("portico_engine_fallbacks", ()), ""),
        totals=totals,
    )


def _totals(found: _Samples) -> Totals:
    def total(name: str) -> float:
        return sum(found.get(name, {}).values())

    return Totals(
        time.monotonic(),
        total("portico_tokens_generated_total"),
        total("portico_tokens_forced_total"),
        total("portico_prompt_tokens_total"),
        total("portico_prompt_tokens_cached_total"),
        total("portico_engine_steps_total"),
        dict(found.get(_SECONDS, {})),
    )


def _since(now: Totals, before: Totals) -> Totals:
    """What came between the two; `at` is the seconds between them."""
    parts = {part: value - before.step_seconds.get(part, 0.0) for part, value in now.step_seconds.items()}
    return Totals(
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
