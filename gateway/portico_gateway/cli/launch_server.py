"""The `portico serve` behind a client that is launched: one that runs already, or one of its own that ends with the client.

It owns finding it, starting it, waiting for its model, and what is said when that fails. It knows no client.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2

from portico_gateway.cli.launch_clients import NO_KEY, ServedModel
from portico_gateway.config.isolated_python import python_module
from portico_gateway.errors import GatewayError

ANSWER_TIMEOUT = 5.0  # seconds
LOAD_TIMEOUT = 600.0
_POLL = 0.2
_STOP_TIMEOUT = 10.0


class NoLocalModel(GatewayError):
    """There is no model to launch a client on."""


@contextmanager
def local_model(
    url: str, key: str, name: str | None, serve_args: Sequence[str], say: Callable[[str], None]
) -> Iterator[ServedModel]:
    """The model at `url`, or where nothing listens there, that of a `portico serve` which is started for the block.

    `name` is one of the server's models or adapters. Raises NoLocalModel.
    """
    found = _models(url, key)
    if found is not None:
        yield _chosen(_waited(lambda: _models(url, key), url), url, key, name)
        return
    port = _free_port()
    own = f"http://127.0.0.1:{port}"
    say(f"nothing listens on {url}: starting portico serve on port {port} until the client ends")
    process = subprocess.Popen(
        python_module("portico_gateway", "serve", "--port", str(port), *serve_args),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is the client's
    )
    try:
        yield _chosen(_waited(lambda: _models(own, key, starting=True), own, process), own, key, name)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _models(url: str, key: str, *, starting: bool = False) -> list[dict[str, Any]] | None:
    """What `/v1/models` lists; None where nobody listens, or it is only `starting`. Raises NoLocalModel where somebody else
    does."""
    headers = {} if key == NO_KEY else {"Authorization": f"Bearer {key}"}
    try:
        answer = httpx2.get(f"{url}/v1/models", headers=headers, timeout=ANSWER_TIMEOUT)
    except httpx2.ConnectError:
        return None
    except httpx2.HTTPError as error:
        if starting:
            return None
        raise NoLocalModel(f"what listens on {url} does not answer as portico serve does: {error}") from None
    if answer.status_code == 401:
        raise NoLocalModel(f"{url} wants a key: give one of its keys with the scope chat by --key or PORTICO_KEY")
    try:
        data = answer.json()["data"]
        return [model for model in data if isinstance(model["id"], str)]
    except (ValueError, KeyError, TypeError):
        raise NoLocalModel(
            f"what listens on {url} is not portico serve (its /v1/models answered {answer.status_code})"
        ) from None


def _waited(
    ask: Callable[[], list[dict[str, Any]] | None], url: str, process: subprocess.Popen[bytes] | None = None
) -> list[dict[str, Any]]:
    """The models once one is loaded. Raises NoLocalModel where the server ends, has none, or takes too long."""
    deadline = time.monotonic() + LOAD_TIMEOUT
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise NoLocalModel(f"portico serve ended with exit code {process.returncode}; what it said is above")
        found = ask()
        if found is not None and not found:
            raise NoLocalModel(f"{url} serves no model (--no-model); start portico serve with one")
        if found and "context_length" in found[0]:
            return found
        time.sleep(_POLL)
    raise NoLocalModel(f"the model at {url} was not ready after {LOAD_TIMEOUT:.0f} s")


def _chosen(models: list[dict[str, Any]], url: str, key: str, name: str | None) -> ServedModel:
    known = [model["id"] for model in models]
    if name is not None and name not in known:
        raise NoLocalModel(f"{url} serves no model {name!r}; it serves {', '.join(known)}")
    chosen = next(model for model in models if name in (None, model["id"]))
    context = chosen.get("context_length")
    return ServedModel(url, chosen["id"], context if isinstance(context, int) else None, key)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
