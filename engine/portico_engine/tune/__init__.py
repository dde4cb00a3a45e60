"""Adapters of one's own: data, training, evaluation, export. Nothing else of the engine imports it; it needs the extra `tune`.

data/           questions with their calls, from many sources, to rows in the shapes that TRL takes
rendering.py    rows to token ids, exactly as `serve` and `ask` render them, and which of them are the assistant's
training/       the loop, and the model with an adapter in it
sft.py          supervised training of a LoRA adapter
preference/     DPO, IPO and KTO, from a supervised adapter
reinforcement/  a reward model, then GRPO over rollouts under the grammar
calling/        a model's calls through the engine: for evaluation and for rollouts
runs/           a run as a user starts it: from a file of rows to a folder with an adapter and a report
export/         adapters as PEFT and llama.cpp read them
"""
