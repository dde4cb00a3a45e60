"""Values of the kinds that specifications name, each with how a person writes it in a question.

It owns the word lists, and the difference between a value (what the call holds) and its surface (what the question says): 0.05
is "5%", 2024-03-07 is "March 7, 2024". It knows no tools.
"""

from __future__ import annotations

import datetime
import random
import string
from collections.abc import Callable
from typing import Any, NamedTuple

from portico_engine.tune.data.word_lists import WORDS


class Stated(NamedTuple):
    """A value, and the text that states it."""

    value: Any
    surface: str


_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty"
).split()
_MONTHS = [datetime.date(2000, month, 1).strftime("%B") for month in range(1, 13)]


def of_kind(kind: str, rng: random.Random) -> Stated:
    """A value of a kind of text or of number. Raises KeyError for a kind that is none."""
    if kind in _MADE:
        return _MADE[kind](rng)
    word = rng.choice(WORDS[kind])
    return Stated(word, word)


def number(low: float, high: float, step: float | None, rng: random.Random, *, whole: bool) -> Stated:
    """Between the bounds, on the steps where there are any."""
    if whole or step is not None:
        step = step or 1
        value = low + step * rng.randint(0, int((high - low) / step))
        value = int(value) if whole or value == int(value) else round(value, 4)
    else:
        value = round(rng.uniform(low, high), rng.choice((0, 0, 1, 1, 2)))
        value = int(value) if value == int(value) else value
    return Stated(value, _number_surface(value, rng))


def _number_surface(value: float, rng: random.Random) -> str:
    if isinstance(value, int):
        if 0 < value <= 20 and rng.random() < 0.15:
            return _SMALL[value]
        if value >= 1000 and value % 1000 == 0 and rng.random() < 0.2:
            return f"{value // 1000}k"
        if value >= 10_000 and rng.random() < 0.5:
            return f"{value:,}"
    return str(value)


def _date(rng: random.Random) -> Stated:
    day = datetime.date(2019, 1, 1) + datetime.timedelta(days=rng.randrange(2600))
    month = _MONTHS[day.month - 1]
    ordinal = f"{day.day}{'th' if 10 <= day.day <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day.day % 10, 'th')}"
    said = rng.choice(
        (
            day.isoformat(),
            day.isoformat(),
            f"{month} {day.day}, {day.year}",
            f"{month} {ordinal}, {day.year}",
            f"{day.day} {month} {day.year}",
            f"the {ordinal} of {month} {day.year}",
            f"{month[:3]} {day.day} {day.year}",
        )
    )
    return Stated(day.isoformat(), said)


def _clock(rng: random.Random) -> Stated:
    hour, minute = rng.randrange(6, 23), rng.choice((0, 0, 0, 15, 30, 45, rng.randrange(60)))
    half, of_twelve = ("am" if hour < 12 else "pm"), (hour - 1) % 12 + 1
    said = [f"{hour:02d}:{minute:02d}", f"{of_twelve}:{minute:02d} {half}", f"{of_twelve}:{minute:02d}{half}"]
    if minute == 0:
        said += [f"{of_twelve}{half}", f"{of_twelve} {half}"]
    return Stated(f"{hour:02d}:{minute:02d}", rng.choice(said))


def _share(rng: random.Random) -> Stated:
    percent = rng.choice((rng.randrange(1, 30), rng.randrange(1, 60) / 4, rng.choice((5, 10, 15, 20, 25, 50))))
    percent = int(percent) if percent == int(percent) else percent
    value = round(percent / 100, 6)
    return Stated(value, rng.choice((f"{percent}%", f"{percent}%", f"{percent} percent", str(value))))


def _percent(rng: random.Random) -> Stated:
    value = rng.choice((rng.randrange(1, 15), rng.randrange(4, 60) / 4, round(rng.uniform(1, 12), 2)))
    value = int(value) if value == int(value) else value
    return Stated(value, rng.choice((f"{value}%", f"{value} percent", f"{value}%")))


def _decimal(low: float, high: float, places: int) -> Callable[[random.Random], Stated]:
    def make(rng: random.Random) -> Stated:
        value = round(rng.uniform(low, high), places)
        return Stated(value, str(value))

    return make


def _id(rng: random.Random) -> Stated:
    letters, digits = string.ascii_uppercase, string.digits
    shapes = (
        lambda: "".join(rng.choices(letters, k=3)) + "-" + "".join(rng.choices(digits, k=rng.randint(3, 6))),
        lambda: "".join(rng.choices(digits, k=rng.randint(5, 10))),
        lambda: "".join(rng.choices(letters + digits, k=rng.randint(6, 12))),
        lambda: "".join(rng.choices(string.ascii_lowercase + digits, k=8)),
        lambda: rng.choice(("ORD", "EV", "INV", "CASE", "usr", "item")) + rng.choice("-_") + "".join(rng.choices(digits, k=4)),
    )
    made = rng.choice(shapes)()
    return Stated(made, made)


def _person(rng: random.Random) -> Stated:
    name = rng.choice(WORDS["first_name"])
    name = name if rng.random() < 0.25 else f"{name} {rng.choice(WORDS['last_name'])}"
    return Stated(name, name)


def _email(rng: random.Random) -> Stated:
    name = f"{rng.choice(WORDS['first_name'])}{rng.choice(('.', '_', ''))}{rng.choice(WORDS['last_name'])}".lower()
    address = f"{name}@{rng.choice(('example.com', 'mail.example.org', 'acme.test', 'corp.example.net'))}"
    return Stated(address, address)


def _phone(rng: random.Random) -> Stated:
    digits = "".join(rng.choices(string.digits, k=7))
    made = rng.choice((f"+1 555 {digits[:3]} {digits[3:]}", f"555-{digits[:3]}-{digits[3:]}", f"+49 30 {digits}"))
    return Stated(made, made)


def _zip(rng: random.Random) -> Stated:
    made = "".join(rng.choices(string.digits, k=5))
    return Stated(made, made)


def _address(rng: random.Random) -> Stated:
    made = f"{rng.randrange(1, 980)} {rng.choice(WORDS['street'])}"
    made = made if rng.random() < 0.5 else f"{made}, {rng.choice(WORDS['city'])}"
    return Stated(made, made)


def _path(rng: random.Random) -> Stated:
    stem = rng.choice(WORDS["folder"]).rstrip("/") + "/" if rng.random() < 0.7 else ""
    made = f"{stem}{rng.choice(WORDS['file_stem'])}.{rng.choice(('py', 'md', 'txt', 'csv', 'json', 'toml', 'log', 'js'))}"
    return Stated(made, made)


def _image(rng: random.Random) -> Stated:
    made = f"{rng.choice(WORDS['file_stem'])}.{rng.choice(('png', 'jpg', 'webp'))}"
    return Stated(made, made)


def _url(rng: random.Random) -> Stated:
    host = rng.choice(("example.com", "api.example.org", "docs.example.net", "shop.example.com", "localhost:8080"))
    made = f"http{'s' if 'local' not in host else ''}://{host}/{rng.choice(WORDS['file_stem'])}"
    return Stated(made, made)


def _repo(rng: random.Random) -> Stated:
    made = f"{rng.choice(WORDS['user'])}/{rng.choice(WORDS['service'])}"
    return Stated(made, made)


def _quoted(list_name: str) -> Callable[[random.Random], Stated]:
    """Text that a question gives word for word, mostly in quotes."""

    def make(rng: random.Random) -> Stated:
        text = rng.choice(WORDS[list_name])
        mark = rng.choice(('"{}"', '"{}"', "'{}'", "“{}”"))
        return Stated(text, mark.format(text))

    return make


def _degrees(most: float, letters: str) -> Callable[[random.Random], Stated]:
    """North and east are positive."""

    def make(rng: random.Random) -> Stated:
        value = round(rng.uniform(-most, most), 4)
        letter = letters[value < 0]
        return Stated(value, rng.choice((str(value), str(value), f"{abs(value)}° {letter}", f"{abs(value)} {letter}")))

    return make


def _expression(rng: random.Random) -> Stated:
    """A function of x as Python writes it; people write powers with a hat."""
    terms = []
    for power in sorted(rng.sample(range(4), rng.choice((1, 2, 2, 3))), reverse=True):
        factor = rng.choice((1, 1, 2, 3, 4, 5, 7))
        x = "" if power == 0 else "x" if power == 1 else f"x**{power}"
        terms.append(str(factor) if not x else x if factor == 1 else f"{factor}{rng.choice(('', '*'))}{x}")
    made = rng.choice(("{} + {}", "{} - {}")).format(terms[0], terms[1]) if len(terms) == 2 else " + ".join(terms)
    return Stated(
        made, rng.choice(("{}", "{}", "y = {}", "f(x) = {}")).format(made.replace("**", rng.choice(("^", "^", "^", "**"))))
    )


def _people(rng: random.Random) -> Stated:
    """Large counts, in words of their size."""
    value = rng.choice(
        (
            rng.randrange(1, 900) * 1_000_000,
            rng.randrange(11, 99) * 100_000,
            rng.randrange(2, 90) * 1000,
            rng.randrange(10, 80) * 100_000_000,
        )
    )
    said = [f"{value:,}", str(value)]
    for size, word in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if value >= size:
            said += [f"{value / size:g} {word}"] * 2
            break
    return Stated(value, rng.choice(said))


_MADE: dict[str, Callable[[random.Random], Stated]] = {
    "date": _date,
    "clock": _clock,
    "rate": _share,
    "percent": _percent,
    "height": _decimal(1.45, 2.05, 2),
    "gravity": lambda rng: (lambda v: Stated(v, str(v)))(rng.choice((9.81, 9.8, 1.62, 3.71, 24.79))),
    "current": _decimal(0.1, 20, 1),
    "lr": lambda rng: (lambda v: Stated(v, str(v)))(rng.choice((0.1, 0.01, 0.001, 0.005, 0.0005, 0.02, 0.003))),
    "lat": _degrees(70, "NS"),
    "lon": _degrees(170, "EW"),
    "expression": _expression,
    "people": _people,
    "id": _id,
    "person": _person,
    "email": _email,
    "phone": _phone,
    "zip": _zip,
    "pin": _zip,
    "address": _address,
    "path": _path,
    "image": _image,
    "url": _url,
    "repo": _repo,
    "quoted_note": _quoted("note"),
    "quoted_label": _quoted("label"),
    "quoted_subject": _quoted("subject"),
    "quoted_event": _quoted("event"),
}
