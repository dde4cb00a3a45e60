"""The workspace of the routing benchmark: other people's code and docs (installed packages), a generated database.

It is not the demo's workspace, so that nothing tuned on the demo can pass here by heart. The same for the same
package versions.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import random
import shutil
import sqlite3
from pathlib import Path

from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.sections import AuditConfig, ModelConfig

CODE_PACKAGES = ("click", "starlette")
DOC_PACKAGES = (
    "charset-normalizer", "fastapi", "httpx2", "hypothesis", "markdown-it-py", "openai",
    "pathspec", "rich", "sqlite-utils", "tabulate", "tqdm", "uvicorn", "watchfiles",
)  # fmt: skip


def config(executor: str = "auto") -> PorticoConfig:
    """The default model, and nothing that outlives the run: no KV on disk, no log of calls."""
    model = ModelConfig.model_validate({"executor": executor, "kv_disk_gib": 0})
    return PorticoConfig(model=model, audit=AuditConfig(enabled=False))


def build(target: Path) -> dict[str, Path]:
    """Write the workspace under `target` (emptied first) and return its `root`, `docs` and `db`."""
    shutil.rmtree(target, ignore_errors=True)
    root, docs, db = target / "code", target / "docs", target / "clinic.db"
    root.mkdir(parents=True)
    docs.mkdir()
    for name in CODE_PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        shutil.copytree(Path(spec.origin).parent, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in DOC_PACKAGES:
        metadata = importlib.metadata.metadata(name)
        text = metadata.get_payload()  # type: ignore[attr-defined]
        suffix = "rst" if "rst" in (metadata.get("Description-Content-Type") or "text/x-rst") else "md"
        (docs / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    _clinic(db)
    return {"root": root, "docs": docs, "db": db}


def _clinic(path: Path) -> None:
    rng = random.Random(20)
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE departments (id INTEGER PRIMARY KEY, name TEXT NOT NULL, floor INTEGER NOT NULL);
        CREATE TABLE doctors (id INTEGER PRIMARY KEY, name TEXT NOT NULL, specialty TEXT NOT NULL, hired DATE NOT NULL,
            department_id INTEGER NOT NULL REFERENCES departments(id));
        CREATE TABLE patients (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, born DATE NOT NULL,
            insurance TEXT);
        CREATE TABLE appointments (id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patients(id),
            doctor_id INTEGER NOT NULL REFERENCES doctors(id), day DATE NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('booked', 'done', 'cancelled', 'missed')), fee REAL NOT NULL);
        CREATE TABLE prescriptions (id INTEGER PRIMARY KEY, appointment_id INTEGER NOT NULL REFERENCES appointments(id),
            drug TEXT NOT NULL, days INTEGER NOT NULL);
    """)
    departments = ["Cardiology", "Dermatology", "Neurology", "Paediatrics", "Radiology", "Surgery"]
    cities = ["Bergen", "Ghent", "Graz", "Lyon", "Porto", "Tartu", "Turku"]
    first = "Ada Ben Cleo Dora Elif Finn Gita Hugo Ines Jonas Kaya Lena Milo Nora Otto Pia Rosa Sven Tara Yuri".split()
    last = (
        "Abel Brandt Costa Dahl Eriksen Fabre Greco Haas Ivanov Jensen Kovacs Lund Moreau Nagy Olsen Petit Rossi Silva".split()
    )
    drugs = ["amoxicillin", "ibuprofen", "insulin", "lisinopril", "metformin", "prednisone", "salbutamol"]
    day = datetime.date(2024, 1, 1)
    person = lambda: f"{rng.choice(first)} {rng.choice(last)}"  # noqa: E731
    after = lambda start, days: (start + datetime.timedelta(rng.randrange(days))).isoformat()  # noqa: E731
    db.executemany("INSERT INTO departments VALUES (?,?,?)", [(i, n, 1 + i % 4) for i, n in enumerate(departments, 1)])
    hiring = datetime.date(2005, 1, 1)
    doctors = [(i, "Dr. " + person(), departments[i % 6].lower(), after(hiring, 7000), 1 + i % 6) for i in range(1, 25)]
    db.executemany("INSERT INTO doctors VALUES (?,?,?,?,?)", doctors)
    insurers = ["Aegis", "Helvia", "Nordica", None]
    birth = datetime.date(1935, 1, 1)
    patients = [(i, person(), rng.choice(cities), after(birth, 30000), rng.choice(insurers)) for i in range(1, 801)]
    db.executemany("INSERT INTO patients VALUES (?,?,?,?,?)", patients)
    states = ["booked", "done", "done", "done", "done", "cancelled", "missed"]
    visits = [
        (
            i,
            rng.randrange(1, 801),
            rng.randrange(1, 25),
            after(day, 900),
            rng.choice(states),
            rng.randrange(30, 400) + rng.choice([0, 0.5]),
        )
        for i in range(1, 4001)
    ]
    db.executemany("INSERT INTO appointments VALUES (?,?,?,?,?,?)", visits)
    scripts = [(i, rng.randrange(1, 4001), rng.choice(drugs), rng.choice([5, 7, 10, 14, 30])) for i in range(1, 2201)]
    db.executemany("INSERT INTO prescriptions VALUES (?,?,?,?)", scripts)
    db.commit()
    db.close()
