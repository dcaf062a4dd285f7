//! The suite's SQL. The files are plain SQL so that a Postgres container can mount them.

/// Creates the `users` table and its seed row; running it again changes nothing.
pub const USERS: &str = include_str!("../sql/users.sql");

/// The only statement of the benchmark: the six columns of a `Profile` where `id = $1`.
pub const SELECT_USER: &str = include_str!("../sql/select_user.sql").trim_ascii_end();
