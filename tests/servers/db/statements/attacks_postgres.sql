INSERT INTO categories VALUES (99, 'x')
INSERT INTO categories VALUES (99, 'x') RETURNING id
INSERT INTO categories VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x' RETURNING id
UPDATE orders SET total = 0
UPDATE orders SET total = 0 RETURNING id
DELETE FROM orders
DELETE FROM orders RETURNING id
TRUNCATE orders
MERGE INTO categories AS c USING (SELECT 1 AS id) AS s ON c.id = s.id WHEN MATCHED THEN DELETE
WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone
WITH new AS (INSERT INTO categories VALUES (99, 'x') RETURNING id) SELECT * FROM new
WITH changed AS (UPDATE orders SET total = 0 RETURNING id) SELECT count(*) FROM changed
SELECT * INTO x FROM orders
SELECT * INTO TEMP x FROM orders
SELECT * FROM orders FOR UPDATE
SELECT * FROM orders FOR SHARE
CREATE TABLE x (a INT)
CREATE TABLE x AS SELECT 1
CREATE TEMP TABLE x (a INT)
CREATE TEMP TABLE x AS SELECT 1 AS a
CREATE VIEW x AS SELECT 1
CREATE TEMP VIEW x AS SELECT 1
CREATE MATERIALIZED VIEW x AS SELECT 1
CREATE INDEX x ON orders (total)
CREATE FUNCTION x() RETURNS INT LANGUAGE sql AS 'SELECT 1'
CREATE ROLE x
CREATE DATABASE x
CREATE SCHEMA x
CREATE EXTENSION vector
CREATE EXTENSION dblink
CREATE EXTENSION file_fdw
CREATE TRIGGER x AFTER INSERT ON orders EXECUTE FUNCTION x()
DROP TABLE orders
DROP OWNED BY reader
ALTER TABLE orders ADD COLUMN x INT
ALTER ROLE reader SUPERUSER
ALTER SYSTEM SET shared_buffers = '1GB'
GRANT ALL ON orders TO reader
REVOKE SELECT ON orders FROM reader
COMMENT ON TABLE orders IS 'x'
SECURITY LABEL ON TABLE orders IS 'x'
COPY orders TO '{dir}/made.csv'
COPY orders TO PROGRAM 'cat > {dir}/made.csv'
COPY (SELECT 1) TO '{dir}/made.csv'
COPY orders FROM '{secret}'
COPY orders FROM PROGRAM 'cat {secret}'
COPY orders TO STDOUT
SELECT pg_read_file('{secret}')
SELECT pg_read_file('/etc/passwd')
SELECT * FROM pg_read_file('postgresql.conf')
SELECT pg_read_binary_file('{secret}')
SELECT pg_stat_file('{secret}')
SELECT * FROM pg_ls_dir('{dir}')
SELECT * FROM pg_ls_logdir()
SELECT * FROM pg_ls_waldir()
SELECT * FROM pg_ls_tmpdir()
SELECT * FROM pg_hba_file_rules
SELECT * FROM pg_file_settings
SELECT * FROM pg_authid
SELECT passwd FROM pg_shadow
SELECT lo_import('{secret}')
SELECT lo_export(1, '{dir}/made.bin')
SELECT lo_create(0)
SELECT lo_creat(-1)
SELECT lo_from_bytea(0, 'x')
SELECT lo_unlink(1)
SELECT lo_put(1, 0, 'x')
SELECT dblink('dbname=postgres', 'DROP TABLE orders')
SELECT * FROM dblink('host=127.0.0.1 dbname=postgres', 'SELECT 1') AS t (a INT)
SELECT dblink_exec('dbname=postgres', 'DROP TABLE orders')
SELECT dblink_connect('host=example.org')
SELECT nextval('ids')
SELECT setval('ids', 100)
SELECT currval('ids')
SELECT pg_reload_conf()
SELECT pg_rotate_logfile()
SELECT pg_switch_wal()
SELECT pg_create_restore_point('x')
SELECT pg_start_backup('x')
SELECT pg_backup_start('x')
SELECT pg_promote()
SELECT pg_stat_reset()
SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)
SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)
SELECT pg_create_physical_replication_slot('x')
SELECT pg_replication_origin_create('x')
SELECT pg_notify('x', 'y') FROM lo_create(0)
SELECT set_config('log_statement', 'all', false)
SELECT set_config('session_preload_libraries', 'evil', false)
SELECT set_config('transaction_read_only', 'off', false)
SELECT set_config('role', 'postgres', false)
SET TRANSACTION READ WRITE
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
SET default_transaction_read_only = off
SET statement_timeout = 0
SET ROLE postgres
SET SESSION AUTHORIZATION postgres
RESET ALL
DISCARD ALL
BEGIN
BEGIN READ WRITE
START TRANSACTION READ WRITE
COMMIT
ROLLBACK
SAVEPOINT x
PREPARE TRANSACTION 'x'
COMMIT AND CHAIN
LOCK TABLE orders IN ACCESS EXCLUSIVE MODE
LOCK TABLE orders IN ACCESS SHARE MODE
LISTEN x
NOTIFY x, 'y'
LOAD 'evil'
LOAD '{dir}/evil.so'
DO $$ BEGIN DELETE FROM orders; END $$
DO $$ BEGIN COMMIT; DELETE FROM orders; END $$
CALL x()
PREPARE x AS DELETE FROM orders
EXECUTE x
DEALLOCATE ALL
DECLARE x CURSOR WITH HOLD FOR SELECT 1
FETCH ALL FROM x
VACUUM
VACUUM FULL orders
ANALYZE
REINDEX DATABASE shop
CLUSTER
CHECKPOINT
REFRESH MATERIALIZED VIEW revenue_by_country
IMPORT FOREIGN SCHEMA x FROM SERVER y INTO public
EXPLAIN ANALYZE DELETE FROM orders
EXPLAIN (ANALYZE) INSERT INTO categories VALUES (99, 'x')
EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1
SELECT 1; DELETE FROM orders
SELECT 1; COMMIT; DELETE FROM orders
COMMIT; DELETE FROM orders
SELECT ';'; DROP TABLE orders
SELECT query_to_xml('DELETE FROM orders RETURNING id', true, false, '')
SELECT database_to_xml(true, false, lo_create(0)::text)
SELECT ts_stat('DELETE FROM orders RETURNING to_tsvector(id::text)')
SELECT pg_sleep(60)
SELECT pg_sleep_until(now() + interval '1 hour')
SELECT count(*) FROM generate_series(1, 100000000000)
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r
SELECT repeat('x', 1000000000) || repeat('x', 1000000000)
SELECT count(*) FROM order_items a, order_items b, order_items c, order_items d WHERE a.quantity + b.quantity + c.quantity > d.quantity
CREATE EXTENSION postgres_fdw
CREATE FOREIGN DATA WRAPPER evil
CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'example.org')
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw
CREATE USER MAPPING FOR CURRENT_USER SERVER away
CREATE FOREIGN TABLE leak (line TEXT) SERVER files OPTIONS (filename '{secret}')
IMPORT FOREIGN SCHEMA public FROM SERVER away INTO public
ALTER SERVER away OPTIONS (SET host 'example.org')
SELECT postgres_fdw_get_connections()
SELECT dblink_connect_u('host=127.0.0.1')
SELECT dblink_send_query('x', 'DROP TABLE orders')
SELECT dblink_open('x', 'SELECT 1')
