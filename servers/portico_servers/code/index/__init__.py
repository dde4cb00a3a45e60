"""The live index of a root."""
