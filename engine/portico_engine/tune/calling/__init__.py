"""A model's calls through the engine's own path: prompt, grammar, batch, adapter. For evaluation and for rollouts.

task.py         a question with its tools, its grammar and the calls that are right
caller.py       what the engine answers, many questions at a time
scoring.py      how right an answer is
figures.py      how many of a set are right, with intervals
own_answers.py  answers that were right, and pairs of those that were put right
"""
