"""Three databases of institutions: a library with its loans, a school with its grades, a network of sensors with its alarms."""

from __future__ import annotations

import datetime
import math
import sqlite3

from answers_material.names import Draw, later, titles


def library(db: sqlite3.Connection) -> None:
    draw = Draw(1904)
    db.executescript("""
        CREATE TABLE branches (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, opened DATE NOT NULL);
        CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER, died INTEGER, country TEXT);
        CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT NOT NULL, isbn TEXT UNIQUE, published INTEGER NOT NULL,
            pages INTEGER NOT NULL, language TEXT NOT NULL, subject TEXT NOT NULL);
        CREATE TABLE book_authors (book_id INTEGER NOT NULL REFERENCES books(id),
            author_id INTEGER NOT NULL REFERENCES authors(id),
            PRIMARY KEY (book_id, author_id));
        CREATE TABLE copies (id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES books(id),
            branch_id INTEGER NOT NULL REFERENCES branches(id), condition TEXT NOT NULL);
        CREATE TABLE members (id INTEGER PRIMARY KEY, name TEXT NOT NULL, joined DATE NOT NULL, category TEXT NOT NULL,
            email TEXT, home_branch_id INTEGER NOT NULL REFERENCES branches(id));
        CREATE TABLE loans (id INTEGER PRIMARY KEY, copy_id INTEGER NOT NULL REFERENCES copies(id),
            member_id INTEGER NOT NULL REFERENCES members(id), borrowed_on DATE NOT NULL, due_on DATE NOT NULL,
            returned_on DATE);
        CREATE TABLE fines (id INTEGER PRIMARY KEY, loan_id INTEGER NOT NULL REFERENCES loans(id),
            amount NUMERIC NOT NULL, paid_on DATE);
        CREATE TABLE reservations (id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES books(id),
            member_id INTEGER NOT NULL REFERENCES members(id), made_on DATE NOT NULL, status TEXT NOT NULL);
    """)
    houses = [
        ("Central", "Leipzig"),
        ("Riverside", "Leipzig"),
        ("Old Town", "Dresden"),
        ("Campus", "Halle"),
        ("Northgate", "Halle"),
    ]
    rows = [(i, *house, draw.day("1921-01-01", "2009-12-31")) for i, house in enumerate(houses, 1)]
    db.executemany("INSERT INTO branches VALUES (?,?,?,?)", rows)
    for i in range(1, 91):
        born = draw.randrange(1830, 1985)
        died = born + draw.randrange(40, 90) if born < 1930 else None
        country = draw.place()[1] if draw.random() < 0.95 else None
        db.execute("INSERT INTO authors VALUES (?,?,?,?,?)", (i, " ".join(draw.person()), born, died, country))
    subjects = ["Fiction", "History", "Physics", "Cooking", "Travel", "Poetry", "Biography", "Computing"]
    for i, title in enumerate(titles(draw, 420), 1):
        spoken = draw.weighted(["English", "German", "French", "Spanish"], [60, 25, 9, 6])
        isbn = f"978-{draw.randrange(10)}-{draw.randrange(10_000, 99_999)}-{i:03}-{i % 10}" if draw.random() < 0.94 else None
        row = (i, f"The {title}", isbn, draw.randrange(1890, 2025), draw.randrange(64, 980), spoken, draw.choice(subjects))
        db.execute("INSERT INTO books VALUES (?,?,?,?,?,?,?)", row)
        written = draw.sample(range(1, 88), draw.choices([1, 2, 3], [80, 15, 5])[0])
        db.executemany("INSERT INTO book_authors VALUES (?,?)", [(i, author) for author in sorted(written)])
    for i in range(1, 901):
        condition = draw.weighted(["new", "good", "worn", "damaged"], [20, 55, 20, 5])
        db.execute("INSERT INTO copies VALUES (?,?,?,?)", (i, draw.randrange(1, 411), draw.randrange(1, 6), condition))
    for i in range(1, 251):
        name, kind = " ".join(draw.person()), draw.weighted(["adult", "student", "senior", "child"], [50, 25, 15, 10])
        mail = f"member{i}@library.test" if draw.random() < 0.88 else None
        row = (i, name, draw.day("2014-01-01", "2024-12-31"), kind, mail, draw.randrange(1, 6))
        db.execute("INSERT INTO members VALUES (?,?,?,?,?,?)", row)
    fine = 0
    for i in range(1, 3201):
        out = draw.day("2023-01-02", "2025-05-31")
        due = later(out, 28)
        back = later(out, draw.randrange(2, 45)) if draw.random() < 0.96 else None
        row = (i, draw.randrange(1, 901), draw.randrange(1, 241), out, due, back)
        db.execute("INSERT INTO loans VALUES (?,?,?,?,?,?)", row)
        if back is not None and back > due:
            fine += 1
            days = (datetime.date.fromisoformat(back) - datetime.date.fromisoformat(due)).days
            paid = later(back, draw.randrange(30)) if draw.random() < 0.8 else None
            db.execute("INSERT INTO fines VALUES (?,?,?,?)", (fine, i, round(0.25 * days, 2), paid))
    for i in range(1, 161):
        state = draw.weighted(["waiting", "ready", "collected", "cancelled"], [30, 15, 40, 15])
        row = (i, draw.randrange(1, 421), draw.randrange(1, 251), draw.day("2025-01-01", "2025-06-30"), state)
        db.execute("INSERT INTO reservations VALUES (?,?,?,?,?)", row)


def school(db: sqlite3.Connection) -> None:
    draw = Draw(1905)
    db.executescript("""
        CREATE TABLE teachers (teacher_id INTEGER PRIMARY KEY, name TEXT NOT NULL, hired DATE NOT NULL, salary INTEGER NOT NULL,
            department TEXT NOT NULL);
        CREATE TABLE rooms (room_id INTEGER PRIMARY KEY, code TEXT NOT NULL, building TEXT NOT NULL, seats INTEGER NOT NULL);
        CREATE TABLE courses (course_id INTEGER PRIMARY KEY, title TEXT NOT NULL, credits INTEGER NOT NULL,
            department TEXT NOT NULL);
        CREATE TABLE classes (class_id INTEGER PRIMARY KEY, course_id INTEGER NOT NULL REFERENCES courses,
            teacher_id INTEGER REFERENCES teachers, room_id INTEGER REFERENCES rooms, term TEXT NOT NULL,
            weekday TEXT NOT NULL);
        CREATE TABLE students (student_id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
            birth_date DATE NOT NULL, grade_level INTEGER NOT NULL, advisor_id INTEGER REFERENCES teachers,
            scholarship INTEGER);
        CREATE TABLE enrollments (enrollment_id INTEGER PRIMARY KEY, student_id INTEGER NOT NULL REFERENCES students,
            class_id INTEGER NOT NULL REFERENCES classes, grade REAL);
        CREATE TABLE absences (absence_id INTEGER PRIMARY KEY, student_id INTEGER NOT NULL REFERENCES students,
            day DATE NOT NULL,
            excused INTEGER NOT NULL, reason TEXT);
        CREATE TABLE clubs (club_id INTEGER PRIMARY KEY, name TEXT NOT NULL, leader_id INTEGER REFERENCES teachers,
            fee INTEGER NOT NULL);
        CREATE TABLE club_members (club_id INTEGER NOT NULL REFERENCES clubs, student_id INTEGER NOT NULL REFERENCES students,
            PRIMARY KEY (club_id, student_id));
    """)
    subjects = {
        "Sciences": ("Biology I", "Chemistry", "Mechanics", "Astronomy"),
        "Languages": ("French", "Latin", "Creative Writing"),
        "Arts": ("Drawing", "Choir", "Theatre"),
        "Mathematics": ("Algebra", "Geometry", "Statistics"),
        "Humanities": ("World History", "Geography", "Philosophy"),
    }
    for i in range(1, 23):
        department = list(subjects)[i % 5]
        row = (i, " ".join(draw.person()), draw.day("1998-01-01", "2024-08-31"), draw.randrange(310, 720) * 100, department)
        db.execute("INSERT INTO teachers VALUES (?,?,?,?,?)", row)
    buildings = ["Main Hall", "Science Wing", "Annex"]
    for i in range(1, 19):
        building = buildings[i % 3]
        db.execute(
            "INSERT INTO rooms VALUES (?,?,?,?)", (i, f"{building[0]}-{100 + i}", building, draw.choice([18, 24, 30, 36, 120]))
        )
    courses = [(title, department) for department, names in subjects.items() for title in names]
    for i, (title, department) in enumerate(courses, 1):
        db.execute("INSERT INTO courses VALUES (?,?,?,?)", (i, title, draw.randrange(2, 6), department))
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
    for i in range(1, 61):
        teacher = draw.randrange(1, 21) if draw.random() < 0.94 else None
        term = draw.choice(["2023 Fall", "2024 Spring", "2024 Fall", "2025 Spring"])
        row = (i, draw.randrange(1, len(courses)), teacher, draw.randrange(1, 19), term, draw.choice(days))
        db.execute("INSERT INTO classes VALUES (?,?,?,?,?,?)", row)
    for i in range(1, 341):
        first, last = draw.person()
        level = draw.randrange(7, 13)
        born = draw.day(f"{2018 - level}-09-01", f"{2019 - level}-08-31")
        advisor = draw.randrange(1, 23) if draw.random() < 0.9 else None
        row = (i, first, last, born, level, advisor, draw.choice([None, None, None, None, 500, 1000, 2500]))
        db.execute("INSERT INTO students VALUES (?,?,?,?,?,?,?)", row)
    for i in range(1, 1801):
        grade = round(min(100, max(31, draw.gauss(74, 12))), 1) if draw.random() < 0.92 else None
        db.execute("INSERT INTO enrollments VALUES (?,?,?,?)", (i, draw.randrange(1, 331), draw.randrange(1, 61), grade))
    for i in range(1, 701):
        excused = int(draw.random() < 0.65)
        reason = draw.choice(["illness", "family", "travel", "dentist"]) if excused else None
        row = (i, draw.randrange(1, 341), draw.day("2024-09-02", "2025-06-20"), excused, reason)
        db.execute("INSERT INTO absences VALUES (?,?,?,?,?)", row)
    clubs = ["Chess", "Robotics", "Debate", "Photography", "Hiking", "Jazz Band", "Gardening"]
    for i, name in enumerate(clubs, 1):
        leader = draw.randrange(1, 23) if i != 7 else None
        db.execute("INSERT INTO clubs VALUES (?,?,?,?)", (i, name, leader, draw.choice([0, 10, 15, 40])))
        chosen = sorted(draw.sample(range(1, 341), draw.randrange(6, 42)))
        db.executemany("INSERT INTO club_members VALUES (?,?)", [(i, student) for student in chosen])


def sensors(db: sqlite3.Connection) -> None:
    draw = Draw(1906)
    db.executescript("""
        CREATE TABLE sites (site_id INTEGER PRIMARY KEY, name TEXT NOT NULL, region TEXT NOT NULL, altitude_m INTEGER NOT NULL);
        CREATE TABLE sensors (sensor_id TEXT PRIMARY KEY, site_id INTEGER NOT NULL REFERENCES sites, kind TEXT NOT NULL,
            unit TEXT NOT NULL, firmware TEXT NOT NULL, installed DATE NOT NULL, retired DATE, battery_pct INTEGER);
        CREATE TABLE readings (reading_id INTEGER PRIMARY KEY, sensor_id TEXT NOT NULL REFERENCES sensors,
            taken_at DATETIME NOT NULL,
            value REAL, quality TEXT NOT NULL);
        CREATE TABLE alerts (alert_id INTEGER PRIMARY KEY, sensor_id TEXT NOT NULL REFERENCES sensors,
            raised_at DATETIME NOT NULL,
            cleared_at DATETIME, severity TEXT NOT NULL, message TEXT NOT NULL);
        CREATE TABLE technicians (technician_id INTEGER PRIMARY KEY, name TEXT NOT NULL, region TEXT NOT NULL);
        CREATE TABLE maintenance (maintenance_id INTEGER PRIMARY KEY, sensor_id TEXT NOT NULL REFERENCES sensors,
            technician_id INTEGER NOT NULL REFERENCES technicians, done_on DATE NOT NULL, work TEXT NOT NULL,
            minutes INTEGER NOT NULL);
    """)
    sites = [
        "Grey Ridge",
        "Salt Marsh",
        "Pine Hollow",
        "Upper Dam",
        "Lower Dam",
        "Quarry",
        "Lighthouse",
        "Airfield",
        "Vineyard",
    ]
    for i, name in enumerate(sites, 1):
        region = ["north", "coast", "south"][i % 3]
        db.execute("INSERT INTO sites VALUES (?,?,?,?)", (i, name, region, draw.randrange(3, 1900)))
    units = {"temperature": "C", "humidity": "%", "wind": "m/s", "water level": "cm", "pressure": "hPa"}
    names = []
    for i in range(1, 49):
        kind = draw.choice(list(units))
        names.append((f"{kind[0].upper()}{kind[1].upper()}-{i:03}", kind))
        version = draw.choice(["1.4.2", "1.5.0", "2.0.1", "2.1.0"])
        retired = draw.day("2024-06-01", "2025-05-30") if draw.random() < 0.12 else None
        battery = draw.randrange(4, 101) if draw.random() < 0.9 else None
        row = (
            names[-1][0],
            draw.randrange(1, 9),
            kind,
            units[kind],
            version,
            draw.day("2018-03-01", "2024-03-31"),
            retired,
            battery,
        )
        db.execute("INSERT INTO sensors VALUES (?,?,?,?,?,?,?,?)", row)
    centre = {"temperature": 11, "humidity": 70, "wind": 6, "water level": 140, "pressure": 1012}
    start, number = datetime.datetime(2025, 1, 1), 0
    for name, kind in names:
        for hour in range(0, 24 * 90, 8):
            number += 1
            swing = math.sin(hour / 24 / 15) * 5 + draw.gauss(0, 3)
            value = round(max(0.0, centre[kind] + swing) if kind != "temperature" else centre[kind] + swing, 1)
            quality = draw.weighted(["ok", "suspect", "missing"], [94, 4, 2])
            taken = (start + datetime.timedelta(hours=hour)).isoformat(" ")
            kept = None if quality == "missing" else value
            db.execute("INSERT INTO readings VALUES (?,?,?,?,?)", (number, name, taken, kept, quality))
    texts = ["battery low", "value out of range", "no signal", "clock drift", "casing opened"]
    for i in range(1, 261):
        day = draw.day("2025-01-01", "2025-03-31")
        cleared = f"{later(day, draw.randrange(0, 9))} 18:00:00" if draw.random() < 0.88 else None
        level = draw.weighted(["info", "warning", "critical"], [45, 40, 15])
        row = (i, draw.choice(names)[0], f"{day} {draw.randrange(24):02}:30:00", cleared, level, draw.choice(texts))
        db.execute("INSERT INTO alerts VALUES (?,?,?,?,?,?)", row)
    for i in range(1, 9):
        db.execute("INSERT INTO technicians VALUES (?,?,?)", (i, " ".join(draw.person()), ["north", "coast", "south"][i % 3]))
    jobs = ["battery replaced", "recalibrated", "firmware update", "cleaned", "mount repaired"]
    for i in range(1, 181):
        row = (i, draw.choice(names)[0], draw.randrange(1, 8), draw.day("2023-01-01", "2025-03-31"), draw.choice(jobs))
        db.execute("INSERT INTO maintenance VALUES (?,?,?,?,?,?)", (*row, draw.randrange(10, 240)))
