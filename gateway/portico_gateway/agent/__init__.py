"""The tool-calling loop."""
