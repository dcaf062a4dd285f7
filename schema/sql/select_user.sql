SELECT id, name, email, address, city, country FROM users WHERE id = $1
