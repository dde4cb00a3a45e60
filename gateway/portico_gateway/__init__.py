"""MCP in and out, HTTP APIs, policy and the tool-calling loop; talks to the engine through its root API only."""
