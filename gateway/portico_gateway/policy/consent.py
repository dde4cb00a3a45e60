"""What a person is asked before a call that needs consent, and asking it through the host's own dialog.

It owns the question's words and the dialog's fields: each argument may be changed, and the answer may count for a while.
`terminal_consent.py` asks it at a terminal. It knows no policy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import mcp_types

from portico_gateway.caller import AskConsent, AskHost, ConsentAnswer, ConsentRequest, Remember
from portico_gateway.policy.visible_text import by_its_ends, shortened, visible

_MAX_ARGUMENTS = 8000  # characters of all arguments in a question to a person, long texts by their ends
_MAX_FIELD = 2000  # characters of one argument that a dialog can change; a longer one is shown alone
_MAX_FIELDS = 20
REMEMBER = "portico_remember"  # the dialog's fields that are no arguments
CONFIRM = "portico_allow"
SPANS = {"15 minutes": 900.0, "1 hour": 3600.0, "1 day": 86400.0, "30 days": 30 * 86400.0}
_ONCE = "no"
_ANY = "any arguments, "


def consent_question(request: ConsentRequest) -> str:
    """What a person is asked before a call, with all of the arguments that the consent is bound to."""
    asked = visible(f"Allow one call of {request.tool}? ({request.reason})") + f"\nArguments: {_as_text(request.arguments)}"
    marks = "".join(f"\nNote: {visible(mark)}" for mark in request.marks)
    return asked + marks + (f"\nThe changed arguments can't be used: {visible(request.problem)}" if request.problem else "")


def consent_by_elicitation(ask: AskHost) -> AskConsent:
    """Consent through a host's own dialog: accepting it is consent, to what its fields then say; whatever else is none."""

    async def consent(request: ConsentRequest) -> ConsentAnswer:
        schema = {"type": "object", "properties": consent_fields(request)}
        form = mcp_types.ElicitRequestFormParams(message=consent_question(request), requested_schema=schema)
        answer = await ask(mcp_types.ElicitRequest(params=form))
        if not (isinstance(answer, mcp_types.ElicitResult) and answer.action == "accept"):
            return ConsentAnswer(False)
        return read_fields(request, answer.content or {})

    return consent


def consent_fields(request: ConsentRequest) -> dict[str, Any]:
    """The dialog's fields, by name: an argument each, as it is now; objects and lists as JSON. What can't be shown whole in one
    has none, and stays as it is. There is always a field: Codex accepts a form without any by itself where its user lets it do
    whatever it likes, and no person has seen the call then."""
    fields: dict[str, Any] = {}
    given = request.schema.get("properties") if request.schema is not None else None
    properties: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    for name, value in request.arguments.items() if given is not None else ():
        field = _field(value, properties.get(name)) if len(fields) < _MAX_FIELDS else None
        if field is not None and name not in (REMEMBER, CONFIRM):
            fields[name] = {**field, "default": value if _is_plain(value) else _json(value)}
    if request.may_remember:
        spans = [_ONCE, *SPANS, *(f"{_ANY}{span}" for span in SPANS)]
        fields[REMEMBER] = {
            "type": "string",
            "title": "Allow this again without asking, for",
            "enum": spans,
            "default": _ONCE,
        }
    if not fields:
        fields[CONFIRM] = {"type": "string", "title": "Make this call", "enum": ["yes", "no"], "default": "yes"}
    return fields


def read_fields(request: ConsentRequest, content: Mapping[str, Any]) -> ConsentAnswer:
    """What an accepted dialog says. Fields that were not given leave the arguments as they are."""
    changed = dict(request.arguments)
    fields = consent_fields(request)
    if CONFIRM in fields and content.get(CONFIRM) == "no":
        return ConsentAnswer(False)
    for name in fields:
        if name in (REMEMBER, CONFIRM) or name not in content:
            continue
        before, given = request.arguments[name], content[name]
        if not _is_plain(before) and isinstance(given, str):
            try:
                given = json.loads(given)
            except ValueError:
                pass  # the schema says what is wrong with a text here
        if given != before or type(given) is not type(before):
            changed[name] = given
    remember = remembered_span(content.get(REMEMBER)) if request.may_remember else None
    return ConsentAnswer(True, None if changed == dict(request.arguments) else changed, remember)


def remembered_span(chosen: Any) -> Remember | None:
    """ "1 hour" or "any arguments, 1 hour" as what is remembered; None for anything else."""
    if not isinstance(chosen, str):
        return None
    any_arguments = chosen.startswith(_ANY)
    seconds = SPANS.get(chosen.removeprefix(_ANY))
    return None if seconds is None else Remember(seconds, "any" if any_arguments else "exact")


def _field(value: Any, schema: Any) -> dict[str, Any] | None:
    """How a dialog asks for one argument; forms have texts, numbers, truth values and choices alone."""
    given = schema if isinstance(schema, Mapping) else {}
    about = {"title": visible(str(given["title"]))} if isinstance(given.get("title"), str) else {}
    if not _is_plain(value):
        text = _json(value)
        return {**about, "type": "string", "description": "as JSON"} if len(text) <= _MAX_FIELD else None
    if isinstance(value, str) and len(value) > _MAX_FIELD:
        return None
    choices = given.get("enum")
    if isinstance(choices, list) and isinstance(value, str) and value in choices and all(isinstance(c, str) for c in choices):
        return {**about, "type": "string", "enum": choices}
    kind = "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
    return {**about, "type": "integer" if isinstance(value, int) and kind == "number" else kind}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool | int | float)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _as_text(arguments: Any) -> str:
    """The arguments as JSON, in which nothing hides: a long text by its ends, length and digest, in its place; only where the
    places alone are too many, the whole is."""
    text = json.dumps(shortened(arguments), ensure_ascii=False, default=str)
    if len(text) > _MAX_ARGUMENTS:
        text = by_its_ends(json.dumps(arguments, ensure_ascii=False, default=str), _MAX_ARGUMENTS)
    return visible(text)
