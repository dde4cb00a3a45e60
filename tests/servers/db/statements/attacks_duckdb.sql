COPY orders TO '{dir}/made.csv'
COPY (SELECT 1) TO '{dir}/made.parquet' (FORMAT parquet)
COPY orders FROM '{secret}'
COPY FROM DATABASE shop TO memory
EXPORT DATABASE '{dir}/made'
IMPORT DATABASE '{dir}'
ATTACH '{dir}/made.duckdb' AS x
ATTACH '{secret_db}' AS x (TYPE sqlite)
ATTACH ':memory:' AS x
ATTACH 'https://example.org/x.duckdb' AS x
DETACH shop
SELECT * FROM read_csv('{secret}')
SELECT * FROM read_csv_auto('{secret}')
SELECT * FROM '{secret}'
SELECT * FROM read_text('{secret}')
SELECT * FROM read_blob('{secret}')
SELECT * FROM read_json('{secret}')
SELECT * FROM read_json_auto('{secret}')
SELECT * FROM read_ndjson('{secret}')
SELECT * FROM read_parquet('{secret}')
SELECT * FROM parquet_metadata('{secret}')
SELECT * FROM sniff_csv('{secret}')
SELECT * FROM glob('/etc/*')
SELECT * FROM glob('{dir}/*')
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM read_csv('https://example.org/x.csv')
SELECT * FROM sqlite_scan('{secret_db}', 'secrets')
SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'x')
INSTALL httpfs
INSTALL sqlite FROM community
FORCE INSTALL httpfs
LOAD httpfs
LOAD '{dir}/evil.duckdb_extension'
UPDATE EXTENSIONS
SET enable_external_access = true
SET GLOBAL enable_external_access = true
SET memory_limit = '64GB'
SET threads = 64
SET temp_directory = '{dir}'
SET lock_configuration = false
RESET lock_configuration
RESET memory_limit
SET allow_unsigned_extensions = true
SET python_enable_replacements = true
SET home_directory = '{dir}'
SET extension_directory = '{dir}'
SET log_query_path = '{dir}/made.log'
SET profiling_output = '{dir}/made.json'
PRAGMA enable_profiling
PRAGMA enable_profiling = 'json'
PRAGMA profiling_output = '{dir}/made.json'
PRAGMA log_query_path = '{dir}/made.log'
PRAGMA memory_limit = '64GB'
PRAGMA temp_directory = '{dir}'
PRAGMA threads = 64
CREATE TABLE x (a INTEGER)
CREATE TABLE x AS SELECT * FROM orders
CREATE TEMP TABLE x (a INTEGER)
CREATE OR REPLACE TEMP TABLE x AS SELECT 1
CREATE VIEW x AS SELECT 1
CREATE TEMP VIEW x AS SELECT 1
CREATE MACRO x() AS 1
CREATE TEMP MACRO x() AS 1
CREATE INDEX x ON orders (total)
CREATE SEQUENCE x
CREATE TYPE x AS ENUM ('a')
CREATE SCHEMA x
CREATE SECRET x (TYPE s3, KEY_ID 'a', SECRET 'b')
CREATE PERSISTENT SECRET x (TYPE s3, KEY_ID 'a', SECRET 'b')
DROP TABLE order_items
DROP VIEW revenue_by_country
ALTER TABLE orders ADD COLUMN x INTEGER
ALTER TABLE orders RENAME TO x
COMMENT ON TABLE orders IS 'x'
INSERT INTO categories VALUES (99, 'x')
INSERT INTO categories VALUES (99, 'x') RETURNING id
INSERT OR REPLACE INTO categories VALUES (1, 'x')
UPDATE orders SET total = 0
UPDATE orders SET total = 0 RETURNING id
DELETE FROM order_items
DELETE FROM order_items RETURNING order_id
TRUNCATE order_items
MERGE INTO categories USING (SELECT 1 AS id) AS s ON categories.id = s.id WHEN MATCHED THEN DELETE
WITH x AS (SELECT 1 AS id) DELETE FROM order_items WHERE order_id IN (SELECT id FROM x)
WITH x AS (SELECT 99, 'x') INSERT INTO categories SELECT * FROM x
EXPLAIN ANALYZE DELETE FROM order_items
EXPLAIN ANALYZE INSERT INTO categories VALUES (99, 'x')
EXPLAIN ANALYZE COPY orders TO '{dir}/made.csv'
BEGIN TRANSACTION
COMMIT
ROLLBACK
CHECKPOINT
FORCE CHECKPOINT
CALL force_checkpoint()
VACUUM
ANALYZE
USE memory
PREPARE x AS SELECT 1
EXECUTE x
DEALLOCATE x
SELECT 1; DELETE FROM order_items
SELECT 1; COPY orders TO '{dir}/made.csv'
SELECT 1; INSTALL httpfs
SELECT ';'; DROP TABLE order_items
SELECT * FROM query('DELETE FROM order_items')
SELECT * FROM query_table('{secret}')
SELECT count(*) FROM sys
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_csv(''/etc/passwd'')'))
SELECT repeat('x', 4000000000)
SELECT repeat('x', 100000) FROM range(100000000) ORDER BY 1
SELECT count(*) FROM range(100000000000)
SELECT length(list(i)::VARCHAR) FROM range(1000000000) AS t(i)
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r
SELECT count(*) FROM order_items a, order_items b, order_items c, order_items d WHERE a.quantity + b.quantity + c.quantity > d.quantity
