"""An MCP server that has everything which the conformance suite asks of a server, over stdio and in both eras.

The suite's scenarios call tools, prompts and resources by fixed names (`test_simple_text`, `test://static-text`, ...). This
server has them, so that what the gateway passes on can be checked, and not its own servers.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import anyio
import mcp_types
from fixture_content import PNG, PROMPTS, RESOURCES, form
from fixture_tools import BUS, TOOLS, AskFirst, Context, ask, elicit, embedded, shown, text
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError


async def call_tool(ctx: Context, params: mcp_types.CallToolRequestParams) -> Any:
    if params.name not in TOOLS:
        raise MCPError(mcp_types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    try:
        found = await TOOLS[params.name][1](ctx, params)
    except AskFirst as question:
        return question.result
    if isinstance(found, mcp_types.CallToolResult):
        return found
    return mcp_types.CallToolResult(content=[text(found)] if isinstance(found, str) else found)


async def list_tools(ctx: Context, params: Any) -> mcp_types.ListToolsResult:
    return mcp_types.ListToolsResult(tools=[shown_tool for shown_tool, _ in TOOLS.values()])


async def list_prompts(ctx: Context, params: Any) -> mcp_types.ListPromptsResult:
    return mcp_types.ListPromptsResult(prompts=PROMPTS)


async def get_prompt(ctx: Context, params: mcp_types.GetPromptRequestParams) -> Any:
    given = params.arguments or {}
    said: list[Any]
    if params.name == "test_simple_prompt":
        said = [text("This is a simple prompt for testing.")]
    elif params.name == "test_prompt_with_arguments":
        said = [text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]
    elif params.name == "test_prompt_with_embedded_resource":
        said = [embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing."), text("Please read it.")]
    elif params.name == "test_prompt_with_image":
        said = [mcp_types.ImageContent(type="image", data=PNG, mime_type="image/png"), text("Please analyze the image above.")]
    elif params.name == "test_input_required_result_prompt":
        try:
            answers = await ask(ctx, params, user_context=elicit("What context should it have?", form(context="string")))
        except AskFirst as question:
            return question.result
        said = [text(f"In the context {shown(answers['user_context'])}")]
    else:
        raise MCPError(mcp_types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    return mcp_types.GetPromptResult(messages=[mcp_types.PromptMessage(role="user", content=block) for block in said])


async def list_resources(ctx: Context, params: Any) -> mcp_types.ListResourcesResult:
    return mcp_types.ListResourcesResult(
        resources=[
            mcp_types.Resource(
                uri=uri, name=uri.removeprefix("test://"), description="For testing.", mime_type=contents.mime_type
            )
            for uri, contents in RESOURCES.items()
        ]
    )


async def list_templates(ctx: Context, params: Any) -> mcp_types.ListResourceTemplatesResult:
    template = mcp_types.ResourceTemplate(
        uri_template="test://template/{id}/data", name="template", description="By id.", mime_type="application/json"
    )
    return mcp_types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx: Context, params: mcp_types.ReadResourceRequestParams) -> mcp_types.ReadResourceResult:
    uri = str(params.uri)
    if uri in RESOURCES:
        return mcp_types.ReadResourceResult(contents=[RESOURCES[uri]])
    if uri.startswith("test://template/") and uri.endswith("/data"):
        identity = uri.removeprefix("test://template/").removesuffix("/data")
        said = json.dumps({"id": identity, "templateTest": True, "data": f"Data for ID: {identity}"})
        contents = mcp_types.TextResourceContents(uri=uri, mime_type="application/json", text=said)
        return mcp_types.ReadResourceResult(contents=[contents])
    raise MCPError(mcp_types.INVALID_PARAMS, "Resource not found", {"uri": uri})


async def complete(ctx: Context, params: mcp_types.CompleteRequestParams) -> mcp_types.CompleteResult:
    values = [word for word in ("paris", "park", "party", "test") if word.startswith(params.argument.value)]
    return mcp_types.CompleteResult(completion=mcp_types.Completion(values=values))


async def nothing(ctx: Context, params: Any) -> mcp_types.EmptyResult:
    return mcp_types.EmptyResult()


def build() -> Server[Any]:
    server: Server[Any] = Server(
        "fixture",
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_completion=complete,
        on_subscriptions_listen=ListenHandler(BUS),
        on_subscribe_resource=nothing,
        on_unsubscribe_resource=nothing,
    )
    server.add_request_handler("logging/setLevel", mcp_types.SetLevelRequestParams, nothing)
    return server


async def main() -> None:
    server = build()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # what 2026-07-28 deprecates is checked all the same
    anyio.run(main)
