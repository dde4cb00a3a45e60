"""Tools that do almost what is asked: the same words but for one, which is the one that counts.

It owns which words stand for different things of one kind. A question for the one is no question for the other.
"""

from __future__ import annotations

import random
import re

from portico_engine.tool import Tool
from portico_engine.tune.data.schema_questions import words_of

_KINDS = """
area perimeter volume diagonal centroid | circumference curvature |
restaurant pharmacy hospital gym library museum bank | restaurants pharmacies hospitals gyms libraries museums banks |
weather traffic pollen tide moonphase | forecast archive | flight train ferry bus | flights trains ferries buses |
hotel campsite apartment parking | hotels campsites apartments | boiling freezing melting | book cancel rebook |
create delete archive | add remove | buy sell | encrypt decrypt | encode decode | increase decrease | start stop |
open close | lock unlock | enable disable | upload download | email fax letter | song podcast audiobook |
songs podcasts audiobooks | music radio lighting | movie exhibition lecture | movies exhibitions lectures |
stock bond commodity | recipe allergen | interest tax inflation | loan lease insurance | mortgage pension |
calories vitamins sodium | population gdp climate | capital anthem flag | distance elevation bearing |
route toll parking | temperature humidity pressure | alarm doorbell thermostat | timer stopwatch metronome |
light heating blinds | lights heaters blinds | event invitation | events holidays | table sauna court |
taxi moped bicycle | quadratic cubic linear | triangle hexagon pyramid | circle ellipse cone | rectangle trapezoid |
mean variance skewness | median mode range | correlation autocorrelation | prime perfect square | factorial fibonacci |
matrix polynomial | currency timezone | translate summarize spellcheck | define rhyme | definition pronunciation |
synonyms antonyms rhymes | news weather horoscope | headlines obituaries | product warranty coupon | order refund |
orders refunds | shipment invoice | cart wishlist | price weight stock | user group role | issue milestone release |
branch tag | commit stash | file printer | folder album | repository package | log metric | deploy rollback |
restart suspend | schedule unschedule | reminder bookmark | note poll | contact calendar | call voicemail |
message voicemail | doctor dentist vet | appointment prescription | workout sleep | player referee coach |
team stadium league | match lineup | book magazine map | author publisher | artist venue | concert audition |
genre tempo | gene protein enzyme | element isotope mineral | velocity acceleration momentum | force torque |
energy entropy | voltage capacitance | density viscosity | radius altitude | salary bonus vacation |
budget forecast audit | discount surcharge | tip fine | profit dividend | crime census | law patent | plant fungus |
dog cat parrot | car boat tractor | fuel tyre oil | job internship scholarship | jobs internships scholarships |
course thesis | image audio | video subtitle | text barcode | password certificate | domain mailbox | ping traceroute |
color font | museum aquarium | tree reef
"""  # what has "|" between is of different kinds
_OTHERS: dict[str, list[str]] = {}
for _kind in _KINDS.split("|"):
    for _word in _kind.split():
        _OTHERS.setdefault(_word, []).extend(other for other in _kind.split() if other != _word)


def near_miss(tool: Tool, rng: random.Random) -> Tool | None:
    """The tool for something else. None: nothing in its name has a counterpart."""
    words = [word for word in words_of(tool.name).split() if word in _OTHERS]
    if not words:
        return None
    word = rng.choice(words)
    other = rng.choice(_OTHERS[word])
    about = _replaced(tool.description, word, other)
    if about == tool.description or other in tool.description.lower().split():
        return None
    return Tool(_replaced(tool.name, word, other), about, tool.parameters)


def _replaced(text: str, word: str, other: str) -> str:
    def as_written(match: re.Match[str]) -> str:
        return other.capitalize() if match[0][0].isupper() else other

    return re.sub(re.escape(word), as_written, text, flags=re.IGNORECASE)
