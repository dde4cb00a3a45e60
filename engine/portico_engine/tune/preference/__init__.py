"""Training on preferences: which of two answers is better, or whether one is good. It comes after supervised training.

losses.py      DPO, IPO and KTO, from their papers
answers.py     pairs and rated answers as tokens
train.py       a run of one of them, from a trained adapter, which is also the reference
beta_sweep.py  which beta: three are tried on rows that are not trained on
"""
