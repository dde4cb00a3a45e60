"""Statements in worker processes, so that one can be killed at its limit or when its call is cancelled.

    worker_pool.py     WorkerPool: starts workers, hands them statements, kills them   (the server's side)
    cancellation.py    Cancellation: which worker runs a call's statement now
    frames.py          what the two sides say to each other, and how it lies on the pipe
    worker_process.py  owns one engine and answers                                     (the worker's side)
    placeholders.py    `:name` placeholders of the owner's SQL

Only worker_process opens an engine; nothing here knows MCP.
"""
