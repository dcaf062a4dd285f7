//! `GET /ready`, which names each dependency that does not answer.

use schema::ErrorCode;

use crate::suite::{assert_error_detail, each_profile, free_port, start_upstream};

#[test]
fn ready_is_ok_when_both_dependencies_answer_and_names_those_that_do_not() {
    each_profile(|profile| {
        let answer = profile.start().get("/ready");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        let port = free_port().to_string();
        let refusing = format!("http://127.0.0.1:{port}");
        let upstream = start_upstream(0);
        let [hanging, failing] = ["hang", "status-500"]
            .map(|fault| format!("http://{}/faults/{fault}", upstream.address()));
        let database = ErrorCode::DatabaseUnavailable.phrase();
        let catalog = ErrorCode::UpstreamUnavailable.phrase();
        for (variables, detail) in [
            (&[("DB_PORT", &*port)][..], database.to_owned()),
            (&[("DB_PASSWORD", "wrong")], database.to_owned()),
            (&[("UPSTREAM_URL", &*refusing)], catalog.to_owned()),
            (&[("UPSTREAM_URL", &*hanging)], catalog.to_owned()),
            (&[("UPSTREAM_URL", &*failing)], catalog.to_owned()),
            (
                &[("DB_PORT", &*port), ("UPSTREAM_URL", &*refusing)],
                format!("{database}, {catalog}"),
            ),
        ] {
            let answer = profile.with(variables).get("/ready");
            assert_error_detail(&answer, ErrorCode::NotReady, &detail);
        }
    });
}
