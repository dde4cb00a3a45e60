from __future__ import annotations

from pathlib import Path

import pytest

from portico_engine.executors.protocol import Sizes
from portico_engine.loading.memory_plan import MemoryPlan, scratch_bytes
from portico_engine.models.config import read_config
from portico_engine.weights.gguf_file import GGUFFile

GIB = 1 << 30


def test_what_weights_and_steps_leave_of_the_share_is_for_kv() -> None:
    assert MemoryPlan(free=10 * GIB, share=0.9, weights=2 * GIB, scratch=GIB).for_kv == 6 * GIB
    assert MemoryPlan(free=2 * GIB, share=0.9, weights=2 * GIB, scratch=GIB).for_kv < 0


def test_the_plan_is_one_line() -> None:
    plan = MemoryPlan(free=10 * GIB, share=0.9, weights=2 * GIB, scratch=GIB)
    line = plan.describe(Sizes(1024, 4096, 8), kv_bytes_per_token=GIB // 4096)
    assert (
        line
        == "weights 2.0 GiB, KV 1.0 GiB for 4096 tokens (4.0 contexts of 1024), 1.0 GiB for steps of 8 rows, of 10.0 GiB free"
    )


def test_more_rows_and_longer_steps_take_more(tiny_path: Path) -> None:
    config = read_config(GGUFFile(tiny_path))
    assert scratch_bytes(config, 512, 8) < scratch_bytes(config, 512, 9) < scratch_bytes(config, 1024, 9)


@pytest.mark.parametrize("limit", ["max", "123456"])
def test_a_control_groups_limit_is_the_machines_memory(tmp_path: Path, limit: str) -> None:
    from portico_engine.loading.device import _group_limits

    group = tmp_path / "cgroup" / "box" / "app"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "self").write_text("0::/box/app\n")
    found = list(_group_limits(tmp_path / "self", tmp_path / "cgroup"))
    assert found == ([] if limit == "max" else [123456])
