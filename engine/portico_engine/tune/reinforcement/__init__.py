"""Reinforcement: a reward model from pairs, then GRPO with two rewards, its own and the one that a program can check.

reward_model.py  a score for an answer, learned from which of two is better
masks.py         what the grammar allowed at each token of an answer
grpo.py          the policy's run: rollouts through the engine under the grammar, advantages within a group
"""
