"""Models from one form on disk to another; the numbers stay what they are, or are quantized.

    to_gguf.py             a Hugging Face folder as one GGUF file
    tokenizer_metadata.py  its tokenizer under GGUF's keys
    metadata_values.py     metadata into a GGUF file
    requantize.py          a GGUF file in another quantization, by llama.cpp

Nothing here loads a model.
"""
