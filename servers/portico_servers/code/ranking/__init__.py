"""Which pieces of code answer a question."""
