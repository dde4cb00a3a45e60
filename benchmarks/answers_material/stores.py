"""Three databases of shops: a music store of 11 tables, a film rental of 16 and a view, an orders database of 13.

Their shapes are those that users know from Chinook, Sakila and Northwind; every row is generated.
"""

from __future__ import annotations

import sqlite3

from answers_material.names import CITIES, LAST, Draw, later, titles


def music(db: sqlite3.Connection) -> None:
    draw = Draw(1901)
    db.executescript("""
        CREATE TABLE Artist (ArtistId INTEGER PRIMARY KEY, Name TEXT NOT NULL);
        CREATE TABLE Album (AlbumId INTEGER PRIMARY KEY, Title TEXT NOT NULL, ArtistId INTEGER NOT NULL REFERENCES Artist);
        CREATE TABLE Genre (GenreId INTEGER PRIMARY KEY, Name TEXT NOT NULL);
        CREATE TABLE MediaType (MediaTypeId INTEGER PRIMARY KEY, Name TEXT NOT NULL);
        CREATE TABLE Track (TrackId INTEGER PRIMARY KEY, Name TEXT NOT NULL, AlbumId INTEGER REFERENCES Album,
            MediaTypeId INTEGER NOT NULL REFERENCES MediaType, GenreId INTEGER REFERENCES Genre, Composer TEXT,
            Milliseconds INTEGER NOT NULL, Bytes INTEGER, UnitPrice NUMERIC NOT NULL);
        CREATE TABLE Playlist (PlaylistId INTEGER PRIMARY KEY, Name TEXT NOT NULL);
        CREATE TABLE PlaylistTrack (PlaylistId INTEGER NOT NULL REFERENCES Playlist, TrackId INTEGER NOT NULL REFERENCES Track,
            PRIMARY KEY (PlaylistId, TrackId));
        CREATE TABLE Employee (EmployeeId INTEGER PRIMARY KEY, LastName TEXT NOT NULL, FirstName TEXT NOT NULL, Title TEXT,
            ReportsTo INTEGER REFERENCES Employee, BirthDate DATE, HireDate DATE, City TEXT, Email TEXT);
        CREATE TABLE Customer (CustomerId INTEGER PRIMARY KEY, FirstName TEXT NOT NULL, LastName TEXT NOT NULL, Company TEXT,
            City TEXT, Country TEXT, Phone TEXT, Email TEXT NOT NULL, SupportRepId INTEGER REFERENCES Employee);
        CREATE TABLE Invoice (InvoiceId INTEGER PRIMARY KEY, CustomerId INTEGER NOT NULL REFERENCES Customer,
            InvoiceDate DATE NOT NULL, BillingCity TEXT, BillingCountry TEXT, Total NUMERIC NOT NULL);
        CREATE TABLE InvoiceLine (InvoiceLineId INTEGER PRIMARY KEY, InvoiceId INTEGER NOT NULL REFERENCES Invoice,
            TrackId INTEGER NOT NULL REFERENCES Track, UnitPrice NUMERIC NOT NULL, Quantity INTEGER NOT NULL);
    """)
    bands = [f"The {name}s" for name in ("Lantern", "Harbor", "Comet", "Orchard", "Static", "Tundra", "Pigeon", "Meridian")]
    bands += [f"{a} & {b}" for a, b in zip(LAST[:20:2], LAST[1:21:2], strict=True)] + ["A/B Side", "Ninth Floor", "DJ Sparrow"]
    bands += [" ".join(draw.person()) for _ in range(39)]
    bands = list(dict.fromkeys(bands))
    genres = ["Rock", "Jazz", "Metal", "Blues", "Latin", "Reggae", "Classical", "Electronic", "Hip Hop", "Soundtrack", "Folk"]
    media = ["MPEG audio file", "AAC audio file", "Protected MPEG-4 video file", "Lossless FLAC file"]
    db.executemany("INSERT INTO Artist VALUES (?, ?)", list(enumerate(bands, 1)))
    db.executemany("INSERT INTO Genre VALUES (?, ?)", list(enumerate(genres, 1)))
    db.executemany("INSERT INTO MediaType VALUES (?, ?)", list(enumerate(media, 1)))
    albums = [(i, title, draw.randrange(1, len(bands) - 5)) for i, title in enumerate(titles(draw, 140), 1)]
    db.executemany("INSERT INTO Album VALUES (?, ?, ?)", albums)
    names = titles(draw, 1600)
    tracks = []
    for i, name in enumerate(names, 1):
        kind = draw.choices([1, 2, 3, 4], [70, 15, 5, 10])[0]
        length = draw.randrange(95_000, 520_000) if kind != 3 else draw.randrange(1_200_000, 3_000_000)
        composer = " ".join(draw.person()) if draw.random() < 0.7 else None
        genre = draw.choices(range(1, 12), [30, 14, 12, 8, 9, 4, 6, 7, 5, 3, 2])[0]
        tracks.append((i, name, 1 + i * 140 // 1601, kind, genre, composer, length, length * 16, 1.99 if kind == 3 else 0.99))
    db.executemany("INSERT INTO Track VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", tracks)
    lists = ["Music", "Movies", "Road Trip", "Quiet Evening", "90s Music", "Workout", "Brunch", "On-The-Go 1", "Empty One"]
    db.executemany("INSERT INTO Playlist VALUES (?, ?)", list(enumerate(lists, 1)))
    for playlist, size in enumerate((900, 12, 45, 60, 210, 85, 33, 1), 1):
        chosen = sorted(draw.sample(range(1, 1601), size))
        db.executemany("INSERT INTO PlaylistTrack VALUES (?, ?)", [(playlist, track) for track in chosen])
    jobs = [
        ("General Manager", None),
        ("Sales Manager", 1),
        *[("Sales Support Agent", 2)] * 4,
        ("IT Manager", 1),
        ("IT Staff", 7),
    ]
    for i, (title, boss) in enumerate(jobs, 1):
        first, last = draw.person()
        row = (i, last, first, title, boss, draw.day("1958-01-01", "1990-12-31"), draw.day("2015-01-01", "2021-12-31"))
        db.execute(
            "INSERT INTO Employee VALUES (?,?,?,?,?,?,?,?,?)", (*row, draw.place()[0], f"{first}@musicshop.test".lower())
        )
    people = set()
    for i in range(1, 73):
        first, last = draw.person()
        while (first, last) in people:
            first, last = draw.person()
        people.add((first, last))
        city, country = draw.place()
        company = f"{draw.choice(LAST)} Ltd" if draw.random() < 0.25 else None
        phone = (
            f"+{draw.randrange(1, 99)} {draw.randrange(100, 999)} {draw.randrange(1000, 9999)}" if draw.random() < 0.9 else None
        )
        mail = f"{first}.{last}@mail.test".lower()
        row = (i, first, last, company, city, country, phone, mail, draw.randrange(3, 7))
        db.execute("INSERT INTO Customer VALUES (?,?,?,?,?,?,?,?,?)", row)
    line = 0
    for i in range(1, 461):
        customer = draw.randrange(1, 71)
        city, country = db.execute("SELECT City, Country FROM Customer WHERE CustomerId = ?", (customer,)).fetchone()
        bought = [tracks[draw.randrange(1600)] for _ in range(draw.choice([1, 2, 2, 4, 6, 9, 14]))]
        total = round(sum(track[8] for track in bought), 2)
        db.execute("INSERT INTO Invoice VALUES (?,?,?,?,?,?)", (i, customer, later("2021-01-02", i * 4), city, country, total))
        for track in bought:
            line += 1
            db.execute("INSERT INTO InvoiceLine VALUES (?, ?, ?, ?, 1)", (line, i, track[0], track[8]))


def film(db: sqlite3.Connection) -> None:
    draw = Draw(1902)
    db.executescript("""
        CREATE TABLE country (country_id INTEGER PRIMARY KEY, country TEXT NOT NULL);
        CREATE TABLE city (city_id INTEGER PRIMARY KEY, city TEXT NOT NULL, country_id INTEGER NOT NULL REFERENCES country);
        CREATE TABLE address (address_id INTEGER PRIMARY KEY, address TEXT NOT NULL, district TEXT,
            city_id INTEGER NOT NULL REFERENCES city, postal_code TEXT, phone TEXT);
        CREATE TABLE language (language_id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE category (category_id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE actor (actor_id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL);
        CREATE TABLE film (film_id INTEGER PRIMARY KEY, title TEXT NOT NULL, description TEXT, release_year INTEGER,
            language_id INTEGER NOT NULL REFERENCES language, original_language_id INTEGER REFERENCES language,
            rental_duration INTEGER NOT NULL, rental_rate NUMERIC NOT NULL, length INTEGER, replacement_cost NUMERIC NOT NULL,
            rating TEXT CHECK (rating IN ('G', 'PG', 'PG-13', 'R', 'NC-17')), special_features TEXT);
        CREATE TABLE film_text (film_id INTEGER PRIMARY KEY REFERENCES film, title TEXT NOT NULL, description TEXT);
        CREATE TABLE film_actor (actor_id INTEGER NOT NULL REFERENCES actor, film_id INTEGER NOT NULL REFERENCES film,
            PRIMARY KEY (actor_id, film_id));
        CREATE TABLE film_category (film_id INTEGER NOT NULL REFERENCES film, category_id INTEGER NOT NULL REFERENCES category,
            PRIMARY KEY (film_id, category_id));
        CREATE TABLE store (store_id INTEGER PRIMARY KEY, manager_staff_id INTEGER NOT NULL,
            address_id INTEGER NOT NULL REFERENCES address);
        CREATE TABLE staff (staff_id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
            address_id INTEGER NOT NULL REFERENCES address, email TEXT, store_id INTEGER NOT NULL REFERENCES store,
            active INTEGER NOT NULL, username TEXT NOT NULL, password TEXT);
        CREATE TABLE customer (customer_id INTEGER PRIMARY KEY, store_id INTEGER NOT NULL REFERENCES store,
            first_name TEXT NOT NULL, last_name TEXT NOT NULL, email TEXT, address_id INTEGER NOT NULL REFERENCES address,
            active INTEGER NOT NULL, create_date DATE NOT NULL);
        CREATE TABLE inventory (inventory_id INTEGER PRIMARY KEY, film_id INTEGER NOT NULL REFERENCES film,
            store_id INTEGER NOT NULL REFERENCES store);
        CREATE TABLE rental (rental_id INTEGER PRIMARY KEY, rental_date DATETIME NOT NULL,
            inventory_id INTEGER NOT NULL REFERENCES inventory, customer_id INTEGER NOT NULL REFERENCES customer,
            return_date DATETIME, staff_id INTEGER NOT NULL REFERENCES staff);
        CREATE TABLE payment (payment_id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer,
            staff_id INTEGER NOT NULL REFERENCES staff, rental_id INTEGER REFERENCES rental, amount NUMERIC NOT NULL,
            payment_date DATETIME NOT NULL);
        CREATE VIEW film_list AS SELECT f.film_id AS FID, f.title, c.name AS category, f.rental_rate AS price, f.length,
            f.rating
            FROM film f JOIN film_category fc USING (film_id) JOIN category c USING (category_id);
    """)
    db.executemany("INSERT INTO country VALUES (?, ?)", list(enumerate(CITIES, 1)))
    places = [(city, country) for country, cities in enumerate(CITIES.values(), 1) for city in cities]
    db.executemany("INSERT INTO city VALUES (?, ?, ?)", [(i, *place) for i, place in enumerate(places, 1)])
    streets = ["Mill Lane", "Station Road", "Elm Street", "Harbor Way", "Castle Hill", "Church Row"]
    for i in range(1, 341):
        row = (i, f"{draw.randrange(1, 400)} {draw.choice(streets)}", draw.choice(["North", "South", "East", "West", None]))
        phone = str(draw.randrange(10**9, 10**10)) if draw.random() < 0.93 else None
        code = str(draw.randrange(10_000, 99_999))
        db.execute("INSERT INTO address VALUES (?,?,?,?,?,?)", (*row, draw.randrange(1, len(places) + 1), code, phone))
    languages = ["English", "Italian", "Japanese", "Mandarin", "French", "German"]
    db.executemany("INSERT INTO language VALUES (?, ?)", list(enumerate(languages, 1)))
    kinds = ["Action", "Animation", "Children", "Classics", "Comedy", "Documentary", "Drama", "Family", "Foreign", "Games"]
    kinds += ["Horror", "Music", "New", "Sci-Fi", "Sports", "Travel"]
    db.executemany("INSERT INTO category VALUES (?, ?)", list(enumerate(kinds, 1)))
    db.executemany("INSERT INTO actor VALUES (?, ?, ?)", [(i, *(n.upper() for n in draw.person())) for i in range(1, 171)])
    features = ["Trailers", "Commentaries", "Deleted Scenes", "Behind the Scenes"]
    for i, title in enumerate(titles(draw, 880), 1):
        text = f"A story of a {draw.choice(['teacher', 'pilot', 'chef', 'robot', 'dentist', 'sailor'])} who must "
        text += draw.choice(["cross a desert", "find a lost letter", "outwit a rival", "build a boat", "win a race"])
        spoken = draw.choices(range(1, 7), [80, 4, 5, 2, 6, 3])[0]
        original = draw.randrange(1, 7) if draw.random() < 0.15 else None
        extra = ",".join(f for f in features if draw.random() < 0.5) or None
        cost = draw.randrange(9, 30) + 0.99
        rest = (draw.randrange(3, 8), draw.choice([0.99, 2.99, 4.99]), draw.randrange(46, 186), cost)
        rating = draw.choices(["G", "PG", "PG-13", "R", "NC-17"], [18, 19, 22, 20, 21])[0]
        title, year = title.upper(), draw.randrange(1994, 2024)
        db.execute(
            "INSERT INTO film VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", (i, title, text, year, spoken, original, *rest, rating, extra)
        )
        db.execute("INSERT INTO film_text VALUES (?, ?, ?)", (i, title, text))
        db.execute("INSERT INTO film_category VALUES (?, ?)", (i, draw.randrange(1, 17)))
        cast = draw.sample(range(1, 171), draw.randrange(2, 9))
        db.executemany("INSERT INTO film_actor VALUES (?, ?)", [(actor, i) for actor in sorted(cast)])
    db.executemany("INSERT INTO store VALUES (?, ?, ?)", [(1, 1, 1), (2, 4, 2)])
    for i in range(1, 7):
        first, last = draw.person()
        row = (
            i,
            first,
            last,
            2 + i,
            f"{first}.{last}@rental.test".lower(),
            1 if i < 4 else 2,
            0 if i == 6 else 1,
            first.lower(),
        )
        db.execute("INSERT INTO staff VALUES (?,?,?,?,?,?,?,?,?)", (*row, "not-a-real-password"))
    for i in range(1, 301):
        first, last = (n.upper() for n in draw.person())
        mail = f"{first}.{last}{i}@customers.test".lower() if draw.random() < 0.96 else None
        row = (i, draw.choices([1, 2], [55, 45])[0], first, last, mail, 20 + i, 0 if draw.random() < 0.07 else 1)
        db.execute("INSERT INTO customer VALUES (?,?,?,?,?,?,?,?)", (*row, draw.day("2021-02-01", "2023-01-31")))
    stock = [(film, store) for film in range(1, 861) for store in (1, 2) for _ in range(draw.randrange(0, 4))]
    db.executemany("INSERT INTO inventory VALUES (?, ?, ?)", [(i, *item) for i, item in enumerate(stock, 1)])
    for i in range(1, 6001):
        day = draw.day("2023-02-01", "2023-08-31")
        back = f"{later(day, draw.randrange(1, 11))} {draw.randrange(9, 20):02}:15:00" if draw.random() < 0.97 else None
        customer, staff = draw.randrange(1, 301), draw.randrange(1, 6)
        when = f"{day} {draw.randrange(9, 22):02}:{draw.randrange(60):02}:00"
        db.execute(
            "INSERT INTO rental VALUES (?,?,?,?,?,?)", (i, when, draw.randrange(1, len(stock) + 1), customer, back, staff)
        )
        amount = draw.choice([0.99, 2.99, 2.99, 4.99, 4.99, 5.99, 7.99, 10.99])
        db.execute("INSERT INTO payment VALUES (?,?,?,?,?,?)", (i, customer, staff, i, amount, when))


def orders(db: sqlite3.Connection) -> None:
    draw = Draw(1903)
    db.executescript("""
        CREATE TABLE Categories (CategoryID INTEGER PRIMARY KEY, CategoryName TEXT NOT NULL, Description TEXT);
        CREATE TABLE Suppliers (SupplierID INTEGER PRIMARY KEY, CompanyName TEXT NOT NULL, ContactName TEXT, City TEXT,
            Country TEXT, Phone TEXT, HomePage TEXT);
        CREATE TABLE Products (ProductID INTEGER PRIMARY KEY, ProductName TEXT NOT NULL,
            SupplierID INTEGER REFERENCES Suppliers,
            CategoryID INTEGER REFERENCES Categories, QuantityPerUnit TEXT, UnitPrice NUMERIC NOT NULL,
            UnitsInStock INTEGER NOT NULL,
            UnitsOnOrder INTEGER NOT NULL, ReorderLevel INTEGER NOT NULL, Discontinued INTEGER NOT NULL);
        CREATE TABLE Customers (CustomerID TEXT PRIMARY KEY, CompanyName TEXT NOT NULL, ContactName TEXT, ContactTitle TEXT,
            City TEXT, Country TEXT, Phone TEXT, Fax TEXT);
        CREATE TABLE Regions (RegionID INTEGER PRIMARY KEY, RegionDescription TEXT NOT NULL);
        CREATE TABLE Territories (TerritoryID TEXT PRIMARY KEY, TerritoryDescription TEXT NOT NULL,
            RegionID INTEGER NOT NULL REFERENCES Regions);
        CREATE TABLE Employees (EmployeeID INTEGER PRIMARY KEY, LastName TEXT NOT NULL, FirstName TEXT NOT NULL, Title TEXT,
            BirthDate DATE, HireDate DATE, City TEXT, Country TEXT, Extension TEXT, Salary NUMERIC,
            ReportsTo INTEGER REFERENCES Employees);
        CREATE TABLE EmployeeTerritories (EmployeeID INTEGER NOT NULL REFERENCES Employees,
            TerritoryID TEXT NOT NULL REFERENCES Territories, PRIMARY KEY (EmployeeID, TerritoryID));
        CREATE TABLE Shippers (ShipperID INTEGER PRIMARY KEY, CompanyName TEXT NOT NULL, Phone TEXT);
        CREATE TABLE Orders (OrderID INTEGER PRIMARY KEY, CustomerID TEXT REFERENCES Customers,
            EmployeeID INTEGER REFERENCES Employees, OrderDate DATE NOT NULL, RequiredDate DATE NOT NULL, ShippedDate DATE,
            ShipVia INTEGER REFERENCES Shippers, Freight NUMERIC NOT NULL, ShipCity TEXT, ShipCountry TEXT);
        CREATE TABLE "Order Details" (OrderID INTEGER NOT NULL REFERENCES Orders,
            ProductID INTEGER NOT NULL REFERENCES Products,
            UnitPrice NUMERIC NOT NULL, Quantity INTEGER NOT NULL, Discount REAL NOT NULL, PRIMARY KEY (OrderID, ProductID));
        CREATE TABLE CustomerDemographics (CustomerTypeID TEXT PRIMARY KEY, CustomerDesc TEXT);
        CREATE TABLE CustomerCustomerDemo (CustomerID TEXT NOT NULL REFERENCES Customers,
            CustomerTypeID TEXT NOT NULL REFERENCES CustomerDemographics, PRIMARY KEY (CustomerID, CustomerTypeID));
    """)
    groups = {
        "Beverages": ("Nettle Tea", "Dark Roast Coffee", "Pear Cider", "Ginger Beer", "Oat Drink", "Mint Lemonade"),
        "Condiments": ("Smoked Paprika", "Walnut Mustard", "Fig Chutney", "Chili Oil", "Lemon Salt"),
        "Confections": ("Honey Wafers", "Almond Nougat", "Salt Caramels", "Poppy Strudel", "Licorice Wheels"),
        "Dairy Products": ("Goat Gouda", "Aged Cheddar", "Sheep Yogurt", "Blue Brie"),
        "Grains/Cereals": ("Spelt Pasta", "Rye Crispbread", "Buckwheat Flakes"),
        "Meat/Poultry": ("Duck Rillettes", "Venison Jerky", "Turkey Ham"),
        "Produce": ("Dried Apricots", "Pickled Beets", "Sauerkraut", "Black Garlic"),
        "Seafood": ("Smoked Trout", "Anchovy Fillets", "Squid Rings", "Cod Liver Pate", "Pickled Herring"),
    }
    db.executemany(
        "INSERT INTO Categories VALUES (?, ?, ?)", [(i, n, f"Goods of the kind {n}") for i, n in enumerate(groups, 1)]
    )
    for i in range(1, 19):
        city, country = draw.place()
        page = f"https://supplier{i}.test" if draw.random() < 0.3 else None
        row = (i, f"{draw.choice(LAST)} {draw.choice(['Trading', 'Foods', 'Imports'])}", " ".join(draw.person()), city, country)
        db.execute("INSERT INTO Suppliers VALUES (?,?,?,?,?,?,?)", (*row, f"555-{i:04}", page))
    prices, number = {}, 0
    for category, products in enumerate(groups.values(), 1):
        for name in products:
            number += 1
            prices[number] = draw.randrange(300, 9000) / 100
            units = f"{draw.choice([6, 10, 12, 24])} {draw.choice(['boxes', 'jars', 'bottles', 'bags'])}"
            counts = (draw.choice([0, 4, 15, 39, 60, 112]), draw.choice([0, 0, 0, 20, 70]), draw.choice([0, 5, 10, 25]))
            row = (number, name, draw.randrange(1, 19), category, units, prices[number], *counts, int(draw.random() < 0.12))
            db.execute("INSERT INTO Products VALUES (?,?,?,?,?,?,?,?,?,?)", row)
    codes = []
    for i in range(1, 66):
        city, country = draw.place()
        name = f"{draw.choice(LAST)} {draw.choice(['Market', 'Bistro', 'Delicatessen', 'Stores'])}"
        codes.append(name[:3].upper() + f"{i:02}")
        title = draw.choice(["Owner", "Sales Manager", "Order Clerk", "Marketing Manager"])
        fax = f"555-{9000 + i}" if draw.random() < 0.5 else None
        row = (codes[-1], name, " ".join(draw.person()), title, city, country, f"555-{7000 + i}", fax)
        db.execute("INSERT INTO Customers VALUES (?,?,?,?,?,?,?,?)", row)
    db.executemany("INSERT INTO Regions VALUES (?, ?)", list(enumerate(("Eastern", "Western", "Northern", "Southern"), 1)))
    lands = [
        f"{side} {noun}"
        for noun in ("Valley", "Coast", "Plains", "Hills", "Docks")
        for side in ("Upper", "Lower", "Old", "New")
    ]
    db.executemany("INSERT INTO Territories VALUES (?, ?, ?)", [(f"T{i:03}", n, 1 + i % 4) for i, n in enumerate(lands, 1)])
    for i in range(1, 12):
        first, last = draw.person()
        title = (
            ["Vice President, Sales", "Sales Manager", "Inside Sales Coordinator"][i - 1] if i < 4 else "Sales Representative"
        )
        days = (draw.day("1955-01-01", "1992-12-31"), draw.day("2012-01-01", "2022-12-31"))
        place, boss = draw.place(), None if i == 1 else 1 if i < 4 else draw.choice([2, 3])
        row = (i, last, first, title, *days, *place, str(3000 + 17 * i), draw.randrange(2200, 7000), boss)
        db.execute("INSERT INTO Employees VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)
        chosen = sorted(draw.sample(range(1, 21), draw.randrange(1, 6)))
        db.executemany("INSERT INTO EmployeeTerritories VALUES (?, ?)", [(i, f"T{land:03}") for land in chosen])
    shippers = [(1, "Speedy Parcel", "555-0101"), (2, "United Cargo", "555-0102"), (3, "Northern Freight", "555-0103")]
    db.executemany("INSERT INTO Shippers VALUES (?, ?, ?)", shippers)
    for i in range(1, 701):
        day = later("2022-01-03", i * 17 // 10)
        shipped = later(day, draw.randrange(1, 36)) if draw.random() < 0.96 else None
        customer = draw.choice(codes[:62])
        place = db.execute("SELECT City, Country FROM Customers WHERE CustomerID = ?", (customer,)).fetchone()
        row = (
            10_200 + i,
            customer,
            draw.randrange(1, 12),
            day,
            later(day, 28),
            shipped,
            draw.choices([1, 2, 3], [30, 40, 30])[0],
        )
        db.execute("INSERT INTO Orders VALUES (?,?,?,?,?,?,?,?,?,?)", (*row, draw.randrange(80, 40_000) / 100, *place))
        for product in sorted(draw.sample(range(1, number + 1), draw.randrange(1, 6))):
            detail = (10_200 + i, product, prices[product], draw.randrange(1, 60), draw.choice([0, 0, 0, 0.05, 0.1, 0.25]))
            db.execute('INSERT INTO "Order Details" VALUES (?,?,?,?,?)', detail)
