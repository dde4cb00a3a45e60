SELECT 1
SELECT 1 AS a, 'two' AS b, NULL AS c
VALUES (1, 'a'), (2, 'b')
SELECT * FROM orders LIMIT 5
SELECT COUNT(*) FROM orders
SELECT DISTINCT country FROM customers ORDER BY country
SELECT name FROM customers WHERE email IS NULL ORDER BY name
SELECT name FROM customers WHERE name LIKE 'A%' OR name LIKE '%o'
SELECT id, total FROM orders WHERE total BETWEEN 100 AND 200 ORDER BY total DESC
SELECT status, COUNT(*) AS n FROM orders GROUP BY status HAVING COUNT(*) > 10 ORDER BY n DESC
SELECT c.name, o.total FROM customers AS c JOIN orders AS o ON o.customer_id = c.id ORDER BY o.total DESC LIMIT 10
SELECT c.name, COUNT(o.id) FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id GROUP BY c.name
SELECT a.id, b.id FROM categories AS a CROSS JOIN categories AS b
SELECT a.name, b.name FROM products AS a JOIN products AS b ON a.category_id = b.category_id AND a.id < b.id LIMIT 20
SELECT name FROM products WHERE id IN (SELECT product_id FROM order_items WHERE quantity > 4)
SELECT name FROM customers AS c WHERE EXISTS (SELECT 1 FROM orders AS o WHERE o.customer_id = c.id AND o.status = 'cancelled')
SELECT name FROM customers AS c WHERE NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.customer_id = c.id)
SELECT name, price FROM products WHERE price > (SELECT AVG(price) FROM products)
SELECT name, (SELECT COUNT(*) FROM orders AS o WHERE o.customer_id = c.id) AS orders FROM customers AS c
SELECT country FROM customers UNION SELECT name FROM categories
SELECT country FROM customers UNION ALL SELECT city FROM customers
SELECT id FROM customers INTERSECT SELECT customer_id FROM orders
SELECT id FROM customers EXCEPT SELECT customer_id FROM orders
SELECT CASE WHEN total > 1000 THEN 'large' WHEN total > 100 THEN 'middle' ELSE 'small' END AS size, COUNT(*) FROM orders GROUP BY 1
SELECT COALESCE(email, 'none') FROM customers
SELECT NULLIF(stock, 0) FROM products
SELECT UPPER(name), LOWER(name), LENGTH(name) FROM products
SELECT TRIM('  x  ') || '!' AS x
SELECT SUBSTR(name, 1, 3) FROM products
SELECT REPLACE(name, 'Oak', 'Elm') FROM products
SELECT ROUND(AVG(total), 2) FROM orders
SELECT ABS(-3), 7 % 3, 7 / 2
SELECT MIN(total), MAX(total), SUM(total), AVG(total) FROM orders
SELECT COUNT(DISTINCT customer_id) FROM orders
SELECT CAST(total AS INTEGER) FROM orders LIMIT 3
SELECT SUM(CASE WHEN status = 'paid' THEN total ELSE 0 END) FROM orders
SELECT COUNT(*) FILTER (WHERE status = 'paid') AS paid, COUNT(*) AS every FROM orders
WITH big AS (SELECT * FROM orders WHERE total > 1000) SELECT COUNT(*) FROM big
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a), c AS (SELECT x + 1 AS x FROM b) SELECT * FROM a, b, c
WITH outermost AS (WITH inner_one AS (SELECT id, total FROM orders) SELECT * FROM inner_one WHERE total > 10) SELECT AVG(total) FROM outermost
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n
WITH RECURSIVE fib (a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM fib WHERE b < 100) SELECT a FROM fib
WITH spent AS (SELECT customer_id, SUM(total) AS sum FROM orders GROUP BY customer_id) SELECT c.name, s.sum FROM spent AS s JOIN customers AS c ON c.id = s.customer_id ORDER BY s.sum DESC LIMIT 5
SELECT id, total, ROW_NUMBER() OVER (ORDER BY total DESC) FROM orders
SELECT id, RANK() OVER (PARTITION BY status ORDER BY total DESC) FROM orders
SELECT id, DENSE_RANK() OVER (ORDER BY status) FROM orders
SELECT id, total, SUM(total) OVER (ORDER BY placed_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM orders
SELECT id, total, AVG(total) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING) FROM orders
SELECT id, LAG(total) OVER (ORDER BY id), LEAD(total, 2) OVER (ORDER BY id) FROM orders
SELECT id, FIRST_VALUE(total) OVER w, LAST_VALUE(total) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY id)
SELECT id, NTILE(4) OVER (ORDER BY total) FROM orders
SELECT id, PERCENT_RANK() OVER (ORDER BY total), CUME_DIST() OVER (ORDER BY total) FROM orders
SELECT * FROM (SELECT o.*, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY total DESC) AS place FROM orders AS o) AS ranked WHERE place = 1
SELECT status, total * 100.0 / SUM(total) OVER () AS share FROM orders
SELECT COUNT(*) OVER (PARTITION BY country), name FROM customers
SELECT * FROM revenue_by_country ORDER BY revenue DESC
SELECT "name" FROM "customers" WHERE "country" = 'Japan'
SELECT 'it''s' AS quoted, '; DROP TABLE orders' AS harmless
SELECT 'DELETE FROM orders' AS harmless -- a comment; with a semicolon
SELECT /* INSERT INTO x */ 1
SELECT COUNT(*) FROM orders;
SELECT name AS "update", price AS "delete" FROM products
SELECT o.id FROM orders AS o ORDER BY o.total DESC LIMIT 3 OFFSET 2
SELECT p.name, c.name FROM products AS p JOIN categories AS c ON c.id = p.category_id WHERE c.name <> 'Rugs'
SELECT o.id, COUNT(*), SUM(i.quantity * i.unit_price) FROM orders AS o JOIN order_items AS i ON i.order_id = o.id GROUP BY o.id ORDER BY 3 DESC LIMIT 5
SELECT EXISTS (SELECT 1 FROM products WHERE stock = 0) AS sold_out
SELECT 1 WHERE 1 = 2
SELECT MAX(LENGTH(name)) FROM customers
SELECT country, city, COUNT(*) FROM customers GROUP BY country, city ORDER BY 1, 2
SELECT * FROM customers AS c NATURAL JOIN (SELECT 1 AS id) AS one
