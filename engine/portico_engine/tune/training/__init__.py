"""What all methods of training share: the model with a LoRA adapter in it, batches, and the loop.

base_model.py   a model file's weights in transformers' decoder
low_rank.py     W + (alpha / r) B A in place of each linear layer; over NF4 where the base is quantized
start.py        begin where a trained adapter stands
batches.py      rows of like length together, by a budget of tokens
likelihood.py   log p of rows' answers
loop.py         schedule, checkpoints, resume, what ends a run
loss_plot.py    a run's losses as a picture, in the terminal and as a PNG file
"""
