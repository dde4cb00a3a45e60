"""What evidence_questions.py asks about: three packages' code, three manuals of Debian's, three databases that are made here.

The packages are those installed beside Portico; the manuals come with Debian's `nodejs-doc`, `cmake-data` and `valgrind`. All
is copied into the user's cache. It knows no model.
"""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import platformdirs

Question: TypeAlias = dict[str, Any]
FILE = Path(__file__).parent / "data" / "evidence_questions.jsonl"
CACHE = platformdirs.user_cache_path("portico-benchmarks") / "evidence"
_NODE = Path("/usr/share/doc/nodejs/api")
_CMAKE = Path("/usr/share/cmake-3.25/Help/manual")
_VALGRIND = Path("/usr/share/doc/valgrind/html")
_NODE_PAGES = "child_process cluster dns events path readline timers url worker_threads zlib".split()
_VALGRIND_PAGES = "manual-core mc-manual ms-manual hg-manual drd-manual cg-manual dh-manual".split()


class Place(NamedTuple):
    """A workspace's three parts."""

    code: Path
    docs: Path
    database: Path


def place(name: str) -> Place:
    folder = CACHE / name
    return Place(folder / "code", folder / "docs", folder / f"{_DATABASES[name][0]}.db")


def bring() -> None:
    """Copy and write what is not there yet. Raises SystemExit where a manual is not installed."""
    for name, (package, pages) in _SOURCES.items():
        where = place(name)
        if where.database.exists():
            continue
        missing = [page for page in pages if not page.is_file()]
        if missing:
            raise SystemExit(f"{missing[0]} is missing: apt install nodejs-doc cmake-data valgrind")
        shutil.rmtree(CACHE / name, ignore_errors=True)
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{package} is not installed")
        shutil.copytree(Path(spec.origin).parent, where.code / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        where.docs.mkdir(parents=True)
        for page in pages:
            shutil.copy(page, where.docs / page.name)
        with sqlite3.connect(where.database) as db:
            _DATABASES[name][1](db)
        db.close()


def questions(part: str = "all") -> list[Question]:
    """`open`, `closed` (every second of a workspace and an area, by digest of the id), or all; what a database holds and where
    a line of code stands is looked up."""
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    return [_resolved(row) for row in rows if part == "all" or (row["id"] in closed(rows)) == (part == "closed")]


def as_committed() -> bool:
    """Are the questions those of the digest beside them?"""
    return FILE.with_suffix(".sha256").read_text().split()[0] == sha256(FILE.read_bytes()).hexdigest()


def closed(rows: Sequence[Question]) -> set[str]:
    """The ids of the half that nothing is tuned on."""
    found: set[str] = set()
    for group in {(row["workspace"], row["area"]) for row in rows}:
        ids = sorted((r["id"] for r in rows if (r["workspace"], r["area"]) == group), key=lambda i: sha256(i.encode()).digest())
        found.update(ids[: (len(ids) + (group[1] != "code")) // 2])
    return found


def _resolved(row: Question) -> Question:
    where = place(row["workspace"])
    evidence = dict(row["evidence"])
    if row["area"] == "code":
        lines = (where.code / evidence["file"]).read_text(encoding="utf-8").splitlines()
        evidence["lines"] = [
            at for number, line in enumerate(lines, 1) if evidence["at"] in line for at in _definition(lines, number)
        ]
    if row["area"] == "db":
        with sqlite3.connect(f"file:{where.database}?mode=ro", uri=True) as db:
            values = [value for line in db.execute(evidence["sql"]) for value in line]
        db.close()
        return {**row, "answers": {"all_of": [_forms(value) for value in values]}}
    return {**row, "evidence": evidence}


def _definition(lines: Sequence[str], number: int) -> Iterator[int]:
    """The lines of the function or class that begins on a line, as far as a class's first 40; of any other line, itself."""
    head = lines[number - 1]
    depth = len(head) - len(head.lstrip())
    yield number
    if not head.lstrip().startswith(("def ", "class ")):
        return
    for at, line in enumerate(lines[number:], number + 1):
        inside = not line.strip() or len(line) - len(line.lstrip()) > depth or line.strip().startswith((")", '"""'))
        if not inside or (head.lstrip().startswith("class ") and at > number + 40):
            return
        yield at


def _forms(value: Any) -> list[str]:
    if isinstance(value, float):
        return list(dict.fromkeys((f"{value:g}", f"{value:.1f}", f"{value:.2f}", f"{value:.3f}", f"{value:.4f}", repr(value))))
    return [str(value)]


def problems(row: Question) -> Iterator[str]:
    """What is wrong with a question: no such line, page or value."""
    if row["area"] == "code" and not row["evidence"]["lines"]:
        yield f"{row['evidence']['at']!r} is not in the file"
    if row["area"] == "docs":
        text = " ".join(
            unescape((place(row["workspace"]).docs / row["evidence"]["file"]).read_text("utf-8", "replace")).split()
        )
        yield from (
            f"{forms} is not on the page" for forms in row["answers"]["all_of"] if not any(one in text for one in forms)
        )
    if row["area"] == "db" and (not row["answers"]["all_of"] or None in row["answers"]["all_of"][0]):
        yield "the database has no answer"


# -- the databases

_FIRST = "Oona Ravi Lena Tom Mina Ida Paul Greta Jonas Sofia Amir Bea Carl Dora Emil Freya Hugo Ines Jude Kira".split()
_LAST = "Marsh Singh Fors Brandt Okafor Holm Weber Lund Costa Moreau Nagy Byrne Petrov Sato Diaz Khan".split()


def _names(rng: random.Random, count: int, first: Sequence[str]) -> list[str]:
    every = [f"{a} {b}" for a in _FIRST for b in _LAST if f"{a} {b}" not in first]
    return [*first, *rng.sample(every, count - len(first))]


def _day(rng: random.Random, first: int, last: int) -> str:
    return f"{rng.randint(first, last)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _bakery(db: sqlite3.Connection) -> None:
    rng = random.Random("bakery")
    db.executescript("""
        CREATE TABLE supplier (supplier_id INTEGER PRIMARY KEY, name TEXT, country TEXT);
        CREATE TABLE flour (flour_id INTEGER PRIMARY KEY, name TEXT, supplier_id INTEGER REFERENCES supplier);
        CREATE TABLE product (product_id INTEGER PRIMARY KEY, name TEXT, price REAL, flour_id INTEGER REFERENCES flour);
        CREATE TABLE customer (customer_id INTEGER PRIMARY KEY, name TEXT, town TEXT, phone TEXT);
        CREATE TABLE orders (order_id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer, placed_on DATE,
                             channel TEXT);
        CREATE TABLE order_line (order_id INTEGER REFERENCES orders, product_id INTEGER REFERENCES product, quantity INTEGER);
    """)
    db.executemany(
        "INSERT INTO supplier VALUES (?,?,?)",
        [(1, "Dale Mill", "England"), (2, "Moulin Vert", "France"), (3, "Kornhof", "Germany")],
    )
    db.executemany("INSERT INTO flour VALUES (?,?,?)", [(1, "Wheat", 1), (2, "Rye", 3), (3, "Spelt", 2), (4, "Maize", 2)])
    products = [("Baguette", 2.4, 1), ("Farmhouse loaf", 4.1, 1), ("Rye sourdough", 5.6, 2), ("Pumpernickel", 5.2, 2),
                ("Spelt roll", 1.3, 3), ("Cornbread", 3.8, 4), ("Brioche", 6.9, 1), ("Spelt crispbread", 2.9, 3)]  # fmt: skip
    db.executemany("INSERT INTO product VALUES (?,?,?,?)", [(i, *each) for i, each in enumerate(products, 1)])
    towns = ["Leeds", "York", "Hull", "Ripon", "Selby", "Whitby"]
    people = _names(rng, 30, ["Oona Marsh", "Ravi Singh"])
    db.executemany(
        "INSERT INTO customer VALUES (?,?,?,?)",
        [
            (i, name, rng.choice(towns), f"01{rng.randint(100, 999)} {rng.randint(100000, 999999)}")
            for i, name in enumerate(people, 1)
        ],
    )
    weights = [1 + 6 * (i in (2, 7, 11)) + 3 * (i == 7) + 5 * (i == 2) for i in range(1, 31)]
    for number in range(1000, 1160):
        who = rng.choices(range(1, 31), weights)[0]
        db.execute(
            "INSERT INTO orders VALUES (?,?,?,?)", (number, who, _day(rng, 2025, 2026), rng.choice(["delivered", "picked up"]))
        )
        for product in rng.sample(range(1, 9), rng.randint(1, 3)):
            db.execute("INSERT INTO order_line VALUES (?,?,?)", (number, product, rng.randint(1, 6)))


def _clinic(db: sqlite3.Connection) -> None:
    rng = random.Random("clinic")
    db.executescript("""
        CREATE TABLE ward (ward_id INTEGER PRIMARY KEY, name TEXT, head TEXT, beds INTEGER);
        CREATE TABLE doctor (doctor_id INTEGER PRIMARY KEY, name TEXT, ward_id INTEGER REFERENCES ward);
        CREATE TABLE patient (patient_id INTEGER PRIMARY KEY, name TEXT, born DATE, town TEXT, blood_type TEXT);
        CREATE TABLE visit (visit_id INTEGER PRIMARY KEY, patient_id INTEGER REFERENCES patient,
                            doctor_id INTEGER REFERENCES doctor, visited_on DATE, minutes INTEGER, fee REAL, diagnosis TEXT);
    """)
    wards = [("Cardiology", "Eva Lindqvist", 24), ("Oncology", "Samuel Reyes", 31), ("Paediatrics", "Nora Quill", 18),
             ("Orthopaedics", "Victor Hale", 27)]  # fmt: skip
    db.executemany("INSERT INTO ward VALUES (?,?,?,?)", [(i, *each) for i, each in enumerate(wards, 1)])
    staff = _names(rng, 9, [])
    db.executemany("INSERT INTO doctor VALUES (?,?,?)", [(i, name, 1 + i % 4) for i, name in enumerate(staff, 1)])
    people = _names(rng, 40, ["Mina Okafor", "Tom Brandt"])
    people = [name if name not in staff else f"{name} junior" for name in people]
    towns = ["Cork", "Galway", "Sligo", "Tralee", "Ennis"]
    db.executemany(
        "INSERT INTO patient VALUES (?,?,?,?,?)",
        [
            (i, name, _day(rng, 1938, 2015), rng.choice(towns), rng.choice(["O", "A", "B", "AB"]))
            for i, name in enumerate(people, 1)
        ],
    )
    ills = ["asthma", "migraine", "fracture", "hypertension", "anaemia", "sprain"]
    for number in range(1, 181):
        doctor = rng.choices(range(1, 10), [1, 1, 4, 1, 1, 1, 1, 1, 1])[0]
        db.execute(
            "INSERT INTO visit VALUES (?,?,?,?,?,?,?)",
            (
                number,
                rng.randint(1, 40),
                doctor,
                _day(rng, 2025, 2026),
                rng.choice([15, 20, 30, 45, 60]) + (number == 77) * 35,
                float(rng.randrange(40, 200, 5)),
                rng.choice(ills),
            ),
        )


def _airline(db: sqlite3.Connection) -> None:
    rng = random.Random("airline")
    db.executescript("""
        CREATE TABLE airport (code TEXT PRIMARY KEY, city TEXT, country TEXT);
        CREATE TABLE aircraft (tail TEXT PRIMARY KEY, model TEXT, seats INTEGER, built INTEGER);
        CREATE TABLE pilot (pilot_id INTEGER PRIMARY KEY, name TEXT, hired DATE);
        CREATE TABLE flight (flight_id INTEGER PRIMARY KEY, number TEXT, origin TEXT REFERENCES airport,
                             destination TEXT REFERENCES airport, departs DATETIME,
                             pilot_id INTEGER REFERENCES pilot, tail TEXT REFERENCES aircraft);
        CREATE TABLE booking (booking_id INTEGER PRIMARY KEY, flight_id INTEGER REFERENCES flight, passenger TEXT, class TEXT,
                              price REAL);
    """)
    airports = [
        ("LIS", "Lisbon", "Portugal"),
        ("VIE", "Vienna", "Austria"),
        ("MAD", "Madrid", "Spain"),
        ("BCN", "Barcelona", "Spain"),
        ("AGP", "Malaga", "Spain"),
        ("OSL", "Oslo", "Norway"),
        ("GVA", "Geneva", "Switzerland"),
    ]
    db.executemany("INSERT INTO airport VALUES (?,?,?)", airports)
    planes = [
        ("N101", "Dash 8", 78, 2003),
        ("N102", "A319", 144, 2008),
        ("N103", "A321", 220, 2016),
        ("N104", "E190", 100, 2012),
        ("N105", "ATR 72", 70, 1999),
    ]
    db.executemany("INSERT INTO aircraft VALUES (?,?,?,?)", planes)
    crew = ["Ida Holm", *_names(rng, 7, [])[1:]]
    hired = ["2015-03-02", "2019-01-14", "2019-09-01", "2020-05-06", "2021-02-11", "2018-07-07", "2023-10-30"]
    db.executemany(
        "INSERT INTO pilot VALUES (?,?,?)", [(i, name, day) for i, (name, day) in enumerate(zip(crew, hired, strict=True), 1)]
    )
    for number in range(1, 61):
        origin, target = rng.sample([code for code, *_ in airports[:6]], 2)
        when = f"2026-{rng.randint(3, 8):02}-{rng.randint(1, 28):02} {rng.randint(5, 21):02}:{rng.choice(['00', '15', '40'])}"
        db.execute(
            "INSERT INTO flight VALUES (?,?,?,?,?,?,?)",
            (number, f"PX{199 + number}", origin, target, when, rng.randint(1, 7), rng.choice(planes)[0]),
        )
    people = _names(rng, 60, ["Lena Fors"])
    for number in range(1, 301):
        who = "Lena Fors" if number % 50 == 0 else rng.choice(people)
        seat = rng.choices(["economy", "business"], [5, 1])[0]
        price = rng.randint(60, 300) + 350 * (seat == "business") + number / 1000
        db.execute("INSERT INTO booking VALUES (?,?,?,?,?)", (number, rng.randint(1, 60), who, seat, round(price, 2)))


_SOURCES = {
    "mill": ("h11", [_NODE / f"{page}.md" for page in _NODE_PAGES]),
    "yard": ("tqdm", [*sorted(_CMAKE.glob("*.rst"))]),
    "field": ("click", [_VALGRIND / f"{page}.html" for page in _VALGRIND_PAGES]),
}
_DATABASES = {"mill": ("bakery", _bakery), "yard": ("clinic", _clinic), "field": ("airline", _airline)}
WORKSPACES = tuple(_SOURCES)
