-- A small shop to try Twinlake with. Everybody in it is invented; the same statements give the same rows every time.
-- Run it in an empty database:  createdb shop && psql -d shop -f docs/tutorial/shop.sql

SET TIME ZONE 'UTC';
SET max_parallel_workers_per_gather = 0;  -- random() shall be asked in one order
DO 'BEGIN PERFORM setseed(0.5); END';

CREATE TYPE payment AS ENUM ('card', 'invoice', 'transfer');

CREATE TABLE categories (
    code  text PRIMARY KEY,
    name  text NOT NULL
);

CREATE TABLE products (
    id        integer PRIMARY KEY,
    category  text NOT NULL REFERENCES categories,
    title     text NOT NULL,
    price     numeric(10, 2) NOT NULL
);

CREATE TABLE customers (
    id           bigint PRIMARY KEY,
    name         text NOT NULL,
    email        text NOT NULL UNIQUE,
    token        uuid NOT NULL UNIQUE,
    born         date,
    city         text NOT NULL,
    newsletter   boolean NOT NULL,
    preferences  jsonb NOT NULL,
    joined       timestamptz NOT NULL
);

CREATE TABLE orders (
    id        bigint PRIMARY KEY,
    customer  bigint NOT NULL REFERENCES customers,
    placed    timestamptz NOT NULL,
    payment   payment NOT NULL,
    shipping  numeric(10, 2) NOT NULL,
    gift      boolean NOT NULL
);

CREATE TABLE order_items (
    order_id  bigint NOT NULL REFERENCES orders,
    line      smallint NOT NULL,
    product   integer NOT NULL REFERENCES products,
    quantity  smallint NOT NULL,
    price     numeric(10, 2) NOT NULL,
    PRIMARY KEY (order_id, line)
);

INSERT INTO categories VALUES
    ('tea', 'Tea'), ('coffee', 'Coffee'), ('cups', 'Cups and pots'), ('sweets', 'Sweets'), ('books', 'Books');

INSERT INTO products
SELECT i, (ARRAY['tea', 'coffee', 'cups', 'sweets', 'books'])[1 + i % 5],
       (ARRAY['Green', 'Dark', 'Fine', 'Small', 'Old', 'New', 'Blue', 'Round'])[1 + i / 5] || ' '
           || (ARRAY['leaves', 'beans', 'pot', 'biscuits', 'stories'])[1 + i % 5],
       round((3 + 40 * random() ^ 2)::numeric, 2)
FROM generate_series(0, 39) AS i;

-- Young people take the newsletter; languages differ from city to city.
INSERT INTO customers
SELECT 1000 + 7 * i, first || ' ' || last, lower(first) || '.' || lower(last) || i || '@mail.test',
       md5('customer ' || i)::uuid, born, city, random() < CASE WHEN born > date '1988-01-01' THEN 0.7 ELSE 0.15 END,
       jsonb_build_object('language', CASE WHEN random() < 0.7 THEN 'de'
                                           WHEN city = 'Bern' THEN 'fr' WHEN city = 'Chur' THEN 'it' ELSE 'en' END,
                          'theme', (ARRAY['light', 'dark'])[1 + floor(2 * random())::integer]),
       timestamptz '2024-01-01' + interval '1 second' * floor(61200000 * random())
FROM (
    SELECT i, (ARRAY['Anna', 'Ben', 'Clara', 'David', 'Eva', 'Felix', 'Gina', 'Hugo'])[1 + floor(8 * random())::integer] AS first,
           (ARRAY['Ammann', 'Brunner', 'Caduff', 'Dubois', 'Egli', 'Ferrari', 'Graf'])[1 + floor(7 * random())::integer] AS last,
           (ARRAY['Bern', 'Bern', 'Bern', 'Basel', 'Basel', 'Chur'])[1 + floor(6 * random())::integer] AS city,
           CASE WHEN random() < 0.95 THEN date '2006-01-01' - (20000 * (1 - sqrt(random())))::integer END AS born
    FROM generate_series(1, 10000) AS i
) AS people;

-- Who takes the newsletter orders more; elder people pay by invoice; gifts come in a box that costs.
INSERT INTO orders
SELECT row_number() OVER (ORDER BY c.id, n) * 3 + 50000, c.id, c.joined + interval '1 second' * floor(14400000 * random()),
       CASE WHEN random() < 0.15 THEN 'transfer'
            WHEN random() < CASE WHEN c.born < date '1975-01-01' THEN 0.7 ELSE 0.25 END THEN 'invoice'
            ELSE 'card' END::payment,
       CASE WHEN gift THEN 7.90 ELSE (ARRAY[0, 0, 4.90])[1 + floor(3 * random())::integer] END, gift
FROM customers AS c, LATERAL (SELECT random() + 0 * c.id < 0.2 AS gift) AS wish, generate_series(1, 5) AS n
WHERE random() < CASE WHEN c.newsletter THEN 0.5 ELSE 0.25 END;

INSERT INTO order_items
SELECT o.id, line, p.id, 1 + floor(3 * random() ^ 2)::integer, p.price
FROM orders AS o
CROSS JOIN LATERAL generate_series(1, 1 + floor(3 * random() + 0 * o.id)::integer) AS line
CROSS JOIN LATERAL (SELECT floor(40 * random() ^ 1.5 + 0 * line)::integer AS chosen) AS choice
JOIN products AS p ON p.id = choice.chosen;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader') THEN
        CREATE ROLE reader LOGIN PASSWORD 'secret';  -- may read, and nothing else: all that Twinlake needs
    END IF;
END
$$;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
