"""The three databases of server_questions.py: a harbour, an observatory, a theatre. The same rows on every machine.

Their subjects are none of those that answers.py or the training rows ask about.
"""

from __future__ import annotations

import datetime
import random
import sqlite3
from collections.abc import Callable

_FIRST_DAY = datetime.date(2024, 1, 1)


def harbour(db: sqlite3.Connection) -> None:
    """Berths, vessels, pilots, and the calls that join them."""
    rng = random.Random(41)
    db.executescript("""
        CREATE TABLE berths (id INTEGER PRIMARY KEY, name TEXT NOT NULL, quay TEXT NOT NULL, length_m INTEGER NOT NULL,
            depth_m REAL NOT NULL, has_crane INTEGER NOT NULL);
        CREATE TABLE vessels (id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, flag TEXT NOT NULL,
            length_m INTEGER NOT NULL, gross_tonnage INTEGER NOT NULL, built INTEGER NOT NULL);
        CREATE TABLE pilots (id INTEGER PRIMARY KEY, name TEXT NOT NULL, licensed_since INTEGER NOT NULL);
        CREATE TABLE port_calls (id INTEGER PRIMARY KEY, vessel_id INTEGER NOT NULL REFERENCES vessels(id),
            berth_id INTEGER NOT NULL REFERENCES berths(id), pilot_id INTEGER NOT NULL REFERENCES pilots(id),
            arrived DATE NOT NULL, cargo TEXT NOT NULL, tonnes INTEGER NOT NULL);
    """)
    quays = ("North", "North", "North", "Fisher", "Fisher", "Coal", "Coal", "Coal", "Ferry", "Ferry")
    berths = [
        (n, f"{quay[0]}{n}", quay, rng.randrange(90, 340, 5), rng.randrange(60, 160) / 10, int(quay in ("Coal", "North")))
        for n, quay in enumerate(quays, 1)
    ]
    names = (
        "Aurelia Maris", "Blue Heron", "Carina", "Duchess of Kent", "Eider", "Fjordlink", "Gannet", "Hekla", "Isolde",
        "Jolanta", "Kestrel Bay", "Lofoten Star", "Marlin", "Nordkapp", "Osprey", "Pelagia", "Queen Astrid", "Rauma",
        "Skagen", "Tern", "Ulva", "Vestland", "Whimbrel", "Zephyr",
    )  # fmt: skip
    kinds = ("bulk carrier", "container ship", "ferry", "tanker", "trawler")
    flags = ("Norway", "Malta", "Panama", "Denmark", "Liberia")
    vessels = [
        (n, name, rng.choice(kinds), rng.choice(flags), rng.randrange(40, 300), rng.randrange(900, 64000),
         rng.randrange(1979, 2024))
        for n, name in enumerate(names, 1)
    ]  # fmt: skip
    pilots = [
        (n, name, rng.randrange(1994, 2021))
        for n, name in enumerate(("Astrid Moen", "Bram Visser", "Chiara Fonda", "Dag Solheim", "Elif Aydin", "Finn Larkin"), 1)
    ]
    cargo = ("grain", "coal", "timber", "crude oil", "fish", "cars", "cement")
    calls = [
        (n, rng.randint(1, len(vessels)), rng.randint(1, len(berths)), rng.randint(1, len(pilots)), _day(rng, 700),
         rng.choice(cargo), rng.randrange(50, 48000, 10))
        for n in range(1, 181)
    ]  # fmt: skip
    _insert(db, berths=berths, vessels=vessels, pilots=pilots, port_calls=calls)


def observatory(db: sqlite3.Connection) -> None:
    """Telescopes, astronomers, targets, and the observations that join them."""
    rng = random.Random(42)
    db.executescript("""
        CREATE TABLE telescopes (id INTEGER PRIMARY KEY, name TEXT NOT NULL, aperture_mm INTEGER NOT NULL, mount TEXT NOT NULL,
            commissioned INTEGER NOT NULL);
        CREATE TABLE astronomers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, institute TEXT NOT NULL, country TEXT NOT NULL);
        CREATE TABLE targets (id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, constellation TEXT NOT NULL,
            magnitude REAL NOT NULL);
        CREATE TABLE observations (id INTEGER PRIMARY KEY, telescope_id INTEGER NOT NULL REFERENCES telescopes(id),
            astronomer_id INTEGER NOT NULL REFERENCES astronomers(id), target_id INTEGER NOT NULL REFERENCES targets(id),
            night DATE NOT NULL, exposure_s INTEGER NOT NULL, seeing REAL NOT NULL);
    """)
    telescopes = [
        (n, name, rng.randrange(200, 2600, 50), rng.choice(("altazimuth", "equatorial")), rng.randrange(1961, 2022))
        for n, name in enumerate(("Argus", "Brahe", "Cyclops", "Dorado", "Herschel Junior", "Old Maud"), 1)
    ]
    people = (
        ("Ines Carvalho", "Lisbon Observatory", "Portugal"), ("Jarek Nowicki", "Torun Institute", "Poland"),
        ("Kofi Mensah", "Accra University", "Ghana"), ("Lucia Ferrante", "Padua Institute", "Italy"),
        ("Mikael Strand", "Lund Observatory", "Sweden"), ("Naoko Ueda", "Kyoto University", "Japan"),
        ("Oren Shalev", "Wise Institute", "Israel"), ("Priya Raman", "Pune Centre", "India"),
    )  # fmt: skip
    constellations = ("Cygnus", "Lyra", "Orion", "Perseus", "Virgo")
    things = (
        "Albireo", "Blinking Planetary", "Cat's Paw", "Double Cluster", "Eskimo", "Flame", "Ghost of Jupiter", "Helix",
        "Iris", "Jewel Box", "Keyhole", "Little Dumbbell", "Medusa", "North America", "Owl", "Pelican", "Rosette", "Saturn",
        "Tarantula", "Veil",
    )  # fmt: skip
    kinds = ("nebula", "double star", "open cluster", "planet", "galaxy")
    targets = [
        (n, name, rng.choice(kinds), rng.choice(constellations), rng.randrange(10, 140) / 10)
        for n, name in enumerate(things, 1)
    ]
    observations = [
        (n, rng.randint(1, len(telescopes)), rng.randint(1, len(people)), rng.randint(1, len(targets)), _day(rng, 500),
         rng.randrange(30, 3600, 30), rng.randrange(6, 40) / 10)
        for n in range(1, 161)
    ]  # fmt: skip
    astronomers = [(n, *person) for n, person in enumerate(people, 1)]
    _insert(db, telescopes=telescopes, astronomers=astronomers, targets=targets, observations=observations)


def theatre(db: sqlite3.Connection) -> None:
    """Venues, productions, actors, who plays what, and the performances."""
    rng = random.Random(43)
    db.executescript("""
        CREATE TABLE venues (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, seats INTEGER NOT NULL);
        CREATE TABLE productions (id INTEGER PRIMARY KEY, title TEXT NOT NULL, playwright TEXT NOT NULL, genre TEXT NOT NULL,
            premiered DATE NOT NULL, running_minutes INTEGER NOT NULL);
        CREATE TABLE actors (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER NOT NULL, agency TEXT NOT NULL);
        CREATE TABLE roles (id INTEGER PRIMARY KEY, production_id INTEGER NOT NULL REFERENCES productions(id),
            actor_id INTEGER NOT NULL REFERENCES actors(id), part TEXT NOT NULL);
        CREATE TABLE performances (id INTEGER PRIMARY KEY, production_id INTEGER NOT NULL REFERENCES productions(id),
            venue_id INTEGER NOT NULL REFERENCES venues(id), played_on DATE NOT NULL, tickets_sold INTEGER NOT NULL,
            ticket_price REAL NOT NULL);
    """)
    houses = {
        "Alhambra": "Leeds", "Boilerhouse": "Bristol", "Corn Exchange": "Exeter", "Dockside": "Hull", "Empire": "Leeds"
    }  # fmt: skip
    venues = [(n, name, city, rng.randrange(120, 1400, 10)) for n, (name, city) in enumerate(houses.items(), 1)]
    titles = (
        ("A Lamp for Ophelia", "R. Tamsin", "tragedy"), ("Bicycle Weather", "N. Osei", "comedy"),
        ("Clockmakers", "R. Tamsin", "drama"), ("Dust and Marmalade", "P. Quill", "comedy"),
        ("Eleven Umbrellas", "V. Hart", "musical"), ("Fathom", "N. Osei", "drama"), ("Goose Fair", "P. Quill", "musical"),
        ("Half a Harlequin", "V. Hart", "comedy"), ("Iron Lullaby", "R. Tamsin", "drama"),
        ("Juniper Street", "L. Abara", "tragedy"),
    )  # fmt: skip
    productions = [(n, *title, _day(rng, 400), rng.randrange(70, 185, 5)) for n, title in enumerate(titles, 1)]
    players = (
        "Abel Thorne", "Bettina Cole", "Cormac Reid", "Dilys Penrose", "Emeka Obi", "Flora Quist", "Gethin Lloyd", "Hana Sato",
        "Ivor Blunt", "Juno Castle", "Kit Marlowe-Jones", "Lena Fisk",
    )  # fmt: skip
    agencies = ("Limelight", "Prompt Side", "Curtain Call")
    actors = [(n, name, rng.randrange(1948, 2004), rng.choice(agencies)) for n, name in enumerate(players, 1)]
    parts = ("the baker", "the judge", "the lodger", "the midwife", "the pilot", "the queen", "the stranger", "the twin")
    roles = [(n, rng.randint(1, len(productions)), rng.randint(1, len(actors)), rng.choice(parts)) for n in range(1, 41)]
    performances = [
        (n, rng.randint(1, len(productions)), rng.randint(1, len(venues)), _day(rng, 640), rng.randrange(40, 1200),
         rng.randrange(80, 480) / 10)
        for n in range(1, 151)
    ]  # fmt: skip
    _insert(db, venues=venues, productions=productions, actors=actors, roles=roles, performances=performances)


def _day(rng: random.Random, within: int) -> str:
    return (_FIRST_DAY + datetime.timedelta(days=rng.randrange(within))).isoformat()


def _insert(db: sqlite3.Connection, **tables: list[tuple[object, ...]]) -> None:
    for name, rows in tables.items():
        db.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    db.commit()


WRITERS: dict[str, Callable[[sqlite3.Connection], None]] = {
    "harbour": harbour,
    "observatory": observatory,
    "theatre": theatre,
}
