"""The tools, and what each does."""
