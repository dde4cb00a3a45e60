"""Files of training rows: JSON lines in TRL's shapes, each with its tools, origin and licence.

    {"prompt": [...], "completion": [...]}                 supervised
    {"prompt": [...], "chosen": [...], "rejected": [...]}  pairs
    {"prompt": [...], "completion": [...], "label": true}  rated

It owns the form of a line and what is said of one that has another. Whether a row is worth training on, `row_checks` says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from portico_engine.errors import EngineError
from portico_engine.tool import Tool
from portico_engine.tune.data.rows import Row

Prompt = list[dict[str, str]]
_ROLES = ("system", "user", "assistant", "tool")


class BadRowFile(EngineError):
    """A file that holds no rows; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two answers to one prompt, the first of them better."""

    prompt: Prompt
    chosen: str
    rejected: str
    origin: str
    licence: str
    tools: tuple[Tool, ...] = ()

    @property
    def question(self) -> str:
        """What a person said."""
        return self.prompt[-1]["content"] if self.prompt else ""


@dataclass(frozen=True, slots=True)
class RatedRow:
    """An answer, and whether it was good."""

    prompt: Prompt
    completion: str
    good: bool
    origin: str
    licence: str
    tools: tuple[Tool, ...] = ()

    @property
    def question(self) -> str:
        """What a person said."""
        return self.prompt[-1]["content"] if self.prompt else ""


AnyRow: TypeAlias = Row | PairRow | RatedRow


def write_rows(path: Path, rows: Iterable[AnyRow]) -> int:
    """A line each; how many. The file is there whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(_line(row), ensure_ascii=False, separators=(",", ":")) for row in rows]
    new = path.with_name(f"{path.name}.new")
    new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    new.replace(path)
    return len(lines)


def read_rows(path: Path) -> list[AnyRow]:
    """Raises BadRowFile naming the first line that is none, and what a line must be."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRowFile(f"{path} can't be read: {error}") from None
    rows = list(_rows(path, text))
    if not rows:
        raise BadRowFile(f"{path} holds no rows")
    return rows


def _rows(path: Path, text: str) -> Iterator[AnyRow]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield _row(json.loads(line))
        except RecursionError:
            raise BadRowFile(f"{path}, line {number}: it nests too deeply") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise BadRowFile(
                f"{path}, line {number}: {what}; a line is JSON with prompt and completion, or chosen and rejected, "
                "messages with role and content"
            ) from None


def _row(said: dict[str, Any]) -> AnyRow:
    if not isinstance(said, dict):
        raise TypeError("it is no object")
    prompt = _messages(said["prompt"])
    about = (str(said.get("origin", "")), str(said.get("licence", "")))
    tools = tuple(_tool(one) for one in said.get("tools") or ())
    if "chosen" in said:
        return PairRow(prompt, _answer(said["chosen"]), _answer(said["rejected"]), *about, tools)
    answer = _answer(said["completion"])
    if "label" in said:
        if not isinstance(said["label"], bool):
            raise TypeError("label is neither true nor false")
        return RatedRow(prompt, answer, said["label"], *about, tools)
    return Row(prompt, answer, *about, str(said.get("given", "")), tools)


def _messages(said: Any) -> Prompt:
    found = [{"role": one["role"], "content": one["content"]} for one in said]
    wrong = [one for one in found if one["role"] not in _ROLES or not isinstance(one["content"], str)]
    if wrong:
        raise ValueError(f"a message has the role {wrong[0]['role']!r} and {type(wrong[0]['content']).__name__} as content")
    return found


def _answer(said: Any) -> str:
    messages = _messages([{"role": "assistant", "content": said}] if isinstance(said, str) else said)
    if len(messages) != 1:
        raise ValueError(f"an answer has {len(messages)} messages, and must have one")
    return messages[0]["content"]


def _tool(said: Any) -> Tool:
    function = said.get("function", said)
    schema = function.get("parameters") or {}
    return Tool(str(function["name"]), str(function.get("description") or ""), {"type": "object", "properties": {}} | schema)


def _line(row: AnyRow) -> dict[str, Any]:
    match row:
        case PairRow():
            answers: dict[str, Any] = {"chosen": _said(row.chosen), "rejected": _said(row.rejected)}
        case RatedRow():
            answers = {"completion": _said(row.completion), "label": row.good}
        case Row():
            answers = {"completion": _said(row.completion)} | ({"given": row.given} if row.given else {})
    tools = [_function(tool) for tool in row.tools]
    return {"prompt": row.prompt, **answers, "tools": tools, "origin": row.origin, "licence": row.licence}


def _said(text: str) -> Sequence[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _function(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}
