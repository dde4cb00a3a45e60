"""The MCP servers behind the gateway: one supervised connection each, and one catalog."""
