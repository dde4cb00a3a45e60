"""What the third-party servers work on: a folder of notes, a knowledge graph, a git repository, a bicycle shop's database.

Everything is written by this module, with fixed dates, so that a commit has the same hash everywhere.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path

from answers_material.names import Draw

NOTES = {
    "todo.txt": """\
[x] renew passport (done 2025-02-11)
[ ] call the dentist, Dr. Halloran, 555-0142
[ ] cancel the gym before 30 June 2025
[x] send tax form
[ ] buy a birthday present for Ingrid (she likes pottery)
""",
    "reading-list.md": """\
# Reading list

- The Lighthouse Keeper's Ledger (finished, 4 stars)
- A Short History of Salt (reading, page 112)
- Concrete Gardens (not started)
- Nine Winters in Tromso (lent to Bilal)
""",
    "garden.json": json.dumps(
        {"beds": [{"name": "north", "plants": ["kale", "leek"]}, {"name": "south", "plants": ["tomato", "basil", "chili"]}],
         "last_frost": "2025-04-19", "watering_days": ["Tuesday", "Friday"]}, indent=2) + "\n",
    "travel/oslo-trip.md": """\
# Oslo, 12 to 16 September 2025

Flight SK 4417 leaves at 07:25 from terminal 2.
Hotel: Fjordheim, booking code QX7-PLM, 1,240 NOK a night.
Ferry to Drobak runs every second hour.
Budget for everything: 9,500 NOK.
""",
    "travel/packing-list.txt": "rain jacket\nwool socks\nadapter (type C)\nbinoculars\nthermos\n",
    "work/meeting-2025-03-04.md": """\
# Weekly meeting, 4 March 2025

Present: Noor, Emeka, Petra. Absent: Tarik.
Decision: the release moves to 28 March because of the payment bug.
Action: Emeka writes the migration guide. Petra orders the new test phones.
""",
    "work/meeting-2025-04-15.md": """\
# Weekly meeting, 15 April 2025

Present: Noor, Emeka, Petra, Tarik.
Decision: we drop support for version 2 at the end of the year.
Action: Tarik interviews five customers. Noor updates the price page.
""",
    "work/budget-2025.csv": """\
item,quarter,amount
laptops,Q1,7400
training,Q2,2100
travel,Q2,3650
licences,Q3,980
party,Q4,1500
""",
    "work/contacts.csv": """\
name,company,phone,city
Malik Quist,Brightline,555-0161,Bergen
Vera Sato,Osprey Labs,555-0162,Nagoya
Hector Weiss,Brightline,555-0163,Mainz
Tess Okafor,Northgate Foods,555-0164,Recife
""",
    "home/wifi.txt": "network: Pinecone\nguest network: Pinecone-Guest\nrouter address: 192.168.8.1\n",
    "home/car.txt": "plate: BT 482 KR\nnext inspection: 2026-08\ntyres: 205/55 R16\noil change at 61,000 km\n",
    "home/recipes/lentil-soup.md": """\
# Lentil soup (serves 4)

300 g red lentils, 1 onion, 2 carrots, 1.2 l stock, 1 tbsp cumin.
Fry the onion, add everything, simmer for 25 minutes. Finish with lemon.
""",
    "home/recipes/pancakes.md": """\
# Pancakes (makes 8)

200 g flour, 3 eggs, 400 ml milk, a pinch of salt.
Rest the batter for 30 minutes before frying.
""",
}  # fmt: skip

ENTITIES = {
    "Ingrid_Vogel": (
        "person",
        ["Lives in Bergen", "Is allergic to peanuts", "Birthday is 3 July", "Works as a ceramics teacher"],
    ),
    "Bilal_Haddad": ("person", ["Lives in Lille", "Plays the cello", "Prefers email over phone"]),
    "Noor_Rahman": ("person", ["Leads the payments team", "Started in 2019", "Speaks Dutch and Urdu"]),
    "Emeka_Soto": ("person", ["Maintains the mobile app", "Works from Porto", "Is on leave in August"]),
    "Tarik_Novak": ("person", ["Does customer research", "Has a dog called Biscuit"]),
    "Osprey_Labs": ("company", ["Makes barcode scanners", "Contract ends on 2026-01-31", "Pays within 45 days"]),
    "Brightline": ("company", ["Largest customer", "Uses version 3.2", "Account number is BL-20417"]),
    "Project_Heron": ("project", ["Rewrites the invoice export", "Deadline is 2025-11-14", "Budget is 48000 euros"]),
    "Project_Finch": ("project", ["Offline mode for the mobile app", "Is on hold since May"]),
    "Cabin": ("place", ["Key is at the petrol station in Drobak", "Has no running water in winter", "Sleeps 6"]),
}
RELATIONS = (
    ("Noor_Rahman", "leads", "Project_Heron"), ("Emeka_Soto", "leads", "Project_Finch"),
    ("Brightline", "pays_for", "Project_Heron"),
    ("Tarik_Novak", "reports_to", "Noor_Rahman"), ("Ingrid_Vogel", "owns", "Cabin"),
    ("Bilal_Haddad", "is_married_to", "Ingrid_Vogel"),
    ("Osprey_Labs", "supplies", "Brightline"),
)  # fmt: skip

PEOPLE = {
    "petra": "Petra Lindqvist <petra@tally.test>",
    "samir": "Samir Okafor <samir@tally.test>",
    "yara": "Yara Chen <yara@tally.test>",
}
READER = """\
import csv


def read(path):
    with open(path) as file:
        return [float(row[1]) for row in csv.reader(file){}]
"""
CLI = """\
import argparse

from reader import read
from tally import total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--currency", default="EUR")
    args = parser.parse_args()
    print(total(read(args.file)), args.currency)
"""
# (author, day, message, files after it); the work is a small program that adds up expenses.
COMMITS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("petra", "2025-01-06", "Start tally: add up amounts from a file", {
        "tally.py": "def total(amounts):\n    return sum(amounts)\n", "README.md": "# tally\n\nAdds up expenses.\n"}),
    ("petra", "2025-01-09", "Read amounts from CSV", {
        "reader.py": READER.format("")}),
    ("samir", "2025-01-20", "Add the licence", {"LICENSE": "MIT License\n\nCopyright (c) 2025 Petra Lindqvist\n"}),
    ("samir", "2025-02-03", "Round totals to two digits", {
        "tally.py": "def total(amounts):\n    return round(sum(amounts), 2)\n"}),
    ("yara", "2025-02-14", "Command line: tally FILE --currency", {
        "cli.py": CLI}),
    ("yara", "2025-02-27", "Skip empty lines in CSV files", {
        "reader.py": READER.format(" if row")}),
    ("petra", "2025-03-11", "Document the currency option", {
        "README.md": "# tally\n\nAdds up expenses.\n\n`tally FILE --currency NOK`; the default is EUR.\n"}),
    ("samir", "2025-03-28", "Fix: negative amounts are refunds, not errors", {
        "tally.py": 'def total(amounts):\n    """Refunds are negative."""\n    return round(sum(amounts), 2)\n'}),
    ("petra", "2025-04-02", "Release 0.2.0", {"VERSION": "0.2.0\n"}),
)  # fmt: skip
EXPORT = ("yara", "2025-04-10", "Export totals as JSON", {
    "export.py": 'import json\n\n\ndef export(total, path):\n    with open(path, "w") as file:\n'
    '        json.dump({"total": total}, file)\n'})  # fmt: skip


def notes(folder: Path) -> None:
    for name, text in NOTES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def memory(file: Path) -> None:
    """The knowledge graph, as server-memory keeps it: one JSON object a line."""
    lines = [
        {"type": "entity", "name": name, "entityType": kind, "observations": seen} for name, (kind, seen) in ENTITIES.items()
    ]
    lines += [{"type": "relation", "from": a, "to": b, "relationType": kind} for a, kind, b in RELATIONS]
    file.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")


def repository(folder: Path) -> None:
    """Two branches beside main; one change staged, one not staged, one file untracked."""
    folder.mkdir(parents=True, exist_ok=True)

    def git(*args: str, day: str = "2025-01-06", author: str = "petra") -> None:
        name, mail = PEOPLE[author].removesuffix(">").split(" <")
        when = f"{day}T10:00:00+00:00"
        who = {
            f"GIT_{role}_{key}": v
            for role in ("AUTHOR", "COMMITTER")
            for key, v in (("NAME", name), ("EMAIL", mail), ("DATE", when))
        }
        env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        subprocess.run(["git", "-C", str(folder), *args], check=True, capture_output=True, env=env)

    def commit(author: str, day: str, message: str, files: dict[str, str]) -> None:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        git("add", ".")
        git("commit", "-q", "-m", message, day=day, author=author)

    git("init", "-q", "-b", "main")
    for entry in COMMITS:
        commit(*entry)
    git("branch", "fix/rounding")
    git("checkout", "-q", "-b", "feature/export")
    commit(*EXPORT)
    git("checkout", "-q", "main")
    (folder / "VERSION").write_text("0.3.0\n", encoding="utf-8")
    git("add", "VERSION")
    (folder / "README.md").write_text(COMMITS[6][3]["README.md"] + "\nWorks with Python 3.11 and newer.\n", encoding="utf-8")
    (folder / "notes.txt").write_text("ask Samir about refunds\n", encoding="utf-8")


def bikes(db: sqlite3.Connection) -> None:
    draw = Draw(1907)
    db.executescript("""
        CREATE TABLE bikes (id INTEGER PRIMARY KEY, model TEXT, brand TEXT, kind TEXT, price REAL, stock INTEGER);
        CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT, price REAL, stock INTEGER, supplier TEXT);
        CREATE TABLE repairs (id INTEGER PRIMARY KEY, bike_id INTEGER REFERENCES bikes(id), customer TEXT, brought_in TEXT,
            picked_up TEXT, cost REAL);
    """)
    brands, kinds = ["Kestrel", "Tern", "Avocet", "Osprey"], ["road", "city", "mountain", "cargo"]
    for i in range(1, 25):
        row = (i, f"{draw.choice(['Breeze', 'Summit', 'Metro', 'Trail', 'Pace'])} {i}", draw.choice(brands), draw.choice(kinds))
        db.execute("INSERT INTO bikes VALUES (?,?,?,?,?,?)", (*row, draw.randrange(300, 4200), draw.randrange(0, 9)))
    for i, name in enumerate(("inner tube", "chain", "brake pad", "saddle", "bell", "pedal", "front light", "spoke"), 1):
        row = (i, name, draw.randrange(2, 60) + 0.5, draw.randrange(0, 80), draw.choice(["Velopart", "Rad & Co"]))
        db.execute("INSERT INTO parts VALUES (?,?,?,?,?)", row)
    for i in range(1, 121):
        day = draw.day("2025-01-02", "2025-05-31")
        back = draw.day(day, "2025-06-15") if draw.random() < 0.85 else None
        row = (i, draw.randrange(1, 25), " ".join(draw.person()), day, back, draw.randrange(15, 260))
        db.execute("INSERT INTO repairs VALUES (?,?,?,?,?,?)", row)
