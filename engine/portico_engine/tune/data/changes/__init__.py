"""What is changed in an example, so that a model learns what counts.

renaming.py      the same tool under other names: descriptions and types count
explaining.py    parameters with descriptions, which say how a value is written: in percent, month first, as a code
options.py       optional parameters that nothing in the question is about: they stay away
near_misses.py   a tool that does almost what is asked: no call
noise.py         questions as hurried people type them
"""
