"""LangChain's agent on the gateway's model, with the gateway's MCP tools through langchain-mcp-adapters."""

import asyncio
import sys

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI


async def main(base: str) -> None:
    servers = MultiServerMCPClient({"portico": {"url": f"{base}/mcp", "transport": "streamable_http"}})
    tools = [tool for tool in await servers.get_tools() if tool.name == "calc__add"]
    agent = create_agent(ChatOpenAI(model="fake", base_url=f"{base}/v1", api_key="none"), tools)
    found = await agent.ainvoke({"messages": [{"role": "user", "content": "What is 1 + 2?"}]})
    print([message.type for message in found["messages"]])
    print("FINAL", found["messages"][-1].content)


asyncio.run(main(sys.argv[1]))
