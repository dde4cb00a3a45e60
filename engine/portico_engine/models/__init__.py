"""Llama-type decoders: what shape they have, their weights, and the forward pass.

    config.py              the supported architectures, and a decoder's shape from a file's metadata
    decoder_weights.py     what a decoder multiplies with, layer by layer
    weight_loader.py       a file's tensors as those: names, stacking, the rotary permutation
    cpu_weight_loader.py   their form on a CPU
    cuda_weight_loader.py  their form on a GPU
    decoder.py             tokens in, logits out
    decode_layers.py       its layers for a step of few tokens on a GPU, in five kernels each
    cpu_layers.py          the same on a CPU, all of them in one call
    rotary.py              rotary embedding as tables
    rotary_order.py        the order of query and key rows that the decoder has, from a file's
    lora_weights.py        a decoder's weights with room for adapters beside its matrices
    experts.py             mixtures of experts
    latent_attention.py    DeepSeek's attention, from and to its latent vectors

A batch here is ragged tokens with positions: whose they are and where keys and values lie is the executor's, which passes an
`Attention`. A new architecture begins in `config`, and in `portico_engine.weights.hugging_face_config` for its folders.
"""
