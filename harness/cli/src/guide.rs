//! What `up` ends with: where everything is, and requests to paste.

use std::fmt::{self, Display};

use schema::env::{JWT_SECRET, bench_value};
use schema::{fixtures, routes};

use testbed::terminal::{postgres_url, quoted, table, url};
use testbed::token;

/// Where a running suite is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guide {
    /// Port of the target.
    pub(crate) target_port: u16,
    /// Port of the upstream.
    pub(crate) upstream_port: u16,
    /// Port of Postgres.
    pub(crate) postgres_port: u16,
}

impl Display for Guide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = url(self.target_port);
        let rows = [
            [
                "target".to_owned(),
                target.clone(),
                "the four endpoints".to_owned(),
            ],
            [
                "upstream".to_owned(),
                url(self.upstream_port),
                "the product behind an API key, and its faults".to_owned(),
            ],
            [
                "postgres".to_owned(),
                postgres_url(self.postgres_port),
                "the seeded users; no durability".to_owned(),
            ],
        ];
        writeln!(
            formatter,
            "{}\n",
            table(["SERVICE", "URL", "WHAT IT IS"], rows)
        )?;

        let token = token::sign(&fixtures::claims(), bench_value(&JWT_SECRET));
        let bearer = format!("-H 'Authorization: Bearer {token}'");
        let movie = serde_json::to_string(&fixtures::new_movie()).map_err(|_| fmt::Error)?;
        let movie = format!("-H 'Content-Type: application/json' -d {}", quoted(&movie));
        writeln!(formatter, "curl -i {target}{}", routes::INFO)?;
        writeln!(formatter, "curl {target}{}", routes::CATALOG)?;
        writeln!(formatter, "curl {target}{} {bearer}", routes::USERS_ME)?;
        write!(
            formatter,
            "curl {target}{} {bearer} {movie}",
            routes::MOVIES
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide() -> String {
        Guide {
            target_port: 8000,
            upstream_port: 8001,
            postgres_port: 54320,
        }
        .to_string()
    }

    #[test]
    fn every_endpoint_has_a_line_to_paste() {
        let guide = guide();
        let lines: Vec<&str> = guide
            .lines()
            .filter(|line| line.starts_with("curl "))
            .collect();
        assert_eq!(lines.len(), 4);
        for path in [
            routes::INFO,
            routes::CATALOG,
            routes::USERS_ME,
            routes::MOVIES,
        ] {
            let url = format!("http://127.0.0.1:8000{path}");
            let named = lines
                .iter()
                .filter(|line| line.split(' ').any(|word| word == url));
            assert_eq!(named.count(), 1, "{path}");
        }
        let with_token = |line: &&&str| line.contains("Authorization: Bearer eyJ");
        assert_eq!(lines.iter().filter(with_token).count(), 2);
    }

    #[test]
    fn every_service_has_its_url() {
        let guide = guide();
        for url in [
            "http://127.0.0.1:8000 ",
            "http://127.0.0.1:8001 ",
            "@127.0.0.1:54320/",
        ] {
            assert!(guide.contains(url), "{url} in {guide}");
        }
    }
}
