"""The prompts: what a person picks from a host's menu. They look nothing up themselves."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer


def add_prompts(server: MCPServer[Any]) -> None:
    @server.prompt(
        name="answer", title="Answer from the documentation", description="Answer a question, citing the documentation."
    )
    def answer_question(question: str) -> str:
        return (
            f"Answer this question from the documentation alone: {question}\n\n"
            "Use search to find passages and read to open those that matter. Cite each statement by its path#anchor. "
            "If the documentation does not say, say so."
        )

    @server.prompt(title="Summarize a page", description="Summarize one documentation page.")
    def summarize(page: str) -> str:
        return (
            f"Read the documentation page {page} with read, to its end, and summarize it in five sentences, citing path#anchor."
        )
