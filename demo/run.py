"""The demo: this repository as code, its pages as docs, a generated shop as database; three questions, one of each kind."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import shop

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = (
    "Where is the KV block freed?",
    "How do I connect Portico to Claude Desktop?",
    "How many orders were cancelled?",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=ROOT / ".demo")
    args = parser.parse_args()
    database = args.workspace / "shop.db"
    print(f"==> sample workspace: code {ROOT}, docs {ROOT}, database {database} ({shop.write(database):,} rows)")
    portico = [sys.executable, "-P", "-m", "portico_gateway"]
    ask = [*portico, "ask", "--root", str(ROOT), "--docs", str(ROOT), "--db", str(database)]
    worst = 0
    for question in QUESTIONS:
        print(f'\n==> portico ask "{question}"', flush=True)
        started = time.perf_counter()
        code = subprocess.run([*ask, question], check=False).returncode
        print(f"==> {time.perf_counter() - started:.1f} s from the command to its end", flush=True)
        worst = max(worst, code)
    subprocess.run([*portico, "background", "stop", str(ROOT)], check=False, capture_output=True)  # it answered the later ones
    return worst


if __name__ == "__main__":
    sys.exit(main())
