"""Low-rank adapters (LoRA, Hu et al. 2021): y = W x + (alpha / r) B A x beside a model's own matrices.

    adapter.py           an adapter as a value, as stored and as fitted to a model; what is told of a loaded one
    peft_folder.py       adapter_config.json and adapter_model.safetensors, as PEFT writes them
    gguf_adapter.py      a GGUF file of the type "adapter", as llama.cpp's converter writes it
    fit.py               whether an adapter is for this model, and its rows in the decoder's order
    read_adapter.py      from a path to a fitted adapter, whichever form it has
    default_adapter.py   where the package's own lies
    adapter_registry.py  which are loaded under which names, and who still uses them

The products are `portico_engine.linear.lora`'s. Nothing here knows torch, requests or KV.
"""
