"""Two databases unlike the others in how they are named and what their cells mean: a helpdesk and a doctors' practice.

The helpdesk's tables have prefixes and its columns camel case; points in time are seconds since 1970, amounts are cents, and
what is yes or no is 0 or 1 here, Y or N there. The practice speaks German. Both refer to themselves, and have
keys of two columns.
"""

from __future__ import annotations

import datetime
import sqlite3

from answers_material.names import CITIES, LAST, Draw, later


def _seconds(day: str, hour: int = 0) -> int:
    """Seconds since 1970, UTC."""
    moment = datetime.datetime.fromisoformat(day).replace(hour=hour, tzinfo=datetime.UTC)
    return int(moment.timestamp())


def helpdesk(db: sqlite3.Connection) -> None:
    draw = Draw(1908)
    db.executescript("""
        CREATE TABLE tbl_dept (deptId INTEGER PRIMARY KEY, deptName TEXT NOT NULL, parentDeptId INTEGER REFERENCES tbl_dept,
            budgetCents INTEGER NOT NULL);
        CREATE TABLE tbl_employee (empId INTEGER PRIMARY KEY, fullName TEXT NOT NULL, jobTitle TEXT NOT NULL,
            deptId INTEGER NOT NULL REFERENCES tbl_dept, managerId INTEGER REFERENCES tbl_employee, hiredTs INTEGER NOT NULL,
            leftTs INTEGER, salaryCents INTEGER NOT NULL, isRemote TEXT NOT NULL);
        CREATE TABLE tbl_client (clientId INTEGER PRIMARY KEY, clientName TEXT NOT NULL, planCode TEXT NOT NULL,
            cityName TEXT NOT NULL, countryName TEXT NOT NULL, signupTs INTEGER NOT NULL);
        CREATE TABLE tbl_ticket (ticketNo INTEGER PRIMARY KEY, clientId INTEGER NOT NULL REFERENCES tbl_client,
            assigneeId INTEGER REFERENCES tbl_employee, subjectLine TEXT NOT NULL, channel TEXT NOT NULL,
            priority TEXT NOT NULL, createdTs INTEGER NOT NULL, closedTs INTEGER, isEscalated INTEGER NOT NULL,
            satScore INTEGER);
        CREATE TABLE tbl_tag (tagId INTEGER PRIMARY KEY, tagName TEXT NOT NULL);
        CREATE TABLE tbl_ticket_tag (ticketNo INTEGER NOT NULL REFERENCES tbl_ticket, tagId INTEGER NOT NULL REFERENCES tbl_tag,
            PRIMARY KEY (ticketNo, tagId));
        CREATE TABLE tbl_worklog (ticketNo INTEGER NOT NULL REFERENCES tbl_ticket, seqNo INTEGER NOT NULL,
            empId INTEGER NOT NULL REFERENCES tbl_employee, minutesSpent INTEGER NOT NULL, loggedTs INTEGER NOT NULL,
            billable TEXT NOT NULL, PRIMARY KEY (ticketNo, seqNo));
        CREATE TABLE tbl_asset (assetTag TEXT PRIMARY KEY, assetKind TEXT NOT NULL, modelName TEXT NOT NULL,
            ownerId INTEGER REFERENCES tbl_employee, priceCents INTEGER NOT NULL, boughtTs INTEGER NOT NULL);
        CREATE VIEW vw_open_ticket AS SELECT ticketNo, subjectLine, priority, clientName
            FROM tbl_ticket JOIN tbl_client USING (clientId) WHERE closedTs IS NULL;
    """)
    parts = [("Company", None), ("Operations", 1), ("Engineering", 1), ("Support", 2), ("Logistics", 2), ("Platform", 3),
             ("Mobile", 3), ("Legal", 1)]  # fmt: skip
    for i, (name, above) in enumerate(parts, 1):
        row = (i, name, above, draw.randrange(200, 4000) * 10_000)
        db.execute("INSERT INTO tbl_dept VALUES (?,?,?,?)", row)
    jobs = ["Support Agent", "Developer", "Team Lead", "Warehouse Clerk", "Systems Engineer", "Analyst"]
    names: set[str] = set()
    for i in range(1, 65):
        while (name := " ".join(draw.person())) in names:
            pass
        names.add(name)
        hired = draw.day("2012-02-01", "2024-11-30")
        left = _seconds(draw.day(hired, "2025-05-31")) if draw.random() < 0.15 else None
        boss = None if i == 1 else 1 if i < 6 else draw.randrange(1, min(i, 14))
        title = "Chief Executive" if i == 1 else draw.choice(jobs)
        row = (i, name, title, 1 if i == 1 else draw.randrange(2, 8), boss, _seconds(hired), left)
        db.execute(
            "INSERT INTO tbl_employee VALUES (?,?,?,?,?,?,?,?,?)",
            (*row, draw.randrange(280, 960) * 10_000, draw.weighted(["Y", "N"], [40, 60])),
        )
    for i in range(1, 56):
        city, country = draw.place()
        name = f"{LAST[(i * 7) % len(LAST)]} {['Bakery', 'Optics', 'Transport', 'Hotels', 'Studios'][i % 5]}"
        plan = draw.weighted(["free", "team", "enterprise"], [40, 40, 20])
        row = (i, name, plan, city, country, _seconds(draw.day("2019-01-01", "2025-03-31")))
        db.execute("INSERT INTO tbl_client VALUES (?,?,?,?,?,?)", row)
    subjects = ["Cannot log in", "Invoice is wrong", "App crashes on start", "Export takes forever", "Please delete my account",
                "Password reset mail missing", "Feature request", "Sync stopped"]  # fmt: skip
    for i in range(1, 901):
        day = draw.day("2023-06-01", "2025-05-31")
        created = _seconds(day, draw.randrange(7, 20))
        closed = _seconds(later(day, draw.randrange(1, 25)), draw.randrange(7, 20)) if draw.random() < 0.93 else None
        worker = draw.randrange(6, 60) if draw.random() < 0.95 else None
        score = draw.choices([1, 2, 3, 4, 5], [5, 8, 17, 35, 35])[0] if closed and draw.random() < 0.6 else None
        row = (
            7000 + i,
            draw.randrange(1, 52),
            worker,
            draw.choice(subjects),
            draw.weighted(["email", "phone", "chat"], [5, 2, 3]),
        )
        priority = draw.weighted(["low", "normal", "high", "urgent"], [25, 45, 20, 10])
        rest = (priority, created, closed, int(draw.random() < 0.12), score)
        db.execute("INSERT INTO tbl_ticket VALUES (?,?,?,?,?,?,?,?,?,?)", (*row, *rest))
        for number in range(1, draw.randrange(1, 4) if worker else 1):
            spent, billed = draw.randrange(5, 180), draw.weighted(["Y", "N"], [65, 35])
            line = (7000 + i, number, worker, spent, created + 3600 * number, billed)
            db.execute("INSERT INTO tbl_worklog VALUES (?,?,?,?,?,?)", line)
    tags = ["billing", "login", "mobile", "regression", "vip", "duplicate", "privacy"]
    db.executemany("INSERT INTO tbl_tag VALUES (?,?)", list(enumerate(tags, 1)))
    for i in range(1, 901):
        chosen = sorted(draw.sample(range(1, 7), draw.choice([0, 1, 1, 2, 3])))
        db.executemany("INSERT INTO tbl_ticket_tag VALUES (?,?)", [(7000 + i, tag) for tag in chosen])
    models = {"laptop": ("Nimbus 14", "Nimbus 16", "Granite Pro"), "phone": ("Pebble 3", "Pebble 4"), "monitor": ("Vista 27",)}
    for i in range(1, 131):
        kind = draw.choice(list(models))
        owner = draw.randrange(1, 65) if draw.random() < 0.85 else None
        row = (f"{kind[0].upper()}{1000 + i}", kind, draw.choice(models[kind]), owner)
        cost, bought = draw.randrange(180, 2900) * 100, _seconds(draw.day("2018-01-01", "2025-04-30"))
        db.execute("INSERT INTO tbl_asset VALUES (?,?,?,?,?,?)", (*row, cost, bought))


def practice(db: sqlite3.Connection) -> None:
    draw = Draw(1909)
    db.executescript("""
        CREATE TABLE krankenkasse (kasse_nr INTEGER PRIMARY KEY, name TEXT NOT NULL, art TEXT NOT NULL);
        CREATE TABLE arzt (arzt_nr INTEGER PRIMARY KEY, vorname TEXT NOT NULL, nachname TEXT NOT NULL, fachgebiet TEXT NOT NULL,
            geburtsdatum DATE NOT NULL, eingestellt_am DATE NOT NULL, gehalt INTEGER NOT NULL,
            vorgesetzter_nr INTEGER REFERENCES arzt);
        CREATE TABLE patient (patient_nr INTEGER PRIMARY KEY, vorname TEXT NOT NULL, nachname TEXT NOT NULL,
            geburtsdatum DATE NOT NULL, geschlecht TEXT NOT NULL, wohnort TEXT NOT NULL, telefon TEXT,
            kasse_nr INTEGER REFERENCES krankenkasse, allergie TEXT);
        CREATE TABLE raum (raum_nr TEXT PRIMARY KEY, etage INTEGER NOT NULL, groesse_qm INTEGER NOT NULL);
        CREATE TABLE termin (termin_nr INTEGER PRIMARY KEY, patient_nr INTEGER NOT NULL REFERENCES patient,
            arzt_nr INTEGER NOT NULL REFERENCES arzt, raum_nr TEXT REFERENCES raum, datum DATE NOT NULL, uhrzeit TEXT NOT NULL,
            dauer_min INTEGER NOT NULL, status TEXT NOT NULL);
        CREATE TABLE diagnose (code TEXT PRIMARY KEY, bezeichnung TEXT NOT NULL, chronisch INTEGER NOT NULL);
        CREATE TABLE befund (termin_nr INTEGER NOT NULL REFERENCES termin, code TEXT NOT NULL REFERENCES diagnose,
            schweregrad INTEGER NOT NULL, PRIMARY KEY (termin_nr, code));
        CREATE TABLE medikament (medikament_nr INTEGER PRIMARY KEY, name TEXT NOT NULL, hersteller TEXT NOT NULL,
            preis_cent INTEGER NOT NULL, rezeptpflichtig TEXT NOT NULL);
        CREATE TABLE verordnung (termin_nr INTEGER NOT NULL REFERENCES termin,
            medikament_nr INTEGER NOT NULL REFERENCES medikament, menge INTEGER NOT NULL,
            PRIMARY KEY (termin_nr, medikament_nr));
        CREATE TABLE rechnung (rechnung_nr INTEGER PRIMARY KEY, patient_nr INTEGER NOT NULL REFERENCES patient,
            ausgestellt_am DATE NOT NULL, betrag_cent INTEGER NOT NULL, bezahlt TEXT NOT NULL);
        CREATE VIEW v_offene_rechnung AS SELECT rechnung_nr, nachname, betrag_cent FROM rechnung JOIN patient USING (patient_nr)
            WHERE bezahlt = 'N';
    """)
    funds = [
        ("Nordkasse", "gesetzlich"),
        ("Volkskasse Mitte", "gesetzlich"),
        ("Alpina", "privat"),
        ("Handwerkerkasse", "gesetzlich"),
        ("Concordia Leben", "privat"),
    ]
    db.executemany("INSERT INTO krankenkasse VALUES (?,?,?)", [(i, *fund) for i, fund in enumerate(funds, 1)])
    fields = ["Kardiologie", "Dermatologie", "Pädiatrie", "Orthopädie"]
    for i in range(1, 15):
        boss = None if i == 1 else 1 if i < 4 else draw.choice([2, 3])
        days = (draw.day("1958-01-01", "1992-12-31"), draw.day("2003-01-01", "2024-06-30"))
        row = (i, *draw.person(), fields[i % 4], *days, draw.randrange(58, 165) * 1000, boss)
        db.execute("INSERT INTO arzt VALUES (?,?,?,?,?,?,?,?)", row)
    towns = CITIES["Germany"]
    seen: set[tuple[str, str]] = set()
    for i in range(1, 261):
        while (person := draw.person()) in seen:
            pass
        seen.add(person)
        phone = f"0{draw.randrange(200, 999)} {draw.randrange(10_000, 99_999)}" if draw.random() < 0.85 else None
        fund = draw.randrange(1, 5) if draw.random() < 0.94 else None
        allergy = draw.choice(["Penicillin", "Nüsse", "Latex", "Pollen"]) if draw.random() < 0.25 else None
        row = (
            i,
            *person,
            draw.day("1932-01-01", "2022-12-31"),
            draw.weighted(["w", "m", "d"], [52, 46, 2]),
            draw.choice(towns),
        )
        db.execute("INSERT INTO patient VALUES (?,?,?,?,?,?,?,?,?)", (*row, phone, fund, allergy))
    for i in range(1, 9):
        db.execute("INSERT INTO raum VALUES (?,?,?)", (f"R{i}", i % 3, draw.randrange(9, 42)))
    for i in range(1, 1401):
        day, hour = draw.day("2024-01-02", "2025-06-30"), draw.randrange(8, 18)
        room = f"R{draw.randrange(1, 8)}" if draw.random() < 0.92 else None
        state = draw.weighted(["erledigt", "abgesagt", "geplant"], [80, 12, 8])
        row = (
            i,
            draw.randrange(1, 251),
            draw.randrange(1, 14),
            room,
            day,
            f"{hour:02}:{draw.choice(['00', '15', '30', '45'])}",
        )
        db.execute("INSERT INTO termin VALUES (?,?,?,?,?,?,?,?)", (*row, draw.choice([10, 15, 20, 30, 45, 60]), state))
    codes = [("I10", "Bluthochdruck", 1), ("E11", "Diabetes", 1), ("J06", "Erkältung", 0), ("L20", "Neurodermitis", 1),
             ("M54", "Rückenschmerzen", 0), ("S93", "Verstauchung", 0), ("B05", "Masern", 0)]  # fmt: skip
    db.executemany("INSERT INTO diagnose VALUES (?,?,?)", codes)
    drugs = ["Cordalin", "Dermosan", "Fiebrex", "Mobilat", "Pulmoclar", "Salvacid", "Tensomed", "Glucofin"]
    for i, name in enumerate(drugs, 1):
        maker, recipe = draw.choice(["Helix Pharma", "Rheinmed", "Borealis"]), draw.weighted(["J", "N"], [60, 40])
        db.execute("INSERT INTO medikament VALUES (?,?,?,?,?)", (i, name, maker, draw.randrange(295, 8995), recipe))
    for i in range(1, 1401):
        found = sorted(draw.sample([code for code, _, _ in codes[:6]], draw.choice([0, 1, 1, 1, 2])))
        db.executemany("INSERT INTO befund VALUES (?,?,?)", [(i, code, draw.randrange(1, 4)) for code in found])
        given = sorted(draw.sample(range(1, 8), draw.choice([0, 0, 1, 1, 2])))
        db.executemany("INSERT INTO verordnung VALUES (?,?,?)", [(i, drug, draw.randrange(1, 4)) for drug in given])
    for i in range(1, 501):
        row = (i, draw.randrange(1, 251), draw.day("2024-01-10", "2025-06-30"), draw.randrange(1500, 48_000))
        db.execute("INSERT INTO rechnung VALUES (?,?,?,?,?)", (*row, draw.weighted(["J", "N"], [85, 15])))
