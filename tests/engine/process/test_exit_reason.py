from __future__ import annotations

from pathlib import Path

import pytest

from portico_engine.executors.ranks.rank_watch import RANKS_LOST
from portico_engine.process import exit_reason as ending


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "ended with exit code 1"),
        (
            RANKS_LOST,
            "ended with those of the other devices that the model is spread over, one of which ended or did not "
            "answer (the log says which)",
        ),
        (-11, "crashed (signal 11: segmentation fault)"),
        (-6, "crashed (signal 6: aborted by a native library)"),
        (-10, "crashed (signal 10)"),
        (-15, "was told to end by another process (signal 15)"),
        (-9, "was killed (signal 9), as the system does where memory runs out"),
    ],
)
def test_an_end_is_told_in_words(code: int, said: str) -> None:
    assert ending.describe_exit(code, None) == f"the engine's process {said}"


@pytest.mark.parametrize(
    ("kills", "said"), [(4, "by the system because memory ran out"), (3, "as the system does where memory runs out")]
)
def test_the_kernels_count_tells_whether_memory_ran_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int, said: str
) -> None:
    monkeypatch.setattr(ending, "_VMSTAT", tmp_path / "vmstat")
    (tmp_path / "vmstat").write_text(f"nr_free_pages 9\noom_kill {kills}\n")
    assert ending.memory_kills() == kills
    assert said in ending.describe_exit(-9, kills_before=3)


def test_where_the_kernel_does_not_count_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_VMSTAT", tmp_path / "none")
    assert ending.memory_kills() is None
