-- The only table of the suite and its seed row. A second run changes nothing.
CREATE TABLE IF NOT EXISTS users (
    id      text PRIMARY KEY,
    name    text NOT NULL,
    email   text NOT NULL,
    address text NOT NULL,
    city    text NOT NULL,
    country text NOT NULL
);

INSERT INTO users (id, name, email, address, city, country)
VALUES ('user-123', 'Ada Lovelace', 'ada@example.com', '12 Mayfair Place', 'London', 'United Kingdom')
ON CONFLICT (id) DO NOTHING;
