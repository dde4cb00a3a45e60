"""Adapters of one's own: data, training, export. Nothing else imports it; training needs the extra `tune`.

data/         questions with their calls, from many sources, to rows in the shapes that TRL takes
rendering.py  rows to token ids, exactly as `serve` and `ask` render them, and which of them are the assistant's
sft/          supervised training of a LoRA adapter
export/       adapters as PEFT and llama.cpp read them
"""
