"""llama.cpp as an executor."""
