ATTACH DATABASE '{dir}/made.db' AS x
ATTACH '{secret_db}' AS x
ATTACH ':memory:' AS x
ATTACH 'file:{dir}/made.db?mode=rwc' AS x
ATTACH '' AS x
DETACH DATABASE main
VACUUM
VACUUM INTO '{dir}/copy.db'
VACUUM main INTO 'file:{dir}/copy.db?mode=rwc'
PRAGMA journal_mode = WAL
PRAGMA main.journal_mode = TRUNCATE
PRAGMA journal_mode(OFF)
PRAGMA writable_schema = ON
PRAGMA query_only = OFF
PRAGMA query_only(0)
PRAGMA user_version = 7
PRAGMA application_id = 7
PRAGMA schema_version = 99
PRAGMA encoding = 'UTF-16'
PRAGMA page_size = 8192
PRAGMA temp_store_directory = '{dir}'
PRAGMA data_store_directory = '{dir}'
PRAGMA temp_store = 1
PRAGMA trusted_schema = ON
PRAGMA wal_checkpoint(TRUNCATE)
PRAGMA optimize
PRAGMA incremental_vacuum(10)
PRAGMA auto_vacuum = FULL
PRAGMA foreign_keys = OFF
PRAGMA ignore_check_constraints = ON
PRAGMA locking_mode = EXCLUSIVE
PRAGMA mmap_size = 268435456
PRAGMA hard_heap_limit = 0
PRAGMA soft_heap_limit = 0
PRAGMA threads = 8
PRAGMA secure_delete = ON
PRAGMA synchronous = OFF
PRAGMA database_list
SELECT * FROM pragma_database_list
SELECT file FROM pragma_database_list WHERE name = 'main'
SELECT load_extension('{dir}/evil.so')
SELECT load_extension('{dir}/evil.so', 'entry')
SELECT count(load_extension('x')) FROM orders
SELECT fts3_tokenizer('simple')
SELECT fts3_tokenizer('simple', x'0000000000000000')
SELECT readfile('{secret}')
SELECT writefile('{dir}/made.txt', 'x')
SELECT edit('x', 'vi')
SELECT * FROM fsdir('{dir}')
SELECT * FROM csv('{secret}')
INSERT INTO categories VALUES (99, 'x')
INSERT INTO categories VALUES (99, 'x') RETURNING id
INSERT OR REPLACE INTO categories VALUES (1, 'x')
REPLACE INTO categories VALUES (1, 'x')
INSERT INTO categories VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x'
INSERT INTO categories SELECT id + 100, name || 'x' FROM categories
UPDATE orders SET total = 0
UPDATE orders SET total = 0 WHERE id = 1 RETURNING total
UPDATE OR IGNORE orders SET id = 1
DELETE FROM orders
DELETE FROM orders RETURNING id
WITH gone AS (SELECT id FROM orders) DELETE FROM orders WHERE id IN (SELECT id FROM gone)
WITH new (id, name) AS (VALUES (99, 'x')) INSERT INTO categories SELECT id, name FROM new
WITH x AS (SELECT 1) UPDATE orders SET total = 0 WHERE id IN (SELECT * FROM x)
CREATE TABLE x (a)
CREATE TABLE x AS SELECT * FROM orders
CREATE TEMP TABLE x (a)
CREATE TEMPORARY TABLE x AS SELECT * FROM orders
CREATE VIEW x AS SELECT 1
CREATE TEMP VIEW orders AS SELECT 1
CREATE INDEX x ON orders (total)
CREATE UNIQUE INDEX x ON orders (id)
CREATE TRIGGER x AFTER INSERT ON orders BEGIN DELETE FROM orders; END
CREATE TEMP TRIGGER x AFTER INSERT ON orders BEGIN SELECT 1; END
CREATE VIRTUAL TABLE x USING fts5(a)
CREATE VIRTUAL TABLE temp.x USING rtree(id, a, b)
DROP TABLE orders
DROP TABLE IF EXISTS orders
DROP VIEW revenue_by_country
DROP INDEX orders_by_customer
ALTER TABLE orders RENAME TO x
ALTER TABLE orders ADD COLUMN x
ALTER TABLE orders DROP COLUMN total
ALTER TABLE orders RENAME COLUMN total TO x
REINDEX
ANALYZE
BEGIN
BEGIN IMMEDIATE
BEGIN EXCLUSIVE
SAVEPOINT x
COMMIT
ROLLBACK
SELECT 1; DELETE FROM orders
SELECT 1; ATTACH '{dir}/made.db' AS x
SELECT 1; SELECT load_extension('x')
SELECT ';' ; DROP TABLE orders
EXPLAIN DELETE FROM orders
EXPLAIN QUERY PLAN DELETE FROM orders
EXPLAIN ATTACH '{dir}/made.db' AS x
INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x (a)')
UPDATE sqlite_schema SET sql = 'x'
DELETE FROM sqlite_schema
SELECT zeroblob(1000000000)
SELECT randomblob(2000000000)
SELECT hex(zeroblob(16000000))
SELECT printf('%.*c', 400000000, 'x')
SELECT replace(hex(zeroblob(4000000)), '0', 'xxxxxxxxxx')
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r
WITH RECURSIVE r (n, x) AS (SELECT 1, zeroblob(900000) UNION ALL SELECT n + 1, zeroblob(900000 + n) FROM r) SELECT count(DISTINCT x) FROM r
SELECT count(*) FROM order_items a, order_items b, order_items c, order_items d
SELECT group_concat(a.total || b.total || c.total) FROM orders a, orders b, orders c
