"""Four more small databases, for tuning: a library, a clinic, flights, a university. No reported figure is from them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from data.db_samples import Rows, Sample, moment

LIBRARY = """
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT, born INTEGER);
CREATE TABLE books (
  id INTEGER PRIMARY KEY, title TEXT NOT NULL, author_id INTEGER NOT NULL REFERENCES authors (id),
  genre TEXT NOT NULL CHECK (genre IN ('novel', 'poetry', 'history', 'science')), pages INTEGER NOT NULL, published INTEGER,
  price NUMERIC(8, 2)
);
CREATE TABLE members (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, phone TEXT, city TEXT NOT NULL, student BOOLEAN NOT NULL, joined DATE NOT NULL
);
CREATE TABLE branches (id INTEGER PRIMARY KEY, name TEXT NOT NULL, street TEXT, shelves INTEGER);
CREATE TABLE loans (
  id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES books (id), member_id INTEGER NOT NULL REFERENCES members (id),
  branch_id INTEGER NOT NULL REFERENCES branches (id), borrowed DATE NOT NULL, due DATE NOT NULL, returned DATE,
  fine NUMERIC(6, 2)
);
"""
CLINIC = """
CREATE TABLE Department (DepartmentId INTEGER PRIMARY KEY, Name VARCHAR(60) NOT NULL, Floor INTEGER, Budget INTEGER);
CREATE TABLE Doctor (
  DoctorId INTEGER PRIMARY KEY, FullName VARCHAR(80) NOT NULL, Speciality VARCHAR(40),
  DepartmentId INTEGER REFERENCES Department, Salary INTEGER, HiredOn DATE
);
CREATE TABLE Patient (
  PatientId INTEGER PRIMARY KEY, FullName VARCHAR(80) NOT NULL, Town VARCHAR(40), BirthDate DATE, BloodGroup VARCHAR(3),
  Smoker BOOLEAN, Insurer VARCHAR(40)
);
CREATE TABLE Visit (
  VisitId INTEGER PRIMARY KEY, PatientId INTEGER NOT NULL REFERENCES Patient, DoctorId INTEGER NOT NULL REFERENCES Doctor,
  Day DATE NOT NULL, Outcome VARCHAR(20) NOT NULL CHECK (Outcome IN ('cured', 'referred', 'admitted', 'missed')),
  Minutes INTEGER, Fee NUMERIC(8, 2) NOT NULL, Temperature REAL
);
"""
FLIGHTS = """
CREATE TABLE airlines (code TEXT PRIMARY KEY, name TEXT NOT NULL, home_country TEXT, founded INTEGER);
CREATE TABLE airports (code TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, runways INTEGER NOT NULL);
CREATE TABLE flights (
  flight_id INTEGER PRIMARY KEY, airline TEXT NOT NULL REFERENCES airlines (code),
  origin TEXT NOT NULL REFERENCES airports (code), destination TEXT NOT NULL REFERENCES airports (code),
  departed_at TIMESTAMP NOT NULL, duration_minutes INTEGER NOT NULL, delay_minutes INTEGER,
  status TEXT NOT NULL CHECK (status IN ('on time', 'delayed', 'cancelled')), fare REAL NOT NULL
);
CREATE TABLE bookings (
  booking_id INTEGER PRIMARY KEY, flight_id INTEGER NOT NULL REFERENCES flights (flight_id), passenger TEXT NOT NULL,
  cabin TEXT NOT NULL CHECK (cabin IN ('economy', 'business')), paid REAL NOT NULL, checked_in BOOLEAN NOT NULL, email TEXT
);
"""
UNIVERSITY = """
CREATE TABLE staff (id INTEGER PRIMARY KEY, handle TEXT NOT NULL UNIQUE, faculty TEXT, started DATE, part_time BOOLEAN);
CREATE TABLE courses (
  id INTEGER PRIMARY KEY, code TEXT NOT NULL, title TEXT NOT NULL, credits INTEGER NOT NULL, room TEXT,
  lecturer_id INTEGER NOT NULL REFERENCES staff (id), assistant_id INTEGER REFERENCES staff (id)
);
CREATE TABLE students (id INTEGER PRIMARY KEY, name TEXT NOT NULL, degree TEXT, enrolled DATE NOT NULL, scholarship REAL);
CREATE TABLE submissions (
  id INTEGER PRIMARY KEY, course_id INTEGER NOT NULL REFERENCES courses (id),
  student_id INTEGER NOT NULL REFERENCES students (id),
  kind TEXT NOT NULL CHECK (kind IN ('essay', 'lab report', 'exam')), handed_in DATETIME NOT NULL, marked DATETIME,
  marker_id INTEGER REFERENCES staff (id), points INTEGER, words INTEGER NOT NULL
);
"""
_TOWNS = ["Ghent", "Turku", "Graz", "Cork", "Porto"]
_PEOPLE = ["Mara", "Otis", "Petra", "Quinn", "Rosa", "Sven", "Tilda", "Ugo", "Vera", "Wim", "Yara", "Zeno"]
_FAMILIES = ["Abel", "Brandt", "Costa", "Dumas", "Eriksen", "Farkas", "Greco", "Horvat"]


def library_rows(rng: random.Random) -> Iterator[tuple[str, Rows]]:
    """Authors, their books, and two years of loans; some are not back yet."""
    names = [f"{first} {family}" for first, family in zip(_PEOPLE, _FAMILIES * 2, strict=False)]
    countries = ["Ireland", "Finland", "Portugal", None, "Austria"]
    yield "authors", [(i, name, rng.choice(countries), rng.randint(1900, 1985)) for i, name in enumerate(names, 1)]
    words = ["Winter", "Harbour", "Clock", "Garden", "Mirror", "River", "Letter", "Island"]
    titles = [f"The {a} {b}" for a in words for b in ("Road", "Keeper", "Stone", "House", "Year")]
    yield "books", [
        (i, title, rng.randint(1, 12), rng.choice(["novel", "novel", "poetry", "history", "science"]), rng.randint(60, 900),
         rng.randint(1950, 2023), rng.randint(500, 4900) / 100)
        for i, title in enumerate(titles, 1)
    ]  # fmt: skip
    yield "members", [
        (i, f"{rng.choice(_PEOPLE)} {rng.choice(_FAMILIES)}", None if rng.random() < 0.3 else f"555-{i:04}", rng.choice(_TOWNS),
         rng.random() < 0.4, moment(rng, rng.choice([2021, 2022, 2023]), date_only=True))
        for i in range(1, 51)
    ]  # fmt: skip
    yield "branches", [(1, "Central", "Mill Lane", 220), (2, "Northside", "Abbey Road", 90), (3, "Harbour", None, 45)]
    loans: Rows = []
    for i in range(1, 301):
        borrowed, returned = moment(rng, 2023, date_only=True), moment(rng, 2024, date_only=True)
        late = rng.random() < 0.25
        people = rng.randint(1, 40), rng.randint(1, 50), rng.choice([1, 1, 2, 3])
        back = None if rng.random() < 0.2 else returned
        loans.append((i, *people, borrowed, moment(rng, 2024, date_only=True), back, rng.randint(10, 900) / 100 if late else 0))
    yield "loans", loans


def clinic_rows(rng: random.Random) -> Iterator[tuple[str, Rows]]:
    """Departments, doctors, patients and their visits."""
    departments = ["Cardiology", "Surgery", "Paediatrics", "Radiology"]
    yield "Department", [(i, name, i % 3, rng.randint(20, 90) * 1000) for i, name in enumerate(departments, 1)]
    specialities = ["heart", "bones", "children", "skin", None]
    yield "Doctor", [
        (i, f"Dr {rng.choice(_PEOPLE)} {family}", rng.choice(specialities), rng.choice([1, 2, 3, 4, None]),
         rng.randint(50, 140) * 1000, moment(rng, 2010 + i, date_only=True))
        for i, family in enumerate(_FAMILIES, 1)
    ]  # fmt: skip
    yield "Patient", [
        (i, f"{rng.choice(_PEOPLE)} {rng.choice(_FAMILIES)} {i}", rng.choice(_TOWNS),
         moment(rng, rng.randint(1940, 2015), date_only=True), rng.choice(["A", "B", "AB", "O"]), rng.random() < 0.3,
         rng.choice(["Medix", "Sanita", None]))
        for i in range(1, 81)
    ]  # fmt: skip
    visits: Rows = []
    for i in range(1, 251):
        outcome = rng.choice(["cured", "cured", "referred", "admitted", "missed"])
        minutes = None if outcome == "missed" else rng.randint(5, 90)
        day, temperature = moment(rng, rng.choice([2023, 2024]), date_only=True), rng.choice([None, 36.6, 37.2, 38.4, 39.5])
        visits.append((i, rng.randint(1, 80), rng.randint(1, 8), day, outcome, minutes, rng.randint(20, 300), temperature))
    yield "Visit", visits


def flights_rows(rng: random.Random) -> Iterator[tuple[str, Rows]]:
    """Airlines, airports, a year of flights and their bookings."""
    airlines = [("AV", "Avela", "Spain", 1987), ("NX", "Nordex", "Norway", 1999), ("ZR", "Zephyr", "Spain", 2011)]
    yield "airlines", list(airlines)
    cities = [("LIS", "Humberto", "Lisbon", 2), ("OSL", "Gardermoen", "Oslo", 2), ("VIE", "Schwechat", "Vienna", 3)]
    yield "airports", list(cities)
    flights: Rows = []
    for i in range(1, 181):
        origin, destination = rng.sample(["LIS", "OSL", "VIE"], 2)
        status = rng.choice(["on time", "on time", "delayed", "cancelled"])
        delay = rng.randint(5, 200) if status == "delayed" else None
        length, fare = rng.randint(60, 400), rng.randint(40, 700)
        row = (i, rng.choice(airlines)[0], origin, destination, moment(rng, 2024), length, delay, status, fare)
        flights.append(row)
    yield "flights", flights
    bookings: Rows = []
    for i in range(1, 301):
        name = f"{rng.choice(_PEOPLE)} {rng.choice(_FAMILIES)}"
        paid, email = rng.randint(40, 1400), None if rng.random() < 0.4 else f"p{i}@example.org"
        row = (i, rng.randint(1, 180), name, rng.choice(["economy", "economy", "business"]), paid, rng.random() < 0.7, email)
        bookings.append(row)
    yield "bookings", bookings


def university_rows(rng: random.Random) -> Iterator[tuple[str, Rows]]:
    """Staff, courses with two keys to them, students and what they handed in; some of it not marked yet."""
    handles = ["ola", "pim", "ruth", "sami", "tove", "uri"]
    yield "staff", [
        (i, handle, rng.choice(["law", "arts", None]), moment(rng, 2005 + i, date_only=True), i % 3 == 0)
        for i, handle in enumerate(handles, 1)
    ]  # fmt: skip
    courses = ["Contracts", "Tort", "Drawing", "Sculpture", "Ethics"]
    yield "courses", [
        (i, f"{title[:2].upper()}{i}01", title, rng.choice([5, 10, 15]), rng.choice(["hall", "attic", None]), rng.randint(1, 6),
         rng.choice([None, *range(1, 7)]))
        for i, title in enumerate(courses, 1)
    ]  # fmt: skip
    yield "students", [
        (i, f"{rng.choice(_PEOPLE)} {rng.choice(_FAMILIES)}", rng.choice(["bachelor", "master", None]),
         moment(rng, rng.choice([2020, 2021, 2022]), date_only=True), rng.choice([None, None, 400.0, 950.0]))
        for i in range(1, 41)
    ]  # fmt: skip
    submissions: Rows = []
    for i in range(1, 161):
        marked = moment(rng, 2023) if rng.random() < 0.7 else None
        people = rng.randint(1, 5), rng.randint(1, 40)
        kind, points = rng.choice(["essay", "lab report", "exam"]), rng.randint(20, 100) if marked else None
        marker = rng.randint(1, 6) if marked else None
        submissions.append((i, *people, kind, moment(rng, 2022), marked, marker, points, rng.randint(200, 9000)))
    yield "submissions", submissions


DEV_SAMPLES: dict[str, Sample] = {
    "library": (LIBRARY, library_rows),
    "clinic": (CLINIC, clinic_rows),
    "flights": (FLIGHTS, flights_rows),
    "university": (UNIVERSITY, university_rows),
}
