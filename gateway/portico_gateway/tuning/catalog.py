"""`portico tune catalog`: an adapter for one user's tools, from their lists alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from portico_engine import Tool
from portico_engine.tune.data.rows import Row
from portico_engine.tune.data.tool_questions import Origin
from portico_engine.tune.runs.options import RunOptions
from portico_engine.tune.runs.supervised import run_sft
from portico_gateway.tuning.data_set import FILES, DataSet
from portico_gateway.tuning.judging import rows_to_ask
from portico_gateway.tuning.prompts import TRAINED_ON

_RENAMED = 0.2  # of the rows: these very tools are what is asked about later
_SPOKEN = 0.7  # of them as a person puts them
_LISTED = 0.5  # of them with all the tools, as they are asked later
_EPOCHS = 2.0


def train_catalog(
    tools: Sequence[Tool],
    out: Path,
    *,
    rows: int,
    start: Path | None,
    model: Path,
    base: str,
    device: str,
    minutes: float,
    batch_tokens: int,
    longest: int,
    seed: int,
    say: Callable[[str], None],
    other_words: float = 0.0,
) -> tuple[Path, list[Row]]:
    """The adapter's folder, and the rows that it was not trained on. `other_words`: which share of the questions that are put
    as a person puts them say other words than the descriptions. The same tools and seed make the same rows, so that a run that
    was killed goes on. Raises EngineError.
    """
    made = DataSet()
    shares = {"renamed": _RENAMED, "spoken": _SPOKEN, "listed": _LISTED, "other_words": other_words}
    made.add_tools(tools, Origin("your tools", "yours"), rows, seed=seed, **shares)
    made.check(without=(), small=False)
    for note in made.notes:
        say(note)
    made.write(out / "data")
    data = out / "data" / FILES["sft"]
    say(f"{len(made.supervised)} questions about {len(tools)} tools")
    options = RunOptions(
        data=data, out=out, model=model, base=base, prompts=TRAINED_ON, start=start, device=device, epochs=_EPOCHS,
        batch_tokens=batch_tokens, minutes=minutes, longest=longest, seed=seed, say=say,
    )  # fmt: skip
    return run_sft(options), rows_to_ask(data, everything=False)
