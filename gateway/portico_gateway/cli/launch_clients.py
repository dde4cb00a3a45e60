"""How coding agents are told to use the local model: each one's own variables and flags.

What each client reads is from its own documentation, as of November 2026: Codex's configuration reference (`-c KEY=VALUE`,
`model_providers`), Claude Code's environment variables, opencode's OPENCODE_CONFIG_CONTENT. Nothing of a user's files is
changed: all of it holds for the one process that is started. It starts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

NO_KEY = "portico"  # what a client sends where the server wants no key: they all insist on one


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A served model: its server's address, its name there, its context in tokens where it is known, the bearer key."""

    url: str  # http://127.0.0.1:8630
    name: str
    context: int | None = None
    key: str = NO_KEY


@dataclass(frozen=True, slots=True)
class Start:
    """How a client is started: its options before the user's own, variables to set, variables that would lead it elsewhere."""

    arguments: tuple[str, ...] = ()
    set: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """A coding agent: its program, how to get it, and how it is started on a local model."""

    program: str
    title: str
    install: str
    start: Callable[[ServedModel, Mapping[str, str]], Start]


def _codex(model: ServedModel, environ: Mapping[str, str]) -> Start:
    provider = (
        f'{{name = "Portico", base_url = {json.dumps(f"{model.url}/v1")}, wire_api = "responses", env_key = "PORTICO_KEY", '
        "stream_idle_timeout_ms = 3600000}"
    )
    settings = {
        "model_provider": '"portico"',
        "model_providers.portico": provider,
        "model": json.dumps(model.name),
        "web_search": '"disabled"',  # it would be searched elsewhere
        "features.plugins": "false",  # their catalog is fetched from elsewhere at each start
        "analytics.enabled": "false",
        "check_for_update_on_startup": "false",
    }
    if model.context is not None:
        settings["model_context_window"] = str(model.context)
    flags = tuple(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
    return Start(flags, {"PORTICO_KEY": model.key})


def _claude(model: ServedModel, environ: Mapping[str, str]) -> Start:
    window = {} if model.context is None else {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(model.context)}
    tiers = ("ANTHROPIC_MODEL", *(f"ANTHROPIC_DEFAULT_{tier}_MODEL" for tier in ("OPUS", "SONNET", "HAIKU")))
    return Start(
        (),
        {
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_AUTH_TOKEN": model.key,
            **dict.fromkeys((*tiers, "CLAUDE_CODE_SUBAGENT_MODEL"), model.name),
            **window,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",  # a label in the prompt, for whoever bills
            "API_TIMEOUT_MS": "3600000",  # a local model may take long to read a long prompt
        },
        (
            "ANTHROPIC_API_KEY", "ANTHROPIC_SMALL_FAST_MODEL", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_API_BASE_URL",
            "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY",
        ),
    )  # fmt: skip


def _opencode(model: ServedModel, environ: Mapping[str, str]) -> Start:
    about: dict[str, object] = {"name": model.name}
    if model.context is not None:
        about["limit"] = {"context": model.context, "output": max(1, model.context // 4)}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Portico",
        "options": {"baseURL": f"{model.url}/v1", "apiKey": "{env:PORTICO_KEY}"},
        "models": {model.name: about},
    }
    config = {
        **_given_config(environ),
        "provider": {"portico": provider},
        "enabled_providers": ["portico"],
        "model": f"portico/{model.name}",
        "small_model": f"portico/{model.name}",
        "share": "disabled",
        "autoupdate": False,
    }
    variables = {"OPENCODE_CONFIG_CONTENT": json.dumps(config), "PORTICO_KEY": model.key}
    return Start((), {**variables, "OPENCODE_DISABLE_MODELS_FETCH": "1"})  # the catalog of other providers' models


def _given_config(environ: Mapping[str, str]) -> dict[str, object]:
    """What the user gives opencode in the same variable already; nothing where that is no JSON object."""
    try:
        given = json.loads(environ.get("OPENCODE_CONFIG_CONTENT", "{}"))
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


CLIENTS = {
    "codex": Client("codex", "Codex", "npm install -g @openai/codex", _codex),
    "claude": Client("claude", "Claude Code", "npm install -g @anthropic-ai/claude-code", _claude),
    "opencode": Client("opencode", "opencode", "npm install -g opencode-ai", _opencode),
}


def client_environ(start: Start, environ: Mapping[str, str]) -> dict[str, str]:
    """The client's environment: the user's own, but for what `start` sets and takes away."""
    return {**{name: value for name, value in environ.items() if name not in start.unset}, **start.set}
