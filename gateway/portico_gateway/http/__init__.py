"""The HTTP side: OpenAI's chat API, MCP over Streamable HTTP, and health. `app` puts the rooms together, `run` starts them."""
