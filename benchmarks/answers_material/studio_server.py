"""A climbing hall's MCP server, made for the questions: JSON objects and lists, plain text, lines, and two tools that change.

`python studio_server.py` serves it over stdio. Its answers are fixed; no question that only asks may lead to `book_hall` or
`cancel_booking`, which refuse in any case.
"""

from __future__ import annotations

import json
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

READS, CHANGES = ToolAnnotations(read_only_hint=True), ToolAnnotations(read_only_hint=False, destructive_hint=True)
_KEYS = ("id", "name", "plan", "validUntil", "paid", "belayCertificate")
MEMBERS = [
    dict(zip(_KEYS, row, strict=True))
    for row in (
        ("M-1001", "Wanda Sato", "yearly", "2026-02-28", True, True),
        ("M-1003", "Nils Okafor", "monthly", "2025-12-31", True, False),
        ("M-1007", "Imran Weiss", "ten visits", "2025-09-30", False, True),
        ("M-1012", "Freya Galli", "yearly", "2026-05-31", True, True),
    )
]
HALLS = {
    "Granite": {"weekdays": "07:00-23:00", "saturday": "09:00-21:00", "sunday": "09:00-20:00"},
    "Quartz": {"weekdays": "12:00-22:00", "saturday": "10:00-20:00", "sunday": "10:00-18:00"},
    "Basalt": {"weekdays": "16:00-22:30", "saturday": "closed", "sunday": "closed"},
}
BOOKINGS = [
    {"number": 501, "hall": "Granite", "day": "2025-06-14", "from": "10:00", "member": "M-1001"},
    {"number": 502, "hall": "Granite", "day": "2025-06-14", "from": "12:00", "member": "M-1007"},
    {"number": 503, "hall": "Granite", "day": "2025-06-14", "from": "17:00", "member": "M-1012"},
    {"number": 504, "hall": "Quartz", "day": "2025-06-15", "from": "11:00", "member": "M-1003"},
]
ROUTES = [
    ("Slow Otter", "Granite", "6b"), ("Tin Roof", "Granite", "6b"), ("Grandmother", "Granite", "4c"),
    ("Left Turn", "Quartz", "5a"), ("Paper Moon", "Quartz", "7a"),
    ("Black Friday", "Basalt", "8a+"), ("Old Rope", "Basalt", "6c"), ("Salt Lick", "Basalt", "5c"),
]  # fmt: skip
STOCK = {"chalk bag": 17, "harness": 6, "climbing shoes": 23, "carabiner": 48, "rope 60 m": 0}
PRICES = {"adult": (16.0, 690.0), "student": (11.5, 480.0), "child": (8.0, 290.0)}
PER_EURO = {"EUR": 1.0, "NOK": 11.7647058824, "USD": 1.1, "CHF": 0.94}
NEWSLETTER = (
    "The boulder cup takes place on 9 November in Quartz; sign up at the desk until 2 November.",
    "A belay certificate takes two evenings with a trainer, on a Tuesday and a Thursday, and costs 35 euros.",
    "New holds arrived in Basalt: the overhang was set anew by Tarik and Elin.",
    "Lost: a blue thermos. Ask for Dagny.",
)

server: MCPServer[Any] = MCPServer("studio", instructions="A climbing hall: members, bookings, routes, shop, newsletter.")


def _name_of(member: str) -> str:
    return next(str(item["name"]) for item in MEMBERS if item["id"] == member)


@server.tool(annotations=READS)
def list_halls() -> list[str]:
    """List the names of all climbing halls."""
    return list(HALLS)


@server.tool(annotations=READS)
def opening_hours(hall: str) -> str:
    """When a hall opens and closes, by day of the week."""
    if hall not in HALLS:
        raise ValueError(f"there is no hall {hall!r}; there are {', '.join(HALLS)}")
    return "\n".join(f"{day}: {hours}" for day, hours in HALLS[hall].items())


@server.tool(annotations=READS)
def find_member(name: str) -> str:
    """Search members by name, or a part of it."""
    found = [item for item in MEMBERS if name.lower() in str(item["name"]).lower()]
    return json.dumps({"matches": found})


@server.tool(annotations=READS)
def get_member(member_id: str) -> str:
    """Get one member by number (like M-1001): plan, whether it is paid, until when it is valid."""
    for item in MEMBERS:
        if item["id"] == member_id:
            return json.dumps(item)
    raise ValueError(f"no member {member_id}")


@server.tool(annotations=READS)
def list_bookings(hall: str, day: str) -> str:
    """Bookings of a hall on a day (YYYY-MM-DD): who, and from when."""
    lines = [
        f"#{b['number']} {b['from']} {_name_of(str(b['member']))}" for b in BOOKINGS if (b["hall"], b["day"]) == (hall, day)
    ]
    return "\n".join(lines) or "no bookings"


@server.tool(annotations=READS)
def bookings_of(member_id: str) -> str:
    """All bookings of one member, by the member's number."""
    return json.dumps([b for b in BOOKINGS if b["member"] == member_id])


@server.tool(annotations=CHANGES)
def book_hall(hall: str, day: str, start: str, member_id: str) -> str:
    """Book a hall for a member."""
    raise ValueError("bookings are closed")


@server.tool(annotations=CHANGES)
def cancel_booking(number: int) -> str:
    """Cancel a booking by its number."""
    raise ValueError("bookings are closed")


@server.tool(annotations=READS)
def list_routes(hall: str, grade: str | None = None) -> str:
    """Climbing routes of a hall with their grades, optionally only those of one grade."""
    found = [{"route": name, "grade": hard} for name, where, hard in ROUTES if where == hall and grade in (None, hard)]
    return json.dumps(found)


@server.tool(annotations=READS)
def stock_level(item: str) -> str:
    """How many pieces of an article the shop has in stock."""
    if item not in STOCK:
        raise ValueError(f"no article {item!r}; there are {', '.join(STOCK)}")
    return f"{STOCK[item]} pieces of {item} in stock"


@server.tool(annotations=READS)
def price_list(category: str) -> dict[str, float]:
    """Prices in euros of a day pass and a yearly pass, for adult, student or child."""
    if category not in PRICES:
        raise ValueError(f"no category {category!r}; there are {', '.join(PRICES)}")
    day, year = PRICES[category]
    return {"dayPass": day, "yearlyPass": year}


@server.tool(annotations=READS)
def convert_currency(amount: float, source: str, target: str) -> str:
    """Convert an amount of money from one currency to another (codes like EUR, NOK, USD, CHF)."""
    if source not in PER_EURO or target not in PER_EURO:
        raise ValueError(f"currencies are {', '.join(PER_EURO)}")
    return f"{amount:g} {source} = {amount / PER_EURO[source] * PER_EURO[target]:.2f} {target}"


@server.tool(annotations=READS)
def search_newsletter(query: str) -> str:
    """Full-text search in the hall's newsletter; returns the matching paragraphs."""
    words = [word for word in query.lower().split() if len(word) > 2]
    found = [text for text in NEWSLETTER if words and all(word in text.lower() for word in words)]
    return "\n\n".join(found) or "nothing found"


if __name__ == "__main__":
    server.run("stdio")
