"""What a question asks, read from its own words, before anything is called.

    elliptical_question.py  one that only makes sense after the last one, completed by it
    spoken_values.py        the values that a question says, which such a one may change
    plan.py                 one of several parts, taken apart
    answer_type.py          what kind of thing answers it

It knows no tool and no result.
"""
