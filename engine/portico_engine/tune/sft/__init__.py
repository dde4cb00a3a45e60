"""Supervised training of a LoRA adapter, in plain torch beside transformers' decoder.

low_rank.py     W + (alpha / r) B A in place of each linear layer
base_model.py   a GGUF file's weights in transformers' Llama
batches.py      rows of like length together, by a budget of tokens
train.py        the loop: schedule, checkpoints, resume, what is reported
"""
