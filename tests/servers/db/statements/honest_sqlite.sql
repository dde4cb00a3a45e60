PRAGMA table_info(orders)
PRAGMA table_xinfo('orders')
PRAGMA table_list
PRAGMA index_list(orders)
PRAGMA index_info(orders_by_customer)
PRAGMA foreign_key_list(orders)
PRAGMA foreign_key_check
PRAGMA user_version
PRAGMA schema_version
PRAGMA encoding
PRAGMA page_count
PRAGMA page_size
PRAGMA freelist_count
PRAGMA journal_mode
PRAGMA integrity_check
PRAGMA quick_check
PRAGMA compile_options
PRAGMA function_list
PRAGMA collation_list
SELECT name, type FROM pragma_table_info('customers')
SELECT m.name, p.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS p WHERE m.type = 'table'
SELECT sql FROM sqlite_master WHERE name = 'orders'
EXPLAIN QUERY PLAN SELECT * FROM orders WHERE customer_id = 1
EXPLAIN SELECT 1
SELECT json_extract('{"a": [1, 2]}', '$.a[1]')
SELECT '{"a": 1}' ->> 'a', '{"a": [1]}' -> '$.a'
SELECT json_group_array(name) FROM categories
SELECT json_group_object(name, price) FROM products
SELECT key, value FROM json_each('{"a": 1, "b": 2}')
SELECT fullkey, atom FROM json_tree('{"a": {"b": [1, 2]}}')
SELECT json_object('id', id, 'total', total) FROM orders LIMIT 2
SELECT json_valid('[1]'), json_type('{"a": 1}', '$.a'), json_array_length('[1, 2, 3]')
SELECT strftime('%Y-%m', placed_at) AS month, COUNT(*) FROM orders GROUP BY month ORDER BY month
SELECT date('now'), datetime('2024-01-31', '+1 month', 'start of month'), julianday('2024-01-01')
SELECT unixepoch('2024-01-01'), time('12:00:00', '+90 minutes')
SELECT group_concat(name, ', ') FROM categories
SELECT printf('%08.3f|%5s|%d', 3.14159, 'x', 42), format('%,d', 1234567)
SELECT typeof(total), typeof(name), typeof(NULL) FROM orders JOIN customers ON customers.id = customer_id LIMIT 1
SELECT total(total), sum(total) FROM orders
SELECT iif(total > 100, 'large', 'small') FROM orders LIMIT 3
SELECT name FROM products WHERE name GLOB 'Oak*'
SELECT name FROM customers WHERE name = 'ada moreau' COLLATE NOCASE
SELECT instr('haystack', 'st'), char(65, 66), unicode('A'), hex('abc'), quote('it''s')
SELECT max(1, 5, 3), min('b', 'a')
SELECT rowid, name FROM categories
SELECT customer_id, max(total), placed_at FROM orders GROUP BY customer_id
SELECT changes(), total_changes(), last_insert_rowid(), sqlite_version()
SELECT random() IS NOT NULL, length(randomblob(16)), length(zeroblob(10))
SELECT id FROM orders WHERE (customer_id, status) IN (SELECT customer_id, 'paid' FROM orders)
SELECT nth_value(total, 2) OVER (PARTITION BY status ORDER BY id RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM orders
SELECT sum(total) OVER (ORDER BY id GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) FROM orders
WITH a AS MATERIALIZED (SELECT * FROM orders) SELECT COUNT(*) FROM a
SELECT * FROM orders INDEXED BY orders_by_customer WHERE customer_id = 3
SELECT name, ltrim(name, 'O'), substr(name, -3) FROM products LIMIT 2
SELECT round(1234.5678, 2), ceil(1.2), floor(1.8), pow(2, 10), sqrt(16), pi()
