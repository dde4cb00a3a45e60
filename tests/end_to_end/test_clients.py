"""Agent frameworks, the real packages, complete a task with a tool through the gateway.

They live in an environment of their own (packaging/clients.sh, which `make setup-dev` runs), since some want other versions
than ours; the model's words are scripted behind the same HTTP path, for it is the path that is tested.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attacks.http_server import running
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import Request
from portico_gateway.config.server_spec import UpstreamSpec

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "gateway" / "sample_server.py"
CLIENTS = HERE.parents[1] / ".venv" / "clients"
CALL = '{"name":"calc__add","arguments":{"a":1,"b":2}}'
PACKAGES = {
    "langchain_agent": "langchain_mcp_adapters",
    "pydantic_ai_agent": "pydantic_ai",
    "openai_agents": "agents",
    "litellm_completion": "litellm",
    "llm_chain": "llm",
}


def adds(request: Request) -> list[str]:
    """The call first; then what its result says."""
    prompt = bytes(request.prompt).decode()
    return ["The sum is 3."] if "Result of calc__add:\n" in prompt and prompt.rstrip().endswith("3") else list(CALL)


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    calc = UpstreamSpec("calc", command=sys.executable, args=(str(SAMPLE), "calc"))
    with running(FakeEngine(script=adds, context_length=8000), specs=[calc]) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("script", PACKAGES)
def test_a_framework_calls_a_tool_and_answers_with_its_result(base: str, script: str, tmp_path: Path) -> None:
    python = CLIENTS / "bin" / "python"
    if not list(CLIENTS.glob(f"lib/python3*/site-packages/{PACKAGES[script]}")):
        missing = CLIENTS / ".missing"  # what the registry did not have
        why = missing.read_text() if missing.exists() else "make setup-dev installs it"
        pytest.skip(f"{PACKAGES[script]} is not installed in .venv/clients: {why}")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LLM_USER_PATH": str(tmp_path / "llm")}
    command = [str(python), "-P", str(HERE / "clients" / f"{script}.py"), base]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "FINAL The sum is 3." in done.stdout
