"""Kernels for CPUs in C++ (source/), compiled on the machine that runs them, each beside its plain torch twin.

    build.py        compiles them, once for each machine and version, into the user's cache folder; `python -m` builds in time
    library.py      the compiled library, as functions over tensors
    operations.py   norms, rotary embedding and SwiGLU: what a decoder does between its products
    attention.py    attention over paged KV, a layer of a ragged batch in one call
    product.py      quantized matrices in the form that products of a few rows read
    layers.py       all of these for a step of few tokens, layer by layer, in one call
    check.py        each operation beside its twin: a library that says otherwise is not used

A machine without a compiler computes by the twins. Whoever loads a model never waits for a build: it goes on beside, and the
next start finds it. Threads are torch's own: the library is not linked to an OpenMP of its own.
"""
