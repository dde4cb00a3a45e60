"""The fixture server's tools, by the names that the conformance suite calls, and how they ask.

A question goes as its era does: by a request of the server's own through 2025-11-25, and in the answer to the call since
(SEP-2322).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import anyio
import mcp_types
from fixture_content import DEFAULTS_FORM, ENUM_FORM, PNG, PROMPTS, SCHEMA_2020_12, WAV, form
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Context: TypeAlias = ServerRequestContext[Any, Any]
Answers: TypeAlias = Mapping[str, Any]
Handler: TypeAlias = Callable[[Context, mcp_types.CallToolRequestParams], Awaitable[Any]]
PAUSE = 0.05  # seconds between notifications, as the suite's requirements say
TOOLS: dict[str, tuple[mcp_types.Tool, Handler]] = {}
_KEY = secrets.token_bytes(16)
BUS = InMemorySubscriptionBus()


class AskFirst(Exception):
    """The answer to this request is a question."""

    def __init__(self, result: mcp_types.InputRequiredResult) -> None:
        self.result = result


def tool(name: str, schema: dict[str, Any] | None = None) -> Callable[[Handler], Handler]:
    """Offer `handler` as the tool `name`; it gives content blocks, or one text."""

    def add(handler: Handler) -> Handler:
        shown = mcp_types.Tool(
            name=name,
            description=(handler.__doc__ or name).strip(),
            input_schema=schema or {"type": "object", "properties": {}},
            annotations=mcp_types.ToolAnnotations(read_only_hint=True),
        )
        TOOLS[name] = (shown, handler)
        return handler

    return add


def text(said: str) -> mcp_types.TextContent:
    return mcp_types.TextContent(type="text", text=said)


# -- asking


def elicit(message: str, schema: dict[str, Any]) -> mcp_types.ElicitRequest:
    return mcp_types.ElicitRequest(params=mcp_types.ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(prompt: str, max_tokens: int = 100) -> mcp_types.CreateMessageRequest:
    message = mcp_types.SamplingMessage(role="user", content=text(prompt))
    return mcp_types.CreateMessageRequest(
        params=mcp_types.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


_RESULTS: dict[str, type[Any]] = {
    "elicitation/create": mcp_types.ElicitResult,
    "sampling/createMessage": mcp_types.CreateMessageResult,
    "roots/list": mcp_types.ListRootsResult,
}


async def ask(
    ctx: Context, params: mcp_types.InputResponseRequestParams, *, state: str | None = None, **requests: mcp_types.InputRequest
) -> Answers:
    """The answers to `requests` by their keys. Raises AskFirst in the era in which they come with the next request."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
        return {
            key: await ctx.session.send_request(request, _RESULTS[request.method], None, metadata)
            for key, request in requests.items()
        }
    given = params.input_responses or {}
    if not all(key in given for key in requests):
        raise AskFirst(mcp_types.InputRequiredResult(input_requests=requests, request_state=state))
    return given


def signed(state: str) -> str:
    """`state` with its code, which nobody else can make."""
    return f"{state}.{hmac.new(_KEY, state.encode(), hashlib.sha256).hexdigest()}"


def check_signed(state: str | None) -> None:
    """Raises MCPError where the state is not ours."""
    if state is not None and not hmac.compare_digest(state, signed(state.partition(".")[0])):
        raise MCPError(mcp_types.INVALID_PARAMS, "requestState is not what this server gave")


def shown(answer: mcp_types.ElicitResult) -> str:
    return f"action={answer.action}, content={json.dumps(answer.content)}"


# -- tools whose answers have a form


@tool("test_simple_text")
async def simple_text(ctx: Context, params: Any) -> str:
    """Returns one text."""
    return "This is a simple text response for testing."


@tool("test_image_content")
async def image_content(ctx: Context, params: Any) -> Any:
    """Returns an image."""
    return [mcp_types.ImageContent(type="image", data=PNG, mime_type="image/png")]


@tool("test_audio_content")
async def audio_content(ctx: Context, params: Any) -> Any:
    """Returns a sound."""
    return [mcp_types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


def embedded(uri: str, mime_type: str, said: str) -> mcp_types.EmbeddedResource:
    contents = mcp_types.TextResourceContents(uri=uri, mime_type=mime_type, text=said)
    return mcp_types.EmbeddedResource(type="resource", resource=contents)


@tool("test_embedded_resource")
async def embedded_resource(ctx: Context, params: Any) -> Any:
    """Returns a resource."""
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@tool("test_multiple_content_types")
async def multiple_content_types(ctx: Context, params: Any) -> Any:
    """Returns a text, an image and a resource."""
    image = mcp_types.ImageContent(type="image", data=PNG, mime_type="image/png")
    return [text("Three kinds of content:"), image, embedded("test://mixed", "application/json", '{"test":"data","value":123}')]


@tool("test_error_handling")
async def error_handling(ctx: Context, params: Any) -> Any:
    """Fails, always."""
    return mcp_types.CallToolResult(content=[text("This tool fails on purpose.")], is_error=True)


@tool("json_schema_2020_12_tool", SCHEMA_2020_12)
async def json_schema(ctx: Context, params: Any) -> str:
    """Has a schema with keywords of JSON Schema 2020-12."""
    return "It was called."


@tool("test_region", {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}})
async def region(ctx: Context, params: Any) -> str:
    """Takes an argument that a header repeats (SEP-2243)."""
    return f"In {(params.arguments or {}).get('region')}."


# -- tools that say something while they run


async def _log(ctx: Context, *lines: str) -> None:
    for number, line in enumerate(lines):
        await anyio.sleep(PAUSE if number else 0)
        await ctx.session.send_log_message("info", line, related_request_id=ctx.request_id)


@tool("test_tool_with_logging")
async def tool_with_logging(ctx: Context, params: Any) -> str:
    """Logs three lines while it runs."""
    await _log(ctx, "Tool execution started", "Tool processing data", "Tool execution completed")
    return "It has logged."


@tool("test_logging_tool")
async def logging_tool(ctx: Context, params: Any) -> str:
    """Logs a line, for who wants that."""
    await _log(ctx, "A line for who asked for it")
    return "It has logged."


@tool("test_tool_with_progress")
async def tool_with_progress(ctx: Context, params: Any) -> str:
    """Reports its progress, for who wants that."""
    for progress in (0.0, 50.0, 100.0):
        await ctx.session.report_progress(progress, 100.0)
        await anyio.sleep(PAUSE)
    return "It is done."


@tool("test_trigger_tool_change")
async def trigger_tool_change(ctx: Context, params: Any) -> str:
    """Changes the list of tools."""
    number = sum(name.startswith("changed_") for name in TOOLS)
    tool(f"changed_{number}")(simple_text)
    await ctx.session.send_tool_list_changed()
    await BUS.publish(ToolsListChanged())
    return "The tools have changed."


@tool("test_trigger_prompt_change")
async def trigger_prompt_change(ctx: Context, params: Any) -> str:
    """Changes the list of prompts."""
    number = sum(prompt.name.startswith("changed_") for prompt in PROMPTS)
    PROMPTS.append(mcp_types.Prompt(name=f"changed_{number}", description="A new one."))
    await ctx.session.send_prompt_list_changed()
    await BUS.publish(PromptsListChanged())
    return "The prompts have changed."


# -- tools that ask


@tool("test_sampling", form(prompt="string"))
async def sampling(ctx: Context, params: Any) -> str:
    """Asks the client's model."""
    answer = (await ask(ctx, params, answer=sample(params.arguments["prompt"])))["answer"]
    return f"LLM response: {answer.content.text}"


@tool("test_missing_capability")
async def missing_capability(ctx: Context, params: Any) -> str:
    """Needs a client with a model."""
    can = ctx.session.client_capabilities
    if can is None or can.sampling is None:
        data = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(mcp_types.MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs sampling", data)
    return "The client has a model."


@tool("test_elicitation", form(message="string"))
async def elicitation(ctx: Context, params: Any) -> str:
    """Asks the user."""
    wanted = form(username="string", email="string")
    answer = (await ask(ctx, params, answer=elicit(params.arguments["message"], wanted)))["answer"]
    return f"User response: {shown(answer)}"


@tool("test_elicitation_sep1034_defaults")
async def elicitation_defaults(ctx: Context, params: Any) -> str:
    """Asks the user, with defaults of every primitive type."""
    answer = (await ask(ctx, params, answer=elicit("Please look these over.", DEFAULTS_FORM)))["answer"]
    return f"Elicitation completed: {shown(answer)}"


@tool("test_elicitation_sep1330_enums")
async def elicitation_enums(ctx: Context, params: Any) -> str:
    """Asks the user to choose, in every form of a choice."""
    answer = (await ask(ctx, params, answer=elicit("Please choose.", ENUM_FORM)))["answer"]
    return f"Elicitation completed: {shown(answer)}"


@tool("test_streaming_elicitation")
async def streaming_elicitation(ctx: Context, params: Any) -> str:
    """Says something, then asks the user."""
    await ctx.session.report_progress(1.0, 2.0)
    answer = (await ask(ctx, params, answer=elicit("Go on?", form(ok="boolean"))))["answer"]
    return f"Elicitation completed: {shown(answer)}"


@tool("test_input_required_result_elicitation")
async def input_elicitation(ctx: Context, params: Any) -> str:
    """Asks for a name."""
    answer = (await ask(ctx, params, user_name=elicit("What is your name?", form(name="string"))))["user_name"]
    return f"Hello, {(answer.content or {}).get('name')}!"


@tool("test_input_required_result_sampling")
async def input_sampling(ctx: Context, params: Any) -> str:
    """Asks the model for a capital."""
    answer = (await ask(ctx, params, capital_question=sample("What is the capital of France?")))["capital_question"]
    return f"The model says: {answer.content.text}"


@tool("test_input_required_result_list_roots")
async def input_roots(ctx: Context, params: Any) -> str:
    """Asks for the client's roots."""
    answer = (await ask(ctx, params, client_roots=mcp_types.ListRootsRequest()))["client_roots"]
    return f"The roots are {[str(root.uri) for root in answer.roots]}"


@tool("test_input_required_result_request_state")
async def input_state(ctx: Context, params: Any) -> str:
    """Asks, and gets its own state back with the answer."""
    check_signed(params.request_state)
    await ask(ctx, params, state=signed("confirm"), confirm=elicit("Please confirm", form(ok="boolean")))
    return "state-ok"


@tool("test_input_required_result_tampered_state")
async def input_tampered_state(ctx: Context, params: Any) -> str:
    """Asks, and takes no state but its own."""
    return await input_state(ctx, params)


@tool("test_input_required_result_multiple_inputs")
async def input_several(ctx: Context, params: Any) -> str:
    """Asks user, model and file system at once."""
    check_signed(params.request_state)
    name = elicit("What is your name?", form(name="string"))
    greeting, roots = sample("Generate a greeting", 50), mcp_types.ListRootsRequest()
    await ask(ctx, params, state=signed("several"), user_name=name, greeting=greeting, client_roots=roots)
    return "All three have answered."


@tool("test_input_required_result_multi_round")
async def input_rounds(ctx: Context, params: Any) -> str:
    """Asks one thing after the other."""
    check_signed(params.request_state)
    if params.request_state is None or not params.request_state.startswith("second"):
        await ask(ctx, params, state=signed("first"), step1=elicit("Step 1: What is your name?", form(name="string")))
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            params = params.model_copy(update={"input_responses": None})
    await ask(ctx, params, state=signed("second"), step2=elicit("Step 2: What is your favorite color?", form(color="string")))
    return "Both steps are done."


@tool("test_input_required_result_capabilities")
async def input_capabilities(ctx: Context, params: Any) -> str:
    """Asks what this client can answer, and nothing else."""
    can = ctx.session.client_capabilities or mcp_types.ClientCapabilities()
    asked: dict[str, mcp_types.InputRequest] = {}
    if can.sampling is not None:
        asked["thought"] = sample("Say hello.")
    if can.elicitation is not None:
        asked["user_name"] = elicit("What is your name?", form(name="string"))
    if can.roots is not None:
        asked["client_roots"] = mcp_types.ListRootsRequest()
    answers = await ask(ctx, params, **asked) if asked else {}
    return f"Answered: {sorted(answers)}"
