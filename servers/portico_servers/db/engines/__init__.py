"""One module an engine: open read-only, describe, run. Imported by worker processes only; they know no MCP."""
