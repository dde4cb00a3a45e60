"""Products with a model's matrices on a GPU: bfloat16 by cuBLAS, and 4-bit by a Triton kernel for one row.

It owns the choice between the two by the number of rows. It knows neither layers nor files.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.kernels.four_bit import four_bit_product
from portico_engine.weights.linear import Codes, Linear


class CudaLinear(Linear):
    """`Linear` on a GPU. A format that takes two passes is left to bfloat16."""

    __slots__ = ("_packed", "_scales")

    def __init__(self, weight: Tensor, bias: Tensor | None = None, int4: Iterable[Codes] = ()) -> None:
        super().__init__(weight, bias)
        passes = tuple(int4)
        self._packed: Tensor | None = None
        self._scales: Tensor | None = None
        if len(passes) == 1:
            self._packed, self._scales = pack(passes[0])

    @property
    def has_int4(self) -> bool:
        return self._packed is not None

    @property
    def n_bytes(self) -> int:
        tensors = [self.weight, self._packed, self._scales]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)

    def read_bytes(self, n_rows: int) -> int:
        """Bytes of the copy that a product with so many rows reads."""
        return self.n_bytes - self.weight.nbytes if self._takes_int4(n_rows) else self.weight.nbytes

    def _takes_int4(self, n_rows: int) -> bool:
        return self._packed is not None and n_rows == 1

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed is None or self._scales is None or x.shape[0] > 1:
            return F.linear(x, self.weight, self.bias)
        return four_bit_product(x, self._packed, self._scales, self.bias)


def pack(part: Codes) -> tuple[Tensor, Tensor]:
    """Codes and scales as `kernels.reference.four_bit_product` takes them."""
    codes = part.codes.view(part.codes.shape[0], -1, 2, 16)
    packed = codes[:, :, 0] | codes[:, :, 1] << 4
    scale, offset = part.scales.float().transpose(0, 1).unbind(-1)
    return packed.reshape(codes.shape[0], -1), torch.stack([scale, offset - 8 * scale]).to(torch.float16)
