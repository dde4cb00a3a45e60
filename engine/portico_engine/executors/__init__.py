"""Executors: what runs a step's plan over KV blocks of its own and samples, whatever it computes with.

    protocol.py     Executor, its capabilities, a step under way: the seam that the engine drives
    kv_ops.py       a plan's copies, drops, saves and loads, over any executor's block memory
    step_result.py  a step's result, put together from samples and scores
    host_step.py    sampling and scoring of logits in this machine's memory
    torch/          decoders in torch, on a CPU and on a GPU
    ranks/          the same over several processes, each with a device of its own
    llama_cpp/      models that torch has no decoder for, by llama-cpp-python

They know plans (`portico_engine.plan`) and bitmasks; they know neither requests nor queues, nor who shares a block. Only
`portico_engine.loading` knows which executor there is.
"""
