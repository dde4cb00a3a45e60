"""Several callers on one engine, so that none of them starves another. The scheduler asks; nothing here runs or plans a step.

fair_queue.py  who of the waiting goes first: a deficit round robin over callers
turns.py       whose turn it is within a step that several callers share
"""
