"""Records the Inspector's answers anew: `python checks/inspector/record.py`. Look at the diff before you commit it.

Nothing is written unless stdio and HTTP gave the same answers and every tools/list was clean under --strict. Exit code 1 then.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from fixture_calls import calls
from inspector_cli import InspectorMissingError
from replay import Made, answer_file, replay


def main() -> int:
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="portico-fixtures-") as folder:
            made = replay(Path(folder), calls(), _say)
    except InspectorMissingError as missing:
        print(missing, file=sys.stderr)
        return 1
    answers: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    wrong = []
    for one in made:
        known = answers[one.call.server, one.call.era].setdefault(one.call.key, one.answer)
        if known != one.answer:
            wrong.append(f"{one.call}: differs from the other transport's answer")
        if one.reply.code not in (0, 5):
            wrong.append(f"{one.call}: exit code {one.reply.code}: {one.reply.err.strip()[-600:]}")
    print(f"{len(made)} calls in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        return 1
    for (server, era), by_key in answers.items():
        answer_file(server, era).write_text(json.dumps(by_key, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return 0


def _say(made: Made) -> None:
    print(f"{made.reply.code}  {made.call}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
