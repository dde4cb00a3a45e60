"""llama.cpp as an executor, through llama-cpp-python's low-level API.

    executor.py   LlamaCppExecutor: the order of a step
    sequences.py  KV blocks as sequences of llama.cpp's unified cache, or saved beside it
    sequence_cache.py  llama.cpp's cache, as blocks and states see it
    batches.py    rows in batches of which none depends on itself
    states.py     whole states of recurrent models in their place
    attention.py  flash attention by rule, and what keys and values are stored as
    devices.py    which GPUs the installed build can use
    embedding.py  contexts that pool, and LlamaEmbeddingExecutor for models that write no text
    library.py    what is C: a model, a context, batches, return codes and the log

Nothing outside of `library` and `embedding` calls llama.cpp. A crash in there ends the process, so an engine with it runs in a
child process.
"""
