TABLE categories
SHOW server_version
SHOW search_path
EXPLAIN SELECT * FROM orders WHERE customer_id = 1
EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT COUNT(*) FROM orders
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM revenue_by_country
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders
SELECT percentile_disc(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY total) FROM orders
SELECT mode() WITHIN GROUP (ORDER BY status) FROM orders
SELECT rank(1000) WITHIN GROUP (ORDER BY total) FROM orders
SELECT status, percentile_cont(0.9) WITHIN GROUP (ORDER BY total) FILTER (WHERE total > 10) FROM orders GROUP BY status
SELECT DISTINCT ON (customer_id) customer_id, total FROM orders ORDER BY customer_id, total DESC
SELECT string_agg(name, ', ' ORDER BY name) FROM categories
SELECT array_agg(id ORDER BY id DESC) FROM categories
SELECT json_agg(c) FROM categories AS c
SELECT jsonb_object_agg(name, price) FROM products
SELECT jsonb_build_object('id', id, 'total', total) FROM orders LIMIT 2
SELECT '{"a": {"b": [1, 2]}}'::jsonb #> '{a,b}', '{"a": 1}'::jsonb ->> 'a', '{"a": 1}'::jsonb @> '{"a": 1}'
SELECT * FROM jsonb_each('{"a": 1, "b": 2}')
SELECT * FROM jsonb_array_elements('[1, 2, 3]')
SELECT * FROM jsonb_to_recordset('[{"a": 1}, {"a": 2}]') AS t (a INT)
SELECT jsonb_path_query('{"a": [1, 2, 3]}', '$.a[*] ? (@ > 1)')
SELECT * FROM jsonb_path_query('[1, 2]', '$[*]')
SELECT row_to_json(t) FROM (SELECT 1 AS a, 2 AS b) AS t
SELECT date_trunc('month', placed_at) AS month, COUNT(*) FROM orders GROUP BY 1 ORDER BY 1
SELECT EXTRACT(YEAR FROM placed_at), to_char(placed_at, 'YYYY-MM'), placed_at + INTERVAL '1 day' FROM orders LIMIT 2
SELECT age(TIMESTAMP '2024-03-01', TIMESTAMP '2023-01-15'), NOW() IS NOT NULL
SELECT * FROM generate_series(1, 5)
SELECT d::date FROM generate_series(DATE '2024-01-01', DATE '2024-01-05', INTERVAL '1 day') AS d
SELECT o.id, x.n FROM orders AS o, LATERAL (SELECT COUNT(*) AS n FROM order_items AS i WHERE i.order_id = o.id) AS x LIMIT 3
SELECT c.name, x.total FROM customers AS c LEFT JOIN LATERAL (SELECT total FROM orders WHERE customer_id = c.id ORDER BY total DESC LIMIT 1) AS x ON TRUE
SELECT status, customer_id, SUM(total) FROM orders GROUP BY ROLLUP (status, customer_id) LIMIT 5
SELECT status, country, COUNT(*) FROM orders JOIN customers ON customers.id = customer_id GROUP BY CUBE (status, country) LIMIT 5
SELECT status, GROUPING(status), COUNT(*) FROM orders GROUP BY GROUPING SETS ((status), ())
SELECT * FROM orders TABLESAMPLE SYSTEM (50) LIMIT 5
SELECT * FROM products WHERE name ILIKE '%oak%' ORDER BY price DESC NULLS LAST
SELECT name FROM products WHERE name ~ '^Oak' AND name !~* 'x$'
SELECT regexp_replace(name, '(\w+) (\w+)', '\2 \1'), split_part(name, ' ', 1) FROM products LIMIT 2
SELECT name FROM customers WHERE country = ANY (ARRAY['Japan', 'Kenya'])
SELECT unnest(ARRAY[1, 2, 3]), cardinality(ARRAY[1, 2]), ARRAY[1, 2] || 3
SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS t (x, n)
SELECT to_tsvector('english', name) @@ to_tsquery('english', 'oak') FROM products LIMIT 3
WITH a AS MATERIALIZED (SELECT * FROM orders) SELECT COUNT(*) FROM a
WITH a AS NOT MATERIALIZED (SELECT * FROM orders) SELECT COUNT(*) FROM a
WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SEARCH DEPTH FIRST BY n SET o SELECT * FROM t
SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'
SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' LIMIT 5
SELECT pg_size_pretty(pg_total_relation_size('orders')), current_database(), version()
SELECT obj_description('orders'::regclass), pg_get_viewdef('revenue_by_country'::regclass)
SELECT * FROM orders WHERE placed_at >= DATE '2024-01-01' AND placed_at < DATE '2024-02-01'
SELECT (o).id FROM orders AS o LIMIT 1
SELECT CASE WHEN GREATEST(1, 2) = 2 THEN LEAST(3, 4) END
SELECT FORMAT('%s has %s', name, stock), md5(name), width_bucket(price, 0, 600, 6) FROM products LIMIT 2
SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(1, 3)) AS t (a, b)
SELECT sum(total) OVER (ORDER BY placed_at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) FROM orders
SELECT sum(total) OVER (ORDER BY id GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM orders
SELECT 'infinity'::timestamp, '0044-03-15 BC'::date, INTERVAL '1 year 2 months'
SELECT '192.168.0.1/24'::inet, gen_random_uuid() IS NOT NULL, 'x'::bytea, B'101', '[1,5)'::int4range, 12.5::money
