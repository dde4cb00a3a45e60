"""Optional parameters that a question says nothing of: what has no evidence stays out of a call.

It owns a list of what tools commonly offer beside their purpose. A parameter is added only where no word of the question could
be meant for it.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from portico_engine.tool import Tool


class _Option(NamedTuple):
    name: str
    schema: dict[str, Any]
    said_by: str  # words that would be evidence for it, separated by blanks


def _text(about: str, default: str | None = None) -> dict[str, Any]:
    return {"type": "string", "description": about} | ({"default": default} if default is not None else {})


def _choice(about: str, *values: str) -> dict[str, Any]:
    return {"type": "string", "description": about, "enum": list(values)}


def _whole(about: str, default: int | None = None) -> dict[str, Any]:
    return {"type": "integer", "description": about} | ({"default": default} if default is not None else {})


def _flag(about: str, default: bool | None = None) -> dict[str, Any]:
    return {"type": "boolean", "description": about} | ({"default": default} if default is not None else {})


_OPTIONS = (
    _Option(
        "language",
        _text("Language of the answer, as an ISO 639-1 code. Default is 'en'."),
        "in english german french language spanish",
    ),
    _Option("lang", _choice("The language to answer in.", "en", "de", "fr", "es"), "english german french language spanish"),
    _Option(
        "units",
        _choice("Units of measurement. Defaults to 'metric'.", "metric", "imperial"),
        "metric imperial celsius fahrenheit units",
    ),
    _Option(
        "unit", _choice("Unit of the result.", "seconds", "minutes", "hours"), "seconds minutes hours unit second minute hour"
    ),
    _Option("unit_system", _text("Which unit system to use", "si"), "units unit"),
    _Option("format", _choice("Format of the output. Default: json", "json", "xml", "csv"), "json xml csv format"),
    _Option("output_format", _text("The format of the output (default is 'text')."), "format json text csv table"),
    _Option("limit", _whole("Maximum number of results to return. Default is 10."), "first top most limit results # only"),
    _Option("max_results", _whole("The maximum number of results", 20), "first top most results # only"),
    _Option("page", _whole("Page of the results, from 1.", 1), "page next #"),
    _Option("page_size", _whole("Results per page. Optional, default is 25."), "page results #"),
    _Option("offset", _whole("How many results to skip.", 0), "skip after offset #"),
    _Option(
        "sort_by",
        _choice("What to sort by.", "relevance", "date", "popularity"),
        "sort order newest popular latest by relevant",
    ),
    _Option(
        "order",
        _choice("Sort order. Default is ascending.", "asc", "desc"),
        "sort order ascending descending largest smallest first",
    ),
    _Option("verbose", _flag("Whether to print details. Default is false."), "detail details verbose detailed"),
    _Option("detailed", _flag("If true, more details are returned.", False), "detail details detailed full"),
    _Option("timeout", _whole("Seconds to wait before giving up. Default is 30."), "timeout wait within # seconds"),
    _Option("retries", _whole("How often to try again.", 3), "retry again tries times #"),
    _Option("timezone", _text("IANA time zone, for instance 'Europe/Berlin'. Default is UTC."), "timezone zone time utc"),
    _Option(
        "currency",
        _text("Three-letter code of the currency. Default is 'USD'."),
        "dollars euro euros currency usd eur $ € £ gbp",
    ),
    _Option("include_metadata", _flag("Whether to include metadata with the result."), "metadata"),
    _Option("dry_run", _flag("Only show what would be done.", False), "dry test try without"),
    _Option("use_cache", _flag("Take a cached result if there is one.", True), "cache cached fresh"),
    _Option(
        "precision",
        _whole("Number of decimal places in the result. Default is 2."),
        "decimal decimals places digits precision round rounded #",
    ),
    _Option("round_to", _whole("Decimal places to round to", 4), "decimal decimals places digits round rounded #"),
    _Option("api_key", _text("Key of the service. Uses the configured one when absent."), "key"),
    _Option("callback_url", _text("Where to post the result when it is there."), "url http callback notify"),
    _Option("region", _text("Region to restrict the results to, if any."), "region in from near"),
    _Option("country", _text("Country code, such as 'US'. Optional."), "country in from us usa"),
    _Option("category", _text("Only results of this category."), "category kind type"),
    _Option("status", _choice("Status to filter by.", "open", "closed", "all"), "open closed status all active"),
    _Option("start_date", _text("Start of the period, in YYYY-MM-DD format."), "since from after date between last week today"),
    _Option("end_date", _text("End of the period, in YYYY-MM-DD format."), "until to before date between week today"),
    _Option(
        "date", _text("Date for which to look it up (YYYY-MM-DD). Today if not given."), "date today tomorrow on yesterday"
    ),
    _Option("year", _whole("The year to look at. Default is the current one."), "year #"),
    _Option("radius", _whole("Search radius in kilometers", 10), "within radius km miles around near #"),
    _Option(
        "priority",
        _choice("Priority of the request. Default is 'normal'.", "low", "normal", "high"),
        "urgent priority high low important",
    ),
    _Option(
        "tags", {"type": "array", "items": {"type": "string"}, "description": "Tags to attach."}, "tag tags labelled tagged"
    ),
    _Option("notes", _text("Additional notes."), "note notes that remark saying"),
    _Option("user_id", _text("Id of the user on whose behalf it is done."), "user my account id"),
    _Option(
        "filters",
        {"type": "object", "properties": {}, "description": "Further conditions, by field."},
        "where only with filter",
    ),
    _Option(
        "mode", _choice("How to work: 'fast' (default) or 'exact'.", "fast", "exact"), "fast exact quick quickly exactly mode"
    ),
    _Option("method", _text("The method to use. Default is 'auto'."), "method using by with"),
    _Option(
        "gravity", {"type": "number", "description": "Acceleration due to gravity. Default is 9.81 m/s^2."}, "gravity # moon"
    ),
    _Option(
        "tolerance", {"type": "number", "description": "Allowed error of the result.", "default": 0.001}, "error tolerance #"
    ),
    _Option("rating", {"type": "number", "description": "Least rating of the results."}, "rating rated stars best # good"),
    _Option("specific_details", _text("Any specific detail that is of interest."), "detail specific about which"),
)


def _is_said(option: _Option, words: set[str]) -> bool:
    """By a word, or by a form of it: "sorted" is evidence for what "sort" stands for."""
    return any(word == said or (len(said) > 3 and word.startswith(said)) for said in option.said_by.split() for word in words)


def with_unsaid_options(tool: Tool, question: str, rng: random.Random) -> Tool:
    """The tool with one to three optional parameters more, of which the question says nothing."""
    words = set(question.lower().replace("?", " ").replace(".", " ").replace(",", " ").split())
    has_number = any(char.isdigit() for char in question)
    properties = dict(tool.parameters.get("properties") or {})
    known = {part for name in properties for part in name.lower().split("_")}
    for option in rng.sample(_OPTIONS, rng.choice((1, 1, 2, 3))):
        evidence = _is_said(option, words) or ("#" in option.said_by and has_number and rng.random() < 0.6)
        if not evidence and not known & set(option.name.split("_")):
            properties[option.name] = option.schema
            known |= set(option.name.split("_"))
    return Tool(tool.name, tool.description, {**tool.parameters, "properties": properties})
