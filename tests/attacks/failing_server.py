"""A raw MCP server whose tool `fail` fails as its argument says: `python failing_server.py die|hang|flood`.

`die` ends the process in the middle of an answer, `hang` never answers, `flood` answers after pings, log lines and noise on
stderr that nobody asked for.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

HOW = sys.argv[1]
PINGS, LINES, NOISE, ANSWER = 100, 100, 1 << 16, 1 << 16


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def fail(i: Any) -> None:
    if HOW == "die":
        sys.stdout.write('{"jsonrpc": "2.0", "id"')
        sys.stdout.flush()
        os._exit(1)
    if HOW == "flood":
        for number in range(PINGS):
            send(id=f"p{number}", method="ping")
        for number in range(LINES):
            send(method="notifications/message", params={"level": "error", "data": f"line {number}"})
        sys.stderr.write("noise\n" * (NOISE // 6))
        sys.stderr.flush()
        send(id=i, result={"content": [{"type": "text", "text": "x" * ANSWER}]})


for line in sys.stdin:
    asked = json.loads(line)
    i, method = asked.get("id"), asked.get("method")
    if i is None or method is None:
        continue
    if method == "initialize":
        info = {"serverInfo": {"name": "f", "version": "1"}, "capabilities": {"tools": {}}}
        send(id=i, result={"protocolVersion": asked["params"]["protocolVersion"], **info})
    elif method == "tools/list":
        tool = {"name": "fail", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
        send(id=i, result={"tools": [tool]})
    elif method == "tools/call":
        fail(i)
    else:
        send(id=i, error={"code": -32601, "message": "method not found"})
