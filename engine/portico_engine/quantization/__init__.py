"""Quantized matrices as values: integer codes with a scale, and in some formats an offset, for each group of columns.

    quantized_matrix.py  the value: codes, scales, offsets, and back to float32; rounding of any matrix to 8 bits
    block_formats.py     GGUF's block formats, read into it
    codebook_formats.py  those of them that have codebooks or tables
    packing.py           how Hugging Face checkpoints say that a matrix is packed
    packed_formats.py    those packed matrices, read into it

Plain torch on any device. Nothing here knows files, layers or how a kernel wants codes to lie.
"""
