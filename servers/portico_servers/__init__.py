"""Three MCP servers, each useful alone: code, docs and database. Importing this starts nothing and loads no model library."""
