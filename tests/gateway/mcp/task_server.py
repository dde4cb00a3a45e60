"""A server of 2025-11-25 whose tool `dig` runs as a task, line by line and without an SDK, which has no server for tasks.

A task works until `tasks/get` has been asked twice; `tasks/result` ends it at once, and asks the user first where the depth is
13. Its first task is t1.
"""

from __future__ import annotations

import json
import sys
from typing import Any

TASKS: dict[str, dict[str, Any]] = {}
DEPTHS: dict[str, int] = {}
SCHEMA = {"type": "object", "properties": {"depth": {"type": "integer"}}, "required": ["depth"]}
TOOLS = [
    {"name": "dig", "inputSchema": SCHEMA, "execution": {"taskSupport": "optional"}, "annotations": {"readOnlyHint": True}},
    {"name": "bury", "inputSchema": SCHEMA, "execution": {"taskSupport": "required"}},
    {"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
]


class Wrong(Exception):
    pass


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        tasks = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
        info = {"name": "digger", "version": "1"}
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "tasks": tasks}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return call(params)
    task = TASKS.get(params.get("taskId", ""))
    if task is None or method not in ("tasks/get", "tasks/cancel", "tasks/result"):
        raise Wrong(f"{method}: no such thing")
    identity = task["taskId"]
    if method == "tasks/get":
        task["asked"] = task.get("asked", 0) + 1
        if task["asked"] == 2 and task["status"] == "working":
            task["status"] = "completed"
    elif method == "tasks/cancel":
        if task["status"] != "working":
            raise Wrong("the task has ended")
        task["status"] = "cancelled"
    elif task["status"] == "cancelled":
        raise Wrong("the task was cancelled")
    else:
        hands = ask(identity) if DEPTHS[identity] == 13 else ""
        link = {"type": "resource_link", "uri": "hole://1", "name": "hole"}
        related = {"io.modelcontextprotocol/related-task": {"taskId": identity}}
        return {
            "content": [{"type": "text", "text": f"dug {DEPTHS[identity]} m{hands}"}, link],
            "isError": False,
            "_meta": related,
        }
    return {**{key: value for key, value in task.items() if key != "asked"}, "x-shovels": 2}


def ask(identity: str) -> str:
    """Ask the user, as a task's server may while its result is waited for."""
    related = {"io.modelcontextprotocol/related-task": {"taskId": identity}}
    form = {"message": "With what?", "requestedSchema": {"type": "object", "properties": {"tool": {"type": "string"}}}}
    question = {"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create", "params": {**form, "_meta": related}}
    print(json.dumps(question), flush=True)
    return f" with {json.loads(sys.stdin.readline())['result']['content']['tool']}"


def call(params: dict[str, Any]) -> dict[str, Any]:
    if "task" not in params:
        return {"content": [{"type": "text", "text": f"{params['name']} at once"}]}
    identity = f"t{len(TASKS) + 1}"
    moment = "2026-11-30T00:00:00Z"
    TASKS[identity] = {
        "taskId": identity,
        "status": "working",
        "createdAt": moment,
        "lastUpdatedAt": moment,
        "ttl": params["task"].get("ttl"),
        "pollInterval": 10,
    }
    DEPTHS[identity] = params["arguments"]["depth"]
    return {"task": TASKS[identity]}


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    try:
        said: dict[str, Any] = {"result": answer(message["method"], message.get("params") or {})}
    except Wrong as error:
        said = {"error": {"code": -32602, "message": str(error)}}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}), flush=True)
