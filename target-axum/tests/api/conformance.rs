//! Every check of `harness check`. The other tests try what is promised beyond them.

use std::net::Ipv4Addr;

use conformance::{Database, Level, Options, Outcome, RecordingUpstream, Secrets, Subject, Target};
use testbed::postgres::TemporaryPostgres;

use crate::suite::each_profile;

#[test]
fn target_passes_every_check() {
    each_profile(|profile| {
        let secrets = Secrets::bench();
        let localhost = Ipv4Addr::LOCALHOST.into();
        let upstream = RecordingUpstream::start(localhost, 0, &secrets.api_key).unwrap();
        let postgres = TemporaryPostgres::start().unwrap();
        let target = profile.with(&[
            ("UPSTREAM_URL", &format!("http://{}", upstream.address())),
            ("DB_PORT", &postgres.port().to_string()),
        ]);
        let database = Database::of(postgres).unwrap();
        let address = Target::local(target.address());
        let subject = Subject::new(address, secrets, Some(upstream), Some(database));
        let report = conformance::run(subject, &Options::all_of(Level::Strict)).unwrap();
        let rows = report.checks.iter();
        let others: Vec<_> = rows.filter(|row| row.outcome != Outcome::Passed).collect();
        assert!(others.is_empty(), "{}: {others:#?}", profile.0);
    });
}
