"""Closing within a budget of tokens: how a text under a grammar ends soonest, so that no answer is cut.

shortest_strings.py  the shortest string of every part of a grammar
derivatives.py       a grammar as an automaton over characters, and a shortest ending from every state
longest_ending.py    the longest of all shortest endings: above it no budget needs looking after
token_table.py       a vocabulary's tokens as characters in a matrix
closing_plan.py      the plan that ends a text in tokens, and the cursor that keeps one request within its budget

It knows the IR and a vocabulary, and no matcher: whichever enforces a grammar may close with it.
"""
