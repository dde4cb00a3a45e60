"""The engine from a program, in its own process.

    async_engine.py   AsyncEngine: an `EngineClient` for asyncio, over a thread
    grammar_preparation.py  grammars made ready beside that thread
    engine_thread.py  the thread: commands between two steps, and what happened in a step, told at once
    flow_control.py   how far an answer may run ahead of its reader

It knows the engine's calls, and nothing of how steps are planned or run. `process/`, the other front, uses the same thread.
"""
