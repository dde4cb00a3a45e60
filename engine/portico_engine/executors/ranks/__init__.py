"""One executor over several ranks, each a process with a GPU of its own: the first runs where the engine is, and tells the
others each step.

    rank_executor.py   RankExecutor: the first rank; what the engine drives
    rank_model.py      what each rank loads, and how
    rank_child.py      the others: each runs what it is told
    rank_children.py   starts them, and hears from them
    rank_watch.py      one of them ends, or all wait too long: all end, and it is said why
    messages.py        what they are told, and how it lies on the wire
    rank_store.py      saved blocks, of which each rank has a part

All ranks run the same steps in the same order, so that they meet in each sum. What they compute is `executors.torch`'s, what
each has of a model `parallel`'s.
"""
