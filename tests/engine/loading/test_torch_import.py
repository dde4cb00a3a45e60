"""What a process of our own leaves out of torch, and that it is there when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAN = "from portico_engine import lean_torch\nlean_torch()\nimport sys, torch\n"


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_lean_torch_computes_without_its_compiler_s_registrations() -> None:
    code = LEAN + (
        "product = torch.ones(2, 3, dtype=torch.bfloat16) @ torch.ones(3, 2, dtype=torch.bfloat16)\n"
        "left = [n for n in ('torch._decomp', 'torch._refs', 'torch.utils.data.dataloader', 'torch.export.exported_program')"
        " if n in sys.modules]\n"
        "print(product.sum().item(), left)"
    )

    assert run(code) == "12.0 []"


@pytest.mark.parametrize("used", ["torch.Generator()", "torch.manual_seed(1); torch.randn(2)", "torch.get_rng_state()"])
def test_a_lean_torch_has_random_numbers(used: str) -> None:
    assert run(LEAN + used + "; print('drawn')") == "drawn"


@pytest.mark.parametrize(
    ("used", "shown"),
    [
        ("print(torch.distributions.Normal(0.0, 1.0).mean.item())", "0.0"),
        ("from torch.utils.data import DataLoader; print([b.tolist() for b in DataLoader([1, 2], batch_size=2)])", "[[1, 2]]"),
        ("import torch.utils.data.sampler as s; print(s.Sampler.__name__)", "Sampler"),
        ("import torch.export.decomp_utils; print(torch.export.export.__name__)", "export"),
        ("print(torch.masked.masked_tensor.__name__)", "masked_tensor"),
        ("print(torch._meta_registrations.torch is torch, 'torch._decomp' in sys.modules)", "True True"),
    ],
)
def test_a_part_that_was_left_out_is_there_when_it_is_used(used: str, shown: str) -> None:
    assert run(LEAN + used) == shown


def test_a_name_that_a_part_does_not_have_is_an_attribute_error() -> None:
    assert run(LEAN + "print(hasattr(torch.distributions, 'NoSuchThing'))") == "False"


def test_torch_is_whole_where_nobody_asked_for_less() -> None:
    code = "from portico_engine.loading.torch_import import import_torch\nimport sys\nimport_torch()\n"

    assert run(code + "print('torch._decomp' in sys.modules)") == "True"


def test_torch_is_whole_on_a_machine_with_an_nvidia_gpu() -> None:
    code = (
        "import portico_engine.loading.torch_import as t\nt.has_nvidia_gpu = lambda: True\n"
        "t.lean_torch()\nimport sys, torch\nprint('torch._decomp' in sys.modules)"
    )

    assert run(code) == "True"
