SHOW TABLES
SHOW ALL TABLES
DESCRIBE orders
DESCRIBE SELECT * FROM orders
SUMMARIZE orders
PRAGMA table_info('orders')
PRAGMA version
PRAGMA database_size
PRAGMA show_tables
EXPLAIN SELECT * FROM orders WHERE customer_id = 1
EXPLAIN ANALYZE SELECT COUNT(*) FROM orders
FROM orders SELECT status, COUNT(*) GROUP BY ALL ORDER BY ALL
FROM orders LIMIT 3
SELECT * EXCLUDE (total) FROM orders LIMIT 2
SELECT * REPLACE (total * 2 AS total) FROM orders LIMIT 2
SELECT COLUMNS('.*id') FROM orders LIMIT 2
SELECT id, total FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY total DESC) = 1
PIVOT orders ON status USING SUM(total) GROUP BY customer_id
PIVOT orders ON status IN ('paid', 'new') USING COUNT(*)
UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b
SELECT median(total), mode(status), quantile_cont(total, 0.9) FROM orders
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders
SELECT list(name ORDER BY name) FROM categories
SELECT string_agg(name, ', ' ORDER BY name) FROM categories
SELECT list_transform([1, 2, 3], lambda x: x * 2), [x + 1 for x in [1, 2]]
SELECT {'a': 1, 'b': [1, 2]} AS s, MAP {'k': 1} AS m
SELECT unnest([1, 2, 3])
SELECT json_extract('{"a": [1, 2]}', '$.a[1]'), '{"a": 1}' ->> 'a'
SELECT json_object('id', id, 'total', total) FROM orders LIMIT 2
SELECT date_trunc('month', placed_at) AS month, COUNT(*) FROM orders GROUP BY 1 ORDER BY 1
SELECT strftime(placed_at, '%Y-%m'), extract(year FROM placed_at), placed_at + INTERVAL 1 DAY FROM orders LIMIT 2
SELECT * FROM range(5)
SELECT * FROM generate_series(DATE '2024-01-01', DATE '2024-01-05', INTERVAL 1 DAY)
SELECT o.id, c.name FROM orders AS o ASOF JOIN customers AS c ON o.placed_at >= c.since LIMIT 3
SELECT o.id, x.n FROM orders AS o, LATERAL (SELECT COUNT(*) AS n FROM order_items AS i WHERE i.order_id = o.id) AS x LIMIT 3
SELECT status, customer_id, SUM(total) FROM orders GROUP BY ROLLUP (status, customer_id) LIMIT 5
SELECT status, country, COUNT(*) FROM orders JOIN customers ON customers.id = customer_id GROUP BY CUBE (status, country) LIMIT 5
SELECT status, COUNT(*) FROM orders GROUP BY GROUPING SETS ((status), ())
SELECT * FROM orders USING SAMPLE 10 ROWS
SELECT * FROM duckdb_tables()
SELECT table_name, column_name FROM information_schema.columns WHERE table_name = 'orders'
SELECT arg_max(id, total), arg_min(id, total) FROM orders
SELECT regexp_matches(name, '^O'), regexp_replace(name, 'k', 'x'), levenshtein(name, 'Oak') FROM products LIMIT 2
SELECT TRY_CAST('x' AS INTEGER), 1::VARCHAR, hash(1) IS NOT NULL
SELECT * FROM products WHERE name ILIKE '%oak%' ORDER BY price NULLS LAST
WITH a AS MATERIALIZED (SELECT * FROM orders) SELECT COUNT(*) FROM a
SELECT histogram(status) FROM orders
TABLE categories
SELECT current_database(), current_schema(), version()
SELECT bar(total, 0, 5000, 10) FROM orders LIMIT 3
