"""Streams of named events, as Anthropic's API and OpenAI's responses send them."""

from __future__ import annotations

import json
from typing import Any

import httpx2


def named_events(response: httpx2.Response) -> list[Any]:
    """The data of a stream's events, each of which has its own type for a name."""
    assert response.status_code == 200, response.text
    events = []
    for block in response.text.strip().split("\n\n"):
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events
