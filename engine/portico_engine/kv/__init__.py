"""Keys and values of what was computed: where they are, who uses them, what of them survives.

    cache.py         KVCache: sequences' block tables over the pool; allocate, reserve, commit, free
    block_table.py   one sequence's blocks
    state_cache.py   StateCache: the same for models whose memory is one state, recurrent ones
    block_pool.py    BlockPool: blocks by state (free, held, cached), and the executor's operations on them
    free_runs.py     free block numbers, as runs of neighbours
    prefix_index.py  which blocks hold which prefixes
    hashing.py       what a block of tokens is called, in every process
    eviction.py      which unreferenced block goes first
    retention.py     prefixes pinned for conversations that wait for something
    below.py         the way up: from the host's memory, else from disk
    host_tier.py     the host's memory below a device's: which slot holds which block
    swap_cost.py     what is cheaper: to bring a block back, or to compute it anew
    tier.py          what goes to disk, and its way there and back
    disk.py          the disk below: one checked file a block
    op_faults.py     a step's operations on blocks, where one of them fails
    offloader.py     when blocks go below: while nothing else runs, and at the end

It knows tokens, positions and block numbers; tensors are the executor's, requests and queues the scheduler's.
"""
