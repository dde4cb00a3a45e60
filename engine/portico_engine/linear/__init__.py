"""Linear layers: y = x W^T (+ b), with W in bfloat16 or quantized, on a CPU or a GPU.

    protocol.py        Linear: what a decoder asks of each of its matrices
    int4.py            a quantized matrix as a sum of 4-bit ones, which torch's CPU product takes
    cpu_codes.py       a few rows at a time from codes, by the CPU's kernels or by torch's product
    dense_product.py   the product with a bfloat16 matrix, in float32 where a CPU lacks instructions for bfloat16
    cpu_linear.py      bfloat16, and codes for a few rows at a time
    cuda_linear.py     bfloat16 by cuBLAS, quantized matrices by the kernels
    cuda_float8.py     float8 by the tensor cores, activations too
    cuda_experts.py    the matrices of a mixture, each pair of a token and an expert with that expert's
    lora.py            low-rank adapters beside a linear layer, each token with its own or none

They choose by the number of rows what a product is computed with. They know neither decoders nor files.
"""
