"""The six tools."""
