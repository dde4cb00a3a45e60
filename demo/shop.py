"""The sample database: a small shop with several thousand rows. The same seed writes the same rows on every machine."""

from __future__ import annotations

import argparse
import datetime
import random
import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, city TEXT NOT NULL, country TEXT NOT NULL,
    joined DATE NOT NULL);
CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE products (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, category_id INTEGER NOT NULL REFERENCES categories(id),
    price REAL NOT NULL CHECK (price > 0), stock INTEGER NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers(id), placed DATE NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled')));
CREATE TABLE order_items (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders(id),
    product_id INTEGER NOT NULL REFERENCES products(id), quantity INTEGER NOT NULL, unit_price REAL NOT NULL);
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL REFERENCES products(id),
    customer_id INTEGER NOT NULL REFERENCES customers(id), stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    written DATE NOT NULL);
CREATE INDEX orders_customer ON orders(customer_id);
CREATE INDEX order_items_order ON order_items(order_id);
CREATE INDEX order_items_product ON order_items(product_id);
"""
PLACES = {
    "Berlin": "Germany", "Hamburg": "Germany", "Lyon": "France", "Paris": "France", "Madrid": "Spain", "Seville": "Spain",
    "Oslo": "Norway", "Porto": "Portugal", "Lisbon": "Portugal", "Vienna": "Austria", "Turin": "Italy", "Ghent": "Belgium",
}  # fmt: skip
GOODS = {
    "Books": ["Atlas", "Cookbook", "Field Guide", "Mystery Novel", "Phrasebook"],
    "Garden": ["Hose", "Pruning Shears", "Rake", "Seed Box", "Watering Can"],
    "Kitchen": ["Bread Knife", "Cast Iron Pan", "Kettle", "Mixing Bowl", "Moka Pot"],
    "Music": ["Guitar Strings", "Metronome", "Music Stand", "Tuner", "Ukulele"],
    "Office": ["Desk Lamp", "Fountain Pen", "Notebook", "Paper Tray", "Stapler"],
    "Outdoor": ["Backpack", "Camping Stove", "Compass", "Rain Jacket", "Tent"],
}
KINDS = ["Classic", "Compact", "Deluxe"]
FIRST = (
    "Alma Bruno Clara Dario Edith Felix Greta Henri Ida Jakob Klara Luis Marta Nils Olga Paul Rita Simon Teresa Viktor".split()
)
LAST = "Almeida Bauer Castro Dupont Ekberg Fischer Garcia Hansen Janssens Keller Leroy Marino Novak Ortiz Pires Richter".split()


def write(path: Path, *, seed: int = 7) -> int:
    """Write the shop to `path`, replacing what is there, and return the number of rows."""
    rng = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.executescript(SCHEMA)
    first_day = datetime.date(2024, 1, 1)

    def day(span: int) -> str:
        return (first_day + datetime.timedelta(rng.randrange(span))).isoformat()

    customers = []
    for i in range(1, 401):
        name = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
        city = rng.choice(list(PLACES))
        customers.append((i, name, f"{name.lower().replace(' ', '.')}{i}@example.org", city, PLACES[city], day(600)))
    categories = list(enumerate(GOODS, 1))
    products = [
        (0, f"{kind} {good}", category, round(rng.uniform(4, 180), 2), rng.randrange(0, 200))
        for category, name in categories
        for good in GOODS[name]
        for kind in KINDS
    ]
    products = [(i, *p[1:]) for i, p in enumerate(products, 1)]
    orders, items, reviews = [], [], []
    states = ["delivered"] * 12 + ["shipped"] * 3 + ["paid"] * 2 + ["pending", "cancelled", "cancelled"]
    for order in range(1, 1501):
        orders.append((order, rng.randrange(1, 401), day(1000), rng.choice(states)))
        for product in rng.sample(products, rng.choice([1, 1, 2, 2, 3, 4])):
            items.append((len(items) + 1, order, product[0], rng.choice([1, 1, 1, 2, 3]), product[3]))
    for product in products:
        for _ in range(rng.randrange(2, 14)):
            reviews.append((len(reviews) + 1, product[0], rng.randrange(1, 401), rng.choice([2, 3, 4, 4, 5, 5]), day(1000)))
    tables = {
        "customers": customers, "categories": categories, "products": products,
        "orders": orders, "order_items": items, "reviews": reviews,
    }  # fmt: skip
    for table, rows in tables.items():
        db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
    db.commit()
    db.execute("VACUUM")
    db.close()
    return sum(map(len, tables.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    print(f"{args.path}: {write(args.path, seed=args.seed):,} rows in 6 tables")


if __name__ == "__main__":
    main()
