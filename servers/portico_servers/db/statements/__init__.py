"""Statements in worker processes, under limits."""
