"""How Hugging Face checkpoints hold a quantized matrix: which method, in how many bits, over which groups.

It owns the value that says so, which files' readers make and `packed_formats` reads by. It imports no torch.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Method: TypeAlias = Literal["GPTQ", "AWQ", "PACKED", "INT8", "NF4", "FP4", "FP8", "MXFP4", "TRANSPOSED"]
NF4_BLOCK = 64  # weights with one scale, where the file says nothing else


class Packing(NamedTuple):
    """One matrix's. Its arrays are named in `packed_formats`, each method's where it is read."""

    method: Method
    bits: int = 4
    group_size: int = 0  # columns with one scale; 0: a row, or the whole matrix
    block: tuple[int, int] | None = None  # FP8: rows and columns with one scale
    zero_shift: int = 0  # GPTQ's first format stores zero points less one
    symmetric: bool = True
    nested_block: int = 256  # NF4: scales that share one of theirs, and what is added to them all
    nested_offset: float = 0.0

    @property
    def name(self) -> str:
        """As people call it."""
        return {"PACKED": f"INT{self.bits} (compressed-tensors)", "TRANSPOSED": "BF16"}.get(self.method, self.method)

    @property
    def has_codes(self) -> bool:
        """Are its weights integers with scales?"""
        return self.method not in ("FP8", "TRANSPOSED")

    @property
    def bits_per_weight(self) -> float:
        """What a weight takes in the file's form, its share of the scales in it."""
        match self.method:
            case "TRANSPOSED":
                return 16
            case "FP8" | "INT8":
                return 8
            case "MXFP4":
                return 4.25
            case "NF4" | "FP4":
                return 4 + 8 / (self.group_size or NF4_BLOCK)
        zeros = 0 if self.symmetric else self.bits
        return self.bits + ((16 + zeros) / self.group_size if self.group_size else 0)
