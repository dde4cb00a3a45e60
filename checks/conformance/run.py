"""The conformance suite of the Model Context Protocol against our servers and both sides of the gateway, on loopback.

`python checks/conformance/run.py [--only code ...]`: both requirement sets, each with its list of expected failures, whose
reasons are in the files. `fixture` is the gateway with fixture_server.py behind it, which has all that the suite asks for, and
whose names renaming_proxy.py keeps as the suite has them; `upstream` is the suite as a server behind the gateway. The suite is
installed in .venv/conformance when missing (8 s, 60 MB), by packaging/conformance/package-lock.json. Exit code 0: nothing
failed but what is expected.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "inspector"))  # its workspace and servers are used here too
sys.path.insert(0, str(HERE.parents[1] / "packaging"))

from fixture_servers import http_servers, portico_serving  # noqa: E402
from fixture_workspace import make_workspace  # noqa: E402
from npm_packages import NODE, install_locked  # noqa: E402
from renaming_proxy import SERVER, free_port, renaming  # noqa: E402

REVISIONS = ("2025-11-25", "2026-07-28")
SERVED = ("code", "docs", "db", "gateway")
TARGETS = (*SERVED, "fixture", "upstream")
_EXPECTED = {"code": "servers", "docs": "servers", "db": "servers"}  # the others' files bear their own names
_TOTAL = re.compile(r"^Total: (\d+) passed, (\d+) failed", re.MULTILINE)
_SECONDS = 240


class Row(NamedTuple):
    """The outcome of one requirement set against one target; `said` is what the suite printed."""

    target: str
    revision: str
    passed: int
    failed: int
    code: int
    said: str


def find_suite() -> Path:
    """The suite's command, installed if need be."""
    return install_locked("conformance", Path(sys.prefix, "conformance")) / "conformance"


def run_clients(command: Path, revision: str, folder: Path) -> Row:
    """What a revision requires of a client, by the gateway's side towards servers: a scenario after the other, since the suite
    would start all of them at once. What it runs without requiring it (`not_scored`) is left out."""
    sets = command.resolve().parents[1] / "requirements"
    scenarios = yaml.safe_load((sets / f"{revision}.yaml").read_text())["client"]
    client = f"{sys.executable} {HERE / 'upstream_client.py'}"
    passed, failed = 0, []
    for scenario in scenarios:
        home = folder / scenario.replace("/", "-")
        home.mkdir(parents=True)
        arguments = ["client", "--command", client, "--scenario", scenario, "--spec-version", revision, "-o", "out"]
        done = _run(command, arguments, home)
        checks = [check for file in home.rglob("checks.json") for check in json.loads(file.read_text())]
        passed += sum(check["status"] == "SUCCESS" for check in checks)
        wrong = [check for check in checks if check["status"] in ("FAILURE", "WARNING")]
        failed += [f"{scenario}: {check['id']}: {check.get('errorMessage')}" for check in wrong]
        if not checks or (done.returncode and not wrong):
            failed.append(f"{scenario}: {_plain(done.stdout + done.stderr)[-500:]}")
    return Row("upstream", revision, passed, len(failed), int(bool(failed)), "\n".join(failed))


def run_suite(command: Path, url: str, target: str, revision: str, folder: Path) -> Row:
    """One requirement set against one server."""
    expected = HERE / f"expected-failures-{_EXPECTED.get(target, target)}-{revision}.yml"
    folder.mkdir()
    arguments = ["server", "--url", url, "--requirements", revision, "--expected-failures", str(expected), "-o", "out"]
    done = _run(command, arguments, folder)
    total = _TOTAL.search(done.stdout)
    passed, failed = (int(total[1]), int(total[2])) if total else (0, 0)
    return Row(target, revision, passed, failed, done.returncode if total else done.returncode or 1, done.stdout + done.stderr)


def _run(command: Path, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_node(), str(command.resolve()), *arguments],
        cwd=folder,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def _plain(said: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", said)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=TARGETS, nargs="+", default=TARGETS, help="these targets")
    parser.add_argument("--revision", choices=REVISIONS, nargs="+", default=REVISIONS, help="these requirement sets")
    chosen = parser.parse_args()
    command = find_suite()
    rows = []
    with tempfile.TemporaryDirectory(prefix="portico-conformance-") as folder:
        home = Path(folder).resolve()
        make_workspace(home)
        (home / "user").mkdir()
        with ExitStack() as stack:
            urls = _urls(stack, home, chosen.only)
            print(f"{'target':10} {'revision':12} {'passed':>7} {'failed':>7}   verdict")
            for target in chosen.only:
                for revision in chosen.revision:
                    place = home / f"{target}-{revision}"
                    if target == "upstream":
                        row = run_clients(command, revision, place)
                    else:
                        row = run_suite(command, urls[target], target, revision, place)
                    rows.append(row)
                    verdict = "only what is expected" if row.code == 0 else "UNEXPECTED, see below"
                    print(f"{row.target:10} {row.revision:12} {row.passed:7} {row.failed:7}   {verdict}", flush=True)
    wrong = [row for row in rows if row.code]
    for row in wrong:
        print(f"\n==> {row.target}, {row.revision}\n{_trouble(row.said)}")
    return 1 if wrong else 0


def _urls(stack: ExitStack, home: Path, targets: Sequence[str]) -> dict[str, str]:
    """Where what is to be asked listens, for as long as `stack` is open."""
    urls = {}
    if set(targets) & set(SERVED):
        config = stack.enter_context(http_servers(home))
        urls = {name: entry["url"] for name, entry in json.loads(config.read_text())["mcpServers"].items()}
    if "fixture" in targets:
        server = {"command": sys.executable, "args": [str(HERE / "fixture_server.py")]}
        (home / "fixture.json").write_text(json.dumps({"mcpServers": {SERVER: server}}))
        gateway = stack.enter_context(portico_serving(["--config", "fixture.json"], home))
        urls["fixture"] = stack.enter_context(renaming(gateway, free_port()))
    return urls


def _trouble(said: str) -> str:
    """What was not expected, or expected and passed; the end of the output where the suite itself failed."""
    plain = _plain(said)
    parts = re.split(r"\n(?=(?:Expected|Unexpected|Stale)\b)", plain)
    wrong = [part.strip() for part in parts if part.startswith(("Unexpected", "Stale"))]
    return "\n".join(wrong) or plain[-2000:].strip()


def _node() -> str:
    return str(NODE / "bin" / "node")


if __name__ == "__main__":
    raise SystemExit(main())
