"""A small MCP server that starts processes which mean to outlive it: `python daemon_server.py PIDFILE KIND`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

pidfile, kind = Path(sys.argv[1]), sys.argv[2]
SLEEP = [sys.executable, "-c", "import signal,time\nfor n in (1,2,15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(600)"]
FORKS = "import os,sys,time\nif os.fork(): sys.exit()\nos.setsid()\nif os.fork(): sys.exit()\n" + SLEEP[2]

if kind == "child":
    started = [subprocess.Popen(SLEEP).pid]
elif kind == "setsid":
    started = [subprocess.Popen(SLEEP, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).pid]
elif kind == "no_environment":
    started = [subprocess.Popen(SLEEP, start_new_session=True, env={}, stdout=subprocess.DEVNULL).pid]
elif kind == "double_fork":
    subprocess.Popen([sys.executable, "-c", FORKS], stdout=subprocess.DEVNULL).wait()
    started = []
else:
    started = []
pidfile.write_text(json.dumps([os.getpid(), *started]))
if kind == "stubborn":
    import signal

    for number in (1, 2, 15):
        signal.signal(number, signal.SIG_IGN)


def answer(line: str) -> None:
    message = json.loads(line)
    identity, method = message.get("id"), message.get("method")
    if identity is None:
        return
    answered: dict[str, object] = {"jsonrpc": "2.0", "id": identity}
    if method == "initialize":
        version = message["params"]["protocolVersion"]
        info = {"name": "d", "version": "1"}
        answered["result"] = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        answered["result"] = {"tools": []}
    else:
        answered["error"] = {"code": -32601, "message": "no"}
    print(json.dumps(answered), flush=True)


for request in sys.stdin:
    answer(request)
while kind == "stubborn":
    time.sleep(1)
