"""How fast a model is on this machine, by executor: `portico bench`.

    workload.py      what is asked: prompts, twelve bounded tools, how much of each in a quick, a usual and a long run
    measurements.py  prefill, decode, constrained calls and the reuse of a prefix, of one engine
    run.py           every executor that can be used here, one after the other, each in a process of its own
    figures.py       what the figures are called, as rows of a table and as bars
    picture.py       the bars as a PNG, where matplotlib is installed

It sees an engine as a client does. What is kept of a run, and what follows from it, is `model/bench_record.py`'s.
"""
