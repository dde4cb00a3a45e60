"""Schemathesis against every operation of /openapi.json: nothing answers 500, and no status is undocumented.

    python checks/schemathesis/run.py [--max-examples 60] [--seed 1] [--include-path /v1/...]

A real `portico serve` answers, with a tiny random model of the real engine: grammars are enforced and answers are quick;
its state lies in a temporary folder. Schemathesis is installed in .venv/schemathesis when missing (20 s, 70 MB). Exit code 0:
nothing was found.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.engine.tiny_model import write_tiny_llama  # noqa: E402

VERSION = "4.32.5"
CHECKS = "not_a_server_error,status_code_conformance"
CONFIG = "[gateway]\nown_servers = []\n[model]\nkv_disk_gib = 0.0\nguidance = 'off'\n[engine]\nmax_rows = 4\n"


def schemathesis() -> Path:
    """Its command, installed in an environment of its own where it isn't."""
    folder = ROOT / ".venv" / "schemathesis"
    command = folder / "bin" / "st"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", f"schemathesis=={VERSION}"], check=True)
    return command


@contextmanager
def portico(folder: Path) -> Iterator[str]:
    """The address of a server that runs until the end of the block."""
    model = folder / "tiny.gguf"
    write_tiny_llama(model)
    (folder / "portico.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "portico_gateway", "serve", "--port", "0", "--config", str(folder / "portico.toml")]
    command += ["--model", str(model)]
    own = {"PORTICO_LOG_DIR": folder / "logs", "PORTICO_AUDIT_FILE": folder / "audit.db", "XDG_STATE_HOME": folder / "state"}
    environment = {**os.environ, "PORTICO_BACKGROUND_ENABLED": "0", **{name: str(path) for name, path in own.items()}}
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            address = None
            for line in process.stderr:
                if found := re.search(r"OpenAI API on (http://127\.0\.0\.1:\d+)/v1", line):
                    address = found[1]
                if "ready after" in line:
                    break
            if address is None:
                raise SystemExit("portico serve ended before it listened")
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()


def document(address: str, folder: Path) -> Path:
    """The server's own, with the one model that there is for every field `model`: else nearly all requests were for none."""
    with urllib.request.urlopen(f"{address}/openapi.json", timeout=60) as answer:
        found = json.load(answer)
    for schema in found["components"]["schemas"].values():
        if "model" in schema.get("properties", {}):
            schema["properties"]["model"] = {"const": "tiny"}
    path = folder / "openapi.json"
    path.write_text(json.dumps(found))
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-examples", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)  # on Python 3.11 several trip over its own parser
    parser.add_argument("--include-path", action="append", default=[])
    given = parser.parse_args()
    command = schemathesis()
    with tempfile.TemporaryDirectory() as folder, portico(Path(folder)) as address:
        asked = [
            command,
            "run",
            document(address, Path(folder)),
            "--url",
            address,
            "--checks",
            CHECKS,
            "--seed",
            str(given.seed),
        ]
        asked += [
            "--max-examples",
            str(given.max_examples),
            "--request-timeout",
            "60",
            "--no-shrink",
            "--generation-database",
            "none",
        ]
        asked += ["--workers", str(given.workers)]
        for path in given.include_path:
            asked += ["--include-path", path]
        return subprocess.run(asked, check=False, cwd=folder).returncode


if __name__ == "__main__":
    sys.exit(main())
