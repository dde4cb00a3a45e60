"""From a model on disk to an engine.

    options.py        what a user may ask for (`LoadOptions`), and the sizes that memory allows
    memory_plan.py    what memory goes to: weights, steps and KV
    weight_memory.py  what weights take in each device's forms, from the headers
    llama_plan.py     what of a model llama.cpp computes on a GPU, and what its KV takes
    llama_loading.py  llama.cpp's executor by that plan
    weight_forms.py   what weights are stored as, and what products with them run from, in a line
    fitting.py        which quantization and which context a memory has room for
    description.py    what a model on disk is, before it is loaded
    model_digest.py   by which a model is known again; whether the default one is the file that was tested
    model_path.py     where a model is: a path, or the default model's package
    device.py         GPU or CPU, how much memory it has, and why a GPU can't be used
    torch_import.py   how torch is imported, and which parts of it a process of our own leaves out
    usable_executors.py  which executors can be used here, and what the others lack
    several_devices.py  a model over several devices: what one of them has, and the executor over all
    load_engine.py    which reader and which executor; puts the engine together
    engine_loader.py  the same, later, in another thread or process

It knows every room that an engine is made of; none of them knows it.
"""
