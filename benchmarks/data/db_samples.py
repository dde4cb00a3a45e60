"""Three small databases of our own: a shop, a music store, an issue tracker. Written anew into a folder, always the same."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

Rows = list[tuple[object, ...]]
Sample = tuple[
    str, Callable[[random.Random], Iterator[tuple[str, Rows]]]
]  # CREATE statements, and what makes each table's rows

SHOP = """
CREATE TABLE customers (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, country TEXT NOT NULL, city TEXT, newsletter BOOLEAN NOT NULL,
  since DATE
);
CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE products (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, category_id INTEGER NOT NULL REFERENCES categories (id),
  price NUMERIC(10, 2) NOT NULL, stock INTEGER NOT NULL
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
  status TEXT NOT NULL CHECK (status IN ('new', 'paid', 'shipped', 'cancelled')), placed_at TEXT NOT NULL, total NUMERIC(10, 2)
);
CREATE TABLE order_items (
  order_id INTEGER NOT NULL REFERENCES orders (id), product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL, unit_price NUMERIC(10, 2) NOT NULL, PRIMARY KEY (order_id, product_id)
);
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE VIEW revenue_by_country AS
  SELECT c.country AS country, SUM(o.total) AS revenue FROM orders AS o JOIN customers AS c ON c.id = o.customer_id
  WHERE o.status IN ('paid', 'shipped') GROUP BY c.country;
"""
MUSIC = """
CREATE TABLE Artist (ArtistId INTEGER PRIMARY KEY, Name NVARCHAR(120), Country NVARCHAR(40));
CREATE TABLE Album (
  AlbumId INTEGER PRIMARY KEY, Title NVARCHAR(160) NOT NULL, ArtistId INTEGER NOT NULL REFERENCES Artist, Year INTEGER
);
CREATE TABLE Genre (GenreId INTEGER PRIMARY KEY, Name NVARCHAR(120));
CREATE TABLE Track (
  TrackId INTEGER PRIMARY KEY, Name NVARCHAR(200) NOT NULL, AlbumId INTEGER REFERENCES Album, GenreId INTEGER REFERENCES Genre,
  Milliseconds INTEGER NOT NULL, UnitPrice NUMERIC(10, 2) NOT NULL, Explicit BOOLEAN
);
"""
TRACKER = """
CREATE TABLE users (id INTEGER PRIMARY KEY, login TEXT NOT NULL UNIQUE, team TEXT, joined DATE);
CREATE TABLE projects (id INTEGER PRIMARY KEY, key TEXT NOT NULL, title TEXT NOT NULL, lead_id INTEGER REFERENCES users (id));
CREATE TABLE issues (
  id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES projects (id), title TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'in progress', 'closed')), priority INTEGER NOT NULL,
  reporter_id INTEGER NOT NULL REFERENCES users (id), assignee_id INTEGER REFERENCES users (id),
  opened DATETIME NOT NULL, closed DATETIME, estimate REAL
);
CREATE TABLE comments (
  id INTEGER PRIMARY KEY, issue_id INTEGER NOT NULL REFERENCES issues (id), author_id INTEGER NOT NULL REFERENCES users (id),
  body TEXT NOT NULL, written DATETIME NOT NULL
);
"""

_FIRST = ["Ada", "Ben", "Chloé", "Dai", "Emil", "Fatou", "Gita", "Hugo", "Ines", "Jonas", "Kaja", "Luca"]
_LAST = ["Moreau", "Nowak", "Okafor", "Peña", "Quist", "Rossi", "Sato", "Türk", "Ueda", "Vogel"]
_COUNTRIES = ["Germany", "France", "Brazil", "Japan", "Norway", "Kenya"]
_STUFFS = ["Oak", "Steel", "Linen", "Cork", "Glass"]
_ARTISTS = [
    "Blue Harbor",
    "Ivory Kites",
    "The Slow Trains",
    "Nordlys",
    "Río Claro",
    "Mono Garden",
    "Paper Wolves",
    "Sunday Static",
]
_CITIES = {
    "Germany": ["Berlin", "Köln"],
    "France": ["Lyon"],
    "Brazil": ["Recife"],
    "Japan": ["Osaka"],
    "Norway": ["Bergen"],
    "Kenya": ["Kisumu"],
}


def moment(rng: random.Random, year: int, *, date_only: bool = False) -> str:
    """A random time of a year, as ISO 8601 text."""
    day = f"{year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    return day if date_only else f"{day} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"


def shop_rows(rng: random.Random) -> Iterator[tuple[str, Rows]]:
    """Customers, products and their orders, two years of them."""
    customers: Rows = []
    for i in range(1, 61):
        country = rng.choice(_COUNTRIES)
        name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
        email = None if rng.random() < 0.2 else f"c{i}@example.org"
        since = moment(rng, rng.choice([2022, 2023]), date_only=True)
        customers.append((i, name, email, country, rng.choice(_CITIES[country]), rng.random() < 0.5, since))
    yield "customers", customers
    yield "categories", [(i, name) for i, name in enumerate(["Lamps", "Chairs", "Desks", "Rugs"], 1)]
    names = [f"{stuff} {kind}" for stuff in _STUFFS for kind in ("One", "Two", "Three", "Four")]
    prices = [rng.randint(500, 60000) / 100 for _ in names]
    stocks = [rng.choice([0, 3, 12, 40]) for _ in names]
    yield "products", [(i, names[i - 1], 1 + i % 4, prices[i - 1], stocks[i - 1]) for i in range(1, len(names) + 1)]
    orders: Rows = []
    items: Rows = []
    for i in range(1, 241):
        bought = [(product, rng.randint(1, 5)) for product in rng.sample(range(1, 21), rng.randint(1, 4))]
        items.extend((i, product, quantity, prices[product - 1]) for product, quantity in bought)
        total = round(sum(prices[product - 1] * quantity for product, quantity in bought), 2)
        status = rng.choice(["new", "paid", "paid", "shipped", "shipped", "cancelled"])
        orders.append((i, rng.randint(1, 60), status, moment(rng, rng.choice([2023, 2024])), total))
    yield "orders", orders
    yield "order_items", items


def music_rows(rng: random.Random) -> Iterator[tuple[str, Rows]]:
    """Artists, albums, tracks; some tracks have no genre."""
    yield "Artist", [(i, name, rng.choice(_COUNTRIES)) for i, name in enumerate(_ARTISTS, 1)]
    albums: Rows = []
    for i in range(1, 31):
        title = (
            f"{rng.choice(['Silent', 'Golden', 'Broken', 'Electric'])} {rng.choice(['Rivers', 'Rooms', 'Mornings', 'Maps'])}"
        )
        albums.append((i, f"{title} {i}", rng.randint(1, 8), rng.randint(1990, 2024)))
    yield "Album", albums
    yield "Genre", [(i, name) for i, name in enumerate(["Rock", "Jazz", "Folk", "Ambient", "Hip Hop"], 1)]
    tracks: Rows = []
    for i in range(1, 301):
        name = f"{rng.choice(['Night', 'Rain', 'Home', 'Signal', 'Dust'])} {rng.choice(['Song', 'Letter', 'Walk', 'Line'])} {i}"
        genre = rng.choice([1, 1, 2, 3, 4, 5, None])
        length, price = rng.randint(90_000, 480_000), rng.choice([0.99, 1.29])
        tracks.append((i, name, rng.randint(1, 30), genre, length, price, rng.random() < 0.2))
    yield "Track", tracks


def tracker_rows(rng: random.Random) -> Iterator[tuple[str, Rows]]:
    """Issues of four projects, two keys from each to users, and comments."""
    logins = ["anna", "bo", "carla", "dmitri", "elif", "farid", "grace", "hiro"]
    teams = ["core", "web", "docs", None]
    joined = [moment(rng, 2020 + i % 4, date_only=True) for i in range(len(logins))]
    yield "users", [(i, login, rng.choice(teams), joined[i - 1]) for i, login in enumerate(logins, 1)]
    yield (
        "projects",
        [(1, "ENG", "Engine", 1), (2, "WEB", "Web site", 3), (3, "DOC", "Handbook", 5), (4, "OPS", "Operations", None)],
    )
    issues: Rows = []
    for i in range(1, 201):
        title = f"{rng.choice(['Crash', 'Slow answer', 'Typo', 'Missing page'])} in {rng.choice(['login', 'search', 'export'])}"
        state = rng.choice(["open", "in progress", "closed", "closed"])
        people = rng.randint(1, 8), rng.choice([None, *range(1, 9)])
        closed = moment(rng, 2025) if state == "closed" else None
        estimate = rng.choice([None, 0.5, 1.0, 2.0, 8.0])
        issues.append((i, rng.randint(1, 4), title, state, rng.randint(1, 5), *people, moment(rng, 2024), closed, estimate))
    yield "issues", issues
    bodies = ["Me too", "Fixed?", "Needs a test", "Thanks!"]
    yield (
        "comments",
        [(i, rng.randint(1, 200), rng.randint(1, 8), rng.choice(bodies), moment(rng, 2024)) for i in range(1, 401)],
    )


SAMPLES: dict[str, Sample] = {
    "shop": (SHOP, shop_rows),
    "music": (MUSIC, music_rows),
    "tracker": (TRACKER, tracker_rows),
}


def write_sqlite(folder: Path, name: str, samples: Mapping[str, Sample] = SAMPLES) -> Path:
    """The sample as `folder/name.db`."""
    schema, make = samples[name]
    path = folder / f"{name}.db"
    connection = sqlite3.connect(path)
    connection.executescript(schema)
    for table, rows in make(random.Random(name)):
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    connection.commit()
    connection.close()
    return path


def write_duckdb(folder: Path, name: str) -> Path:
    """The sample as `folder/name.duckdb`."""
    import duckdb

    schema, make = SAMPLES[name]
    path = folder / f"{name}.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(schema.replace("placed_at TEXT", "placed_at TIMESTAMP"))
        for table, rows in make(random.Random(name)):
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    return path


def write_postgres(connection: psycopg.Connection[Any], name: str) -> None:
    """The sample in the current schema of a connection that may write."""
    schema, make = SAMPLES[name]
    translated = re.sub(r"NVARCHAR", "VARCHAR", schema).replace("DATETIME", "TIMESTAMP")
    connection.execute(translated.replace("placed_at TEXT", "placed_at TIMESTAMP"))
    for table, rows in make(random.Random(name)):
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)
