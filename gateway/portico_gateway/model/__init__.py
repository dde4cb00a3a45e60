"""Which model, started how, and who waits for it."""
