"""The index on disk and who fills it."""
