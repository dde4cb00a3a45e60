"""Which call comes next.

    tool_call_generation.py  ranked tools, grammar and guidance: a valid call that the model writes
    reused_call.py           the last conversation's call again, with what changed
    other_searches.py        the whole question to searches, whichever the model has chosen
    things.py                what a result names
    follow_up.py             the call that reads what a result names
    constant_lookup.py       the call that follows a value to the constant's definition in another file

It makes none itself, and does not judge what one found.
"""
