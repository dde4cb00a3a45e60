"""The torch executors: a decoder over paged KV, on a CPU and on a GPU.

    cpu_executor.py    TorchCPUExecutor: the oracle of every other executor
    cpu_attention.py   paged KV in this machine's memory, and attention over it
    cuda_executor.py   TorchCUDAExecutor: plans in, a step under way while grammars fill masks
    cuda_graphs.py     CUDA graphs of the decoder's layers and of its head, by size
    cuda_batch.py      a batch's addresses, and the block tables that stay on the GPU
    cuda_attention.py  paged KV on the GPU, and attention by kernels
    cuda_step.py       sampling and scoring on the GPU
    host_kv.py         blocks in the host's memory below the GPU's, on a stream of their own
    kv_codec.py        what a block becomes below the device: bfloat16, or 8 bits
    embedding.py       one vector a text, from a pass of its own
    transfer.py        numbers to the GPU and back, without waiting for it
    sampler.py         `portico_engine.sampling` in torch, a batch at a time
    device_faults.py   what torch raises: no memory, a device that is lost, a fault of one plan
    freed_memory.py    what reading a model freed goes back to the operating system
    lora_places.py     the adapters that are loaded, and which tokens have which
    batch.py           where a ragged batch's logits are

The decoder's own arithmetic is `portico_engine.models`'; here is what it attends to and what becomes of its logits.
"""
