"""Tool calls that run as tasks (MCP 2025-11-25, `tasks`): a server's task, under a name that says whose it is.

It owns which caller began which task; nobody else can ask for it. The servers keep the tasks, and what they say of them passes
through. The SDK has types for tasks and dispatches none of their methods: here they are plain handlers, and the announcement
and the answer to `tools/call` are put in their places on the way out. Servers' `notifications/tasks/status` are not told, which
the specification leaves open: hosts ask.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import mcp_types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from portico_gateway.caller import Caller
from portico_gateway.errors import GatewayError, PolicyError, UnknownName
from portico_gateway.mcp.host_caller import caller_of, with_caller
from portico_gateway.mcp.input_required import PendingOperations
from portico_gateway.mcp.outward import outward_result
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.catalog import CatalogTool
from portico_gateway.upstreams.names import RELATED_TASK, task_name
from portico_gateway.upstreams.wire.answers import UNKNOWN_PARTS, mend_result, restore_unknown_parts

Context = ServerRequestContext[Any, Any]
TASKS_VERSION = "2025-11-25"  # the only one with tasks in its core
_CAPABILITY: dict[str, Any] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
_MAX_OWN_TASKS = 100  # of one caller, the oldest are forgotten first
_MAX_TASKS = 1000  # of all callers
_RESULT_SECONDS = 3600.0  # that a host may wait for a task's result in one request


@dataclass(slots=True)
class _Task:
    server: str
    own_id: str
    tool: str
    caller: str
    state: dict[str, Any]  # as its server told it last, under the gateway's name


class Tasks:
    """Of one gateway's hosts."""

    def __init__(self, tool_calls: ToolCalls, pending: PendingOperations, answer_timeout: float) -> None:
        self._tool_calls = tool_calls
        self._pending = pending
        self._answer_timeout = answer_timeout
        self._tasks: OrderedDict[str, _Task] = OrderedDict()

    def serve(self, server: Server[Any]) -> None:
        """Answer the methods of tasks, and say so to hosts that know them."""
        server.add_request_handler("tasks/get", mcp_types.GetTaskRequestParams, self._get)
        server.add_request_handler("tasks/cancel", mcp_types.CancelTaskRequestParams, self._cancel)
        server.add_request_handler("tasks/result", mcp_types.GetTaskPayloadRequestParams, self._result)
        server.add_request_handler("tasks/list", mcp_types.PaginatedRequestParams, self._list)
        server.middleware.append(_on_the_wire)

    def begun(self, entry: CatalogTool, caller: Caller, result: mcp_types.CallToolResult) -> mcp_types.CallToolResult:
        """The answer to a call that was to run as a task: where it is one, under its name here."""
        parts = (result.meta or {}).get(UNKNOWN_PARTS) or {}
        state = parts.get("fields", {}).get("task")
        if not isinstance(state, dict) or not isinstance(state.get("taskId"), str):
            return result  # the server has answered at once
        name = task_name(entry.server, state["taskId"])
        task = _Task(entry.server, state["taskId"], entry.name, caller.name, {**state, "taskId": name})
        self._tasks[name] = task
        own = [each for each, known in self._tasks.items() if known.caller == caller.name]
        for surplus in own[:-_MAX_OWN_TASKS] or list(self._tasks)[:-_MAX_TASKS]:
            del self._tasks[surplus]
        fields = {**parts["fields"], "task": task.state}
        meta = {**(result.meta or {}), UNKNOWN_PARTS: {**parts, "fields": fields}}
        return result.model_copy(update={"meta": meta})

    def _find(self, ctx: Context, name: str) -> _Task:
        task = self._tasks.get(name)
        if ctx.protocol_version != TASKS_VERSION:
            raise MCPError(mcp_types.METHOD_NOT_FOUND, "Method not found", ctx.method)
        if task is None or task.caller != caller_of(ctx).name:
            raise MCPError(mcp_types.INVALID_PARAMS, f"there is no task {name!r}: it is another caller's, or forgotten")
        return task

    async def _get(self, ctx: Context, params: mcp_types.GetTaskRequestParams) -> dict[str, Any]:
        task = self._find(ctx, params.task_id)
        request = mcp_types.GetTaskRequest(params=mcp_types.GetTaskRequestParams(task_id=task.own_id))
        return await self._state(ctx, task, request)

    async def _cancel(self, ctx: Context, params: mcp_types.CancelTaskRequestParams) -> dict[str, Any]:
        task = self._find(ctx, params.task_id)
        request = mcp_types.CancelTaskRequest(params=mcp_types.CancelTaskRequestParams(task_id=task.own_id))
        return await self._state(ctx, task, request)

    async def _state(self, ctx: Context, task: _Task, request: mcp_types.Request[Any, Any]) -> dict[str, Any]:
        try:
            told = await self._tool_calls.upstreams.ask_of_task(task.server, request)
        except GatewayError as error:
            raise MCPError(mcp_types.INTERNAL_ERROR, str(error)) from error
        if not self._tool_calls.policy.is_trusted(task.tool):
            self._tool_calls.note_untrusted(caller_of(ctx))  # the status has words of the server's
        task.state = {
            **task.state,
            **{key: value for key, value in told.items() if key != "_meta"},
            "taskId": task.state["taskId"],
        }
        return {**told, "taskId": task.state["taskId"]}

    async def _list(self, ctx: Context, params: mcp_types.PaginatedRequestParams) -> dict[str, Any]:
        """The caller's tasks as they were told last; `tasks/get` asks."""
        if ctx.protocol_version != TASKS_VERSION:
            raise MCPError(mcp_types.METHOD_NOT_FOUND, "Method not found", ctx.method)
        name = caller_of(ctx).name
        return {"tasks": [task.state for task in self._tasks.values() if task.caller == name]}

    async def _result(self, ctx: Context, params: mcp_types.GetTaskPayloadRequestParams) -> Any:
        task = self._find(ctx, params.task_id)
        request = mcp_types.GetTaskPayloadRequest(params=mcp_types.GetTaskPayloadRequestParams(task_id=task.own_id))

        async def fetch() -> mcp_types.CallToolResult:
            told = await self._tool_calls.upstreams.ask_of_task(task.server, request, timeout=_RESULT_SECONDS)
            return mcp_types.CallToolResult.model_validate(mend_result("tools/call", told, TASKS_VERSION).result, by_name=False)

        async def read(caller: Caller, progress: Any) -> mcp_types.CallToolResult:
            result = await self._tool_calls.read_task(task.tool, task.own_id, caller, fetch)
            return outward_result(task.server, result, ctx.protocol_version)

        carrying = mcp_types.InputResponseRequestParams()
        try:
            result = await with_caller(ctx, self._pending, carrying, self._answer_timeout, read)
        except UnknownName as error:
            raise MCPError(mcp_types.INVALID_PARAMS, str(error)) from error
        except GatewayError as error:
            code = mcp_types.INVALID_REQUEST if isinstance(error, PolicyError) else mcp_types.INTERNAL_ERROR
            raise MCPError(code, str(error)) from error
        out = restore_unknown_parts(result.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"result_type"}))
        return {**out, "_meta": {**out.get("_meta", {}), RELATED_TASK: {"taskId": task.state["taskId"]}}}


async def _on_the_wire(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Puts in their places what the SDK has none for: the announcement, and a task as the answer to a call."""
    result = await call_next(ctx)
    if not isinstance(result, dict):
        return result
    if ctx.method == "initialize" and result.get("protocolVersion") == TASKS_VERSION:
        return {**result, "capabilities": {**result["capabilities"], "tasks": _CAPABILITY}}
    is_task = ctx.method == "tools/call" and "task" in (ctx.params or {}) and isinstance(result.get("task"), dict)
    return {key: value for key, value in result.items() if key not in ("content", "isError")} if is_task else result


def refuse_task(entry: CatalogTool, version: str) -> None:
    """Raises MCPError where a call of the tool can't run as a task."""
    support = entry.tool.execution.task_support if entry.tool.execution is not None else None
    if version != TASKS_VERSION or support not in ("optional", "required"):
        raise MCPError(mcp_types.METHOD_NOT_FOUND, f"{entry.name} can't run as a task; call it without 'task'")
