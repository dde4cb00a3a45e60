"""A pydantic-ai agent with a tool of its own."""

import sys

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=f"{sys.argv[1]}/v1", api_key="none")
agent = Agent(OpenAIChatModel("fake", provider=provider))


@agent.tool_plain
def calc__add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


print("FINAL", agent.run_sync("What is 1 + 2?").output)
