"""An answer from what the calls found.

    candidates.py         every candidate of what was called, weighed
    asked_elsewhere.py    text that only asks the question once more
    companions.py         passages that are printed beside the chosen one
    quotations.py         a choice among candidates: their weights, the grammar
    answer_generation.py  the answer, free or quoted
    constant_values.py    what the value of a constant is that an answer names

What of a result may be an answer, `extraction` says; whether one is given, `judging`.
"""
