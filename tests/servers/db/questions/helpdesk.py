"""A database with odd names and cells for the tests of questions: prefixes, camel case, seconds since 1970, cents, Y and N.

Some of its columns have German names; departments and people point to others of their table.
"""

from __future__ import annotations

SCHEMA = """
CREATE TABLE tbl_dept (deptId INTEGER PRIMARY KEY, deptName TEXT NOT NULL, parentDeptId INTEGER REFERENCES tbl_dept);
CREATE TABLE tbl_person (persId INTEGER PRIMARY KEY, firstName TEXT NOT NULL, lastName TEXT NOT NULL, jobTitle TEXT NOT NULL,
  deptId INTEGER NOT NULL REFERENCES tbl_dept, managerId INTEGER REFERENCES tbl_person, hiredTs INTEGER NOT NULL,
  leftTs INTEGER, salaryCents INTEGER NOT NULL, isRemote TEXT NOT NULL, geburtsdatum DATE NOT NULL);
CREATE TABLE tbl_client (clientId INTEGER PRIMARY KEY, clientName TEXT NOT NULL, planCode TEXT NOT NULL);
CREATE TABLE tbl_ticket (ticketNo INTEGER PRIMARY KEY, clientId INTEGER NOT NULL REFERENCES tbl_client,
  assigneeId INTEGER REFERENCES tbl_person, subjectLine TEXT NOT NULL, priority TEXT NOT NULL, createdTs INTEGER NOT NULL,
  closedTs INTEGER, isEscalated INTEGER NOT NULL, satScore INTEGER);
CREATE TABLE tbl_tag (tagId INTEGER PRIMARY KEY, tagName TEXT NOT NULL);
CREATE TABLE tbl_ticket_tag (ticketNo INTEGER NOT NULL REFERENCES tbl_ticket, tagId INTEGER NOT NULL REFERENCES tbl_tag,
  PRIMARY KEY (ticketNo, tagId));
CREATE TABLE rechnung (rechnung_nr INTEGER PRIMARY KEY, clientId INTEGER NOT NULL REFERENCES tbl_client,
  ausgestellt_am DATE NOT NULL, betrag_cent INTEGER NOT NULL, bezahlt TEXT NOT NULL);
CREATE VIEW vw_open_ticket AS SELECT ticketNo, subjectLine FROM tbl_ticket WHERE closedTs IS NULL;
INSERT INTO tbl_dept VALUES (1, 'Company', NULL), (2, 'Support', 1), (3, 'Mobile', 1), (4, 'Legal', 2);
INSERT INTO tbl_person VALUES
  (1, 'Ada', 'Quist', 'Team Lead', 2, NULL, 1262304000, NULL, 900000, 'N', '1970-05-01'),
  (2, 'Ben', 'Moreau', 'Developer', 3, 1, 1420070400, NULL, 500000, 'Y', '1985-05-01'),
  (3, 'Cid', 'Quist', 'Developer', 3, 1, 1577836800, 1704067200, 450000, 'Y', '2001-05-01'),
  (4, 'Ada', 'Moreau', 'Agent', 2, 2, 1609459200, NULL, 300000, 'N', '1999-05-01');
INSERT INTO tbl_client VALUES (1, 'Vogel Hotels', 'free'), (2, 'Sato Optics', 'team'), (3, 'Ricci Bakery', 'team');
INSERT INTO tbl_ticket VALUES
  (7001, 1, 2, 'App crashes', 'urgent', 1709251200, 1709424000, 1, 4),
  (7002, 1, 2, 'App crashes', 'low', 1711929600, NULL, 0, NULL),
  (7003, 2, 4, 'Sync stopped', 'urgent', 1735689600, 1736000000, 0, 2),
  (7004, 1, NULL, 'Invoice', 'low', 1738368000, NULL, 0, NULL);
INSERT INTO tbl_tag VALUES (1, 'billing'), (2, 'vip'), (3, 'privacy');
INSERT INTO tbl_ticket_tag VALUES (7001, 1), (7001, 2), (7003, 2);
INSERT INTO rechnung VALUES (1, 1, '2024-03-01', 12500, 'J'), (2, 1, '2024-04-01', 2500, 'N'), (3, 2, '2025-01-01', 900, 'N');
"""
