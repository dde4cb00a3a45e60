"""The load under which servers are compared counts what is valid and says what isn't; the plot shows every recorded figure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

import jsonschema
import pytest

import throughput_plot
from tool_call_load import ANY_CALL, TOOLS, Server, Way, body, figures, load, wrong_with

VALID = {"name": "read_ticket", "arguments": {"number": 204, "with_author": True}}


def completion(message: dict[str, object]) -> bytes:
    usage = {"prompt_tokens": 900, "completion_tokens": 24}
    return json.dumps({"choices": [{"message": message}], "usage": usage}).encode()


def by_tools(*calls: dict[str, object]) -> bytes:
    written = [{"function": {"name": call["name"], "arguments": json.dumps(call["arguments"])}} for call in calls]
    return completion({"tool_calls": written})


def by_schema(call: dict[str, object]) -> bytes:
    return completion({"content": json.dumps(call)})


@pytest.mark.parametrize(
    ("answer", "way", "said"),
    [
        (by_tools(VALID), "tools", None),
        (by_schema(VALID), "json_schema", None),
        (by_schema(VALID), "json_object", None),
        (by_schema(VALID), "tools", "tool_calls"),
        (by_tools(VALID, VALID), "tools", "too many"),
        (by_tools({**VALID, "name": "read_mail"}), "tools", "read_mail"),
        (
            by_tools({**VALID, "arguments": {"number": 10_000, "with_author": True}}),
            "tools",
            "10000 is greater than the maximum",
        ),
        (by_schema({**VALID, "arguments": {"number": 204}}), "json_schema", "'with_author' is a required property"),
        (completion({"content": "Ticket 204 is open."}), "json_schema", "Ticket 204"),
        (b"<html>", "tools", "JSONDecodeError"),
    ],
)
def test_a_call_is_valid_if_its_tool_is_known_and_takes_its_arguments(answer: bytes, way: Way, said: str | None) -> None:
    found = wrong_with(answer, way)
    assert found is None if said is None else said in (found or "")


def test_the_schema_of_all_calls_takes_what_the_tools_take_and_no_more() -> None:
    jsonschema.Draft202012Validator.check_schema(ANY_CALL)
    jsonschema.validate(VALID, ANY_CALL)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALID, "name": "move_ticket"}, ANY_CALL)
    asked = body(Server("127.0.0.1", 1, "/v1", "default", "json_schema"), 7)
    assert "tools" not in asked
    assert all(tool["function"]["name"] in asked["messages"][0]["content"] for tool in TOOLS)


@contextmanager
def answering(status: int) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            said = by_tools(VALID)
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Server("127.0.0.1", server.server_port, "/v1", "default")
        finally:
            server.shutdown()
            thread.join()


def test_a_level_ends_by_its_calls_or_by_its_seconds() -> None:
    with answering(200) as server:
        counted = figures(load(server, clients=3, calls=12, processes=2))
        timed = figures(load(server, clients=2, seconds=0.3))
    assert (counted["calls"], counted["valid"], counted["prompt_tokens"], counted["completion_tokens"]) == (12, 12, 900, 24)
    assert timed["calls"] == timed["valid"] > 2
    assert timed["calls_per_s"] > 0


def test_a_call_that_fails_is_neither_answered_nor_valid() -> None:
    with answering(500) as server:
        failed = load(server, clients=1, calls=2)
    gone = load(server, clients=1, calls=2)
    for level in (failed, gone):
        assert (figures(level)["calls"], figures(level)["valid"], figures(level)["calls_per_s"]) == (2, 0, 0)
    assert (failed.problem or "").startswith("500")
    assert "refused" in (gone.problem or "")


def test_the_plot_has_a_point_for_each_recorded_level() -> None:
    panels = throughput_plot.panels()
    drawn = ElementTree.fromstring(throughput_plot.plot(panels))
    points = drawn.findall(".//{http://www.w3.org/2000/svg}circle")
    levels = [level for panel in panels for series in panel.series for level in series.levels]
    assert len(points) == len(levels) > 20
    rows = [line for line in throughput_plot.page(panels).splitlines() if line.startswith("| ")]
    assert len(rows) == len(levels) + len(panels)
