"""Kernels for NVIDIA GPUs and for CPUs, each beside its plain torch twin: the same arithmetic on any device.

    reference.py         the twins: norms, rotary embedding, SwiGLU, storing keys and values, attention over blocks, argmax
    fused.py             the elementwise ones as Triton kernels
    paged_attention.py   attention of single tokens over paged KV as a Triton kernel
    quantized_layout.py  a quantized matrix in the tiles that the CUDA kernels read, and back
    quantized_matmul.py  products with such matrices, and their rows: choice of kernel, launches
    product_cut.py       how a product is cut into blocks on a GPU of compute capability 9.0
    float8.py            activations in float8 with their scales
    decode_step.py       a decoder layer in five kernels, for a step of few tokens: launches
    sampling.py          the likeliest allowed tokens of logits
    cuda_module.py       CUDA C++ (its sources are in cuda/) compiled by NVRTC when it is first needed
    cpu/                 C++ for CPUs, compiled once for each machine

They know block tables and quantized matrices; they know neither layers nor requests. `fused`, `paged_attention`,
`quantized_matmul`, `product_cut`, `float8`, `decode_step`, `sampling` and `cuda_module` are imported on a GPU only.
"""
