"""One model over several ranks, each a process with a GPU of its own (or a share of the CPU): what a rank has, and what ranks
say to each other while they compute.

    shard.py            Shard: which part of a model is a rank's, tensor by tensor
    sharded_file.py     a model file with that part of each tensor
    packed_shards.py    the same of matrices that are stored as several arrays
    sharded_config.py   the shape of a rank's decoder; which numbers of ranks a model can be split over
    rank_group.py       RankGroup: sums and exchanges between ranks, by NCCL or gloo
    sharded_linear.py   linear layers whose columns, or a vocabulary's rows, lie on several ranks
    sharded_weights.py  a rank's weights with sums where a decoder needs them
    expert_parallel.py  mixtures whose experts lie on several ranks
    sharded_adapter.py  a rank's part of an adapter

Attention is split by heads, a feed-forward by its inner dimension, embedding and head by the vocabulary: each layer then sums
twice over all ranks (Shoeybi et al. 2019, Megatron-LM). Experts are split the same way, or dealt out whole (Lepikhin et al.
2020, GShard). The processes are `executors.ranks`'; nothing here starts any.
"""
