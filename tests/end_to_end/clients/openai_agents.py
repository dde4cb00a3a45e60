"""OpenAI's Agents SDK over the Responses API, with a tool of its own."""

import sys

from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)
set_default_openai_client(AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none"), use_for_tracing=False)


@function_tool
def calc__add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


agent = Agent(name="Adder", instructions="Use your tools.", tools=[calc__add], model="fake")
print("FINAL", Runner.run_sync(agent, "What is 1 + 2?").final_output)
