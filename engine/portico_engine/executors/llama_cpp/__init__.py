"""llama.cpp as an executor, through llama-cpp-python's low-level API.

    executor.py   LlamaCppExecutor: the order of a step
    sequences.py  KV blocks as sequences of llama.cpp's unified cache
    library.py    what is C: a model, a context, batches, return codes and the log

Nothing outside of `library` calls llama.cpp. A crash in there ends the process, so an engine with it runs in a child process.
"""
