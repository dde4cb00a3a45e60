"""Spoken requests with marked slots: Sonos (Coucke et al. 2018) and NLU-Home (Liu et al. 2019).

Each intent is a tool whose parameters are its slots. Numbers that were spoken become numbers.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from portico_engine.tool import Tool
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.sources.compressed import read_json_xz

_SONOS = ("Sonos NLU benchmark", "CC0-1.0")
_HOME = ("NLU-Evaluation-Data", "CC-BY-4.0")
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_SONOS_TOOLS = {
    "AddToPlaylist": "Add a song, an album or an artist to a playlist.",
    "BookRestaurant": "Book a restaurant.",
    "GetWeather": "Get the weather of a place at a time.",
    "PlayMusic": "Play music.",
    "RateBook": "Rate a book or a series.",
    "SearchCreativeWork": "Find a creative work such as a book, a song, a game or a show.",
    "SearchScreeningEvent": "Find where and when a movie is shown.",
}
_INTEGERS = {"party_size_number", "rating_value", "best_rating", "year"}
_RENAMED = {
    "spatial_relation": None, "current_location": None, "object_select": None, "timeRange": "time", "music_item": "item_type",
    "playlist_owner": None, "entity_name": "title", "condition_description": "condition",
    "condition_temperature": "temperature_feel", "party_size_description": "guests", "party_size_number": "party_size",
    "object_part_of_series_type": None, "object_location_type": "venue_type",
}  # fmt: skip
_HOME_TOOLS = {
    "alarm_set": "Set an alarm.", "alarm_remove": "Remove an alarm.", "alarm_query": "List the alarms that are set.",
    "calendar_set": "Add an event to the calendar.", "calendar_query": "Look up events in the calendar.",
    "calendar_remove": "Delete an event from the calendar.", "weather_query": "Get the weather forecast.",
    "play_music": "Play music.", "play_radio": "Play a radio station.", "play_podcasts": "Play a podcast.",
    "play_audiobook": "Play an audiobook.", "play_game": "Start a game.", "qa_currency": "Compare two currencies.",
    "qa_stock": "Get a company's stock price.", "qa_definition": "Define a word.", "transport_ticket": "Book a ticket.",
    "transport_query": "Look up connections of public transport.", "transport_taxi": "Order a taxi.",
    "transport_traffic": "Get the state of the traffic.", "takeaway_order": "Order takeaway food.",
    "takeaway_query": "Ask whether a place delivers.", "cooking_recipe": "Find a recipe.", "news_query": "Get news on a topic.",
    "email_sendemail": "Send an email.", "email_query": "Look for new emails.", "email_querycontact": "Look up a contact.",
    "email_addcontact": "Add an email address to the contacts.", "social_post": "Post on social media.",
    "social_query": "Read social media.", "lists_createoradd": "Create a list or add to it.", "lists_query": "Read a list.",
    "lists_remove": "Delete a list or an item of it.", "iot_hue_lightchange": "Change the color of the light.",
    "iot_hue_lightoff": "Turn the lights off.", "iot_hue_lightup": "Make the lights brighter.",
    "iot_hue_lightdim": "Dim the lights.", "iot_cleaning": "Start the vacuum cleaner.", "iot_coffee": "Make coffee.",
    "iot_wemo_off": "Switch a socket off.", "iot_wemo_on": "Switch a socket on.", "audio_volume_up": "Turn the volume up.",
    "audio_volume_mute": "Mute the sound.", "datetime_query": "Tell the date or time at a place.",
    "datetime_convert": "Convert a time between places.", "recommendation_events": "Find events.",
    "recommendation_locations": "Find shops, bars and the like nearby.", "recommendation_movies": "Find movies in cinemas.",
    "general_joke": "Tell a joke.",
}  # fmt: skip


class _Request(NamedTuple):
    intent: str
    text: str
    slots: Sequence[tuple[str, str]]


def sonos_examples(path: Path) -> Iterator[Example]:
    """Requests of seven intents."""
    yield from _examples(list(_sonos(path)), _SONOS_TOOLS, _SONOS)


def home_examples(path: Path) -> Iterator[Example]:
    """Requests to a home assistant."""
    rows = read_json_xz(path)["rasa_nlu_data"]["common_examples"]
    requests = [_Request(r["intent"], r["text"], [(e["entity"], e["value"]) for e in r["entities"]]) for r in rows]
    yield from _examples([request for request in requests if request.intent in _HOME_TOOLS], _HOME_TOOLS, _HOME)


def _sonos(path: Path) -> Iterator[_Request]:
    with tarfile.open(path) as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            file = tar.extractfile(member)
            if file is None or not name.startswith(("train_", "validate_")):
                continue
            for intent, rows in json.loads(file.read().decode("utf-8", "replace")).items():
                for row in rows:
                    text = "".join(part["text"] for part in row["data"])
                    slots = [(part["entity"], part["text"].strip()) for part in row["data"] if "entity" in part]
                    if "�" not in text:
                        yield _Request(intent, " ".join(text.split()), slots)


def _examples(requests: Sequence[_Request], about: Mapping[str, str], origin: tuple[str, str]) -> Iterator[Example]:
    """Slots that a twentieth of an intent's requests have are its tool's parameters; a request with a rarer one is left out."""
    count: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    total: dict[str, int] = defaultdict(int)
    for request in requests:
        total[request.intent] += 1
        for name in dict.fromkeys(name for name, _ in request.slots):
            count[request.intent][name] += 1
    common = {intent: [n for n, k in count[intent].items() if k >= total[intent] / 20] for intent in total}
    tools = {intent: _tool(intent, common[intent], about[intent]) for intent in total}
    for request in requests:
        arguments = _arguments(request, common[request.intent])
        if arguments is not None:
            yield Example(request.text, (Call(tools[request.intent], arguments),), *origin, domain=origin[0])


def _tool(intent: str, slots: Sequence[str], description: str) -> Tool:
    names = {_RENAMED.get(slot, slot): slot for slot in slots}
    properties = {name: {"type": "integer" if slot in _INTEGERS else "string"} for name, slot in names.items() if name}
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", intent).lower()
    return Tool(name, description, {"type": "object", "properties": properties, "required": []})


def _arguments(request: _Request, common: Sequence[str]) -> dict[str, Any] | None:
    arguments: dict[str, Any] = {}
    for slot, text in request.slots:
        name = _RENAMED.get(slot, slot)
        if slot not in common or (name is not None and name in arguments):
            return None
        if name is None:
            continue
        value: Any = text
        if slot in _INTEGERS:
            value = _NUMBERS.index(text.lower()) if text.lower() in _NUMBERS else int(text) if text.isdecimal() else None
            if value is None:
                return None
        arguments[name] = value
    return arguments
