//! The traffic of a measurement: composed requests, every response judged and recorded.

use std::time::Instant;

use schema::routes;

use super::recorder::Recorder;
use super::traffic::{Exchange, Response, Traffic};
use crate::input::{Composer, Flaw, Request, Requests};
use crate::scenario::Scenario;

/// One thread's requests.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    scenario: Scenario,
    composer: Composer<'a>,
    /// Requests to be filled again.
    spare: Vec<Request>,
    /// The last right body, by user. An equal one is right too.
    right: Vec<Vec<u8>>,
    recorder: Recorder,
}

impl<'a> Judge<'a> {
    pub(super) fn new(requests: Requests<'a>, recorder: Recorder) -> Self {
        Self {
            scenario: requests.scenario,
            composer: Composer::new(requests),
            spare: Vec::new(),
            right: vec![Vec::new(); requests.users.len().max(1)],
            recorder,
        }
    }

    pub(super) fn into_recorder(self) -> Recorder {
        self.recorder
    }

    /// Compares a response with the expected one.
    ///
    /// # Errors
    /// The kind of the difference.
    fn judge(&mut self, request: &Request, response: &Response<'_>) -> Result<(), String> {
        let status = response.status;
        match request.flaw {
            Some(Flaw::ExpiredToken) if status == 401 => return Ok(()),
            // Frameworks differ in which of the two a malformed body is; `check` asks for 400.
            Some(Flaw::BrokenBody) if matches!(status, 400 | 422) => return Ok(()),
            Some(Flaw::ExpiredToken) => {
                return Err(format!("status {status} for an expired token"));
            }
            Some(Flaw::BrokenBody) => return Err(format!("status {status} for a broken body")),
            None if status != self.scenario.status() => return Err(format!("status {status}")),
            None => {}
        }
        if !response.is_json {
            return Err("content type".to_owned());
        }
        if !response.has_header {
            return Err(format!("header {}", routes::RESPONSE_ID));
        }
        if self.scenario == Scenario::Movies {
            return match self.composer.is_created(request, response.body) {
                true => Ok(()),
                false => self.composer.expected(request).check(response.body),
            };
        }
        let right = &mut self.right[request.user];
        if right != response.body {
            self.composer.expected(request).check(response.body)?;
            right.clear();
            right.extend_from_slice(response.body);
        }
        Ok(())
    }
}

impl Traffic for Judge<'_> {
    type Request = Request;

    fn next(&mut self, _scheduled: Instant) -> Request {
        let mut request = self.spare.pop().unwrap_or_default();
        self.composer.compose(&mut request);
        request
    }

    fn bytes<'a>(&'a self, request: &'a Request) -> &'a [u8] {
        &request.bytes
    }

    fn header(&self, _request: &Request) -> Option<&'static str> {
        (self.scenario == Scenario::Info).then_some(routes::RESPONSE_ID)
    }

    fn ended(&mut self, request: Request, exchange: &Exchange<'_>) {
        let at = exchange.ended;
        if exchange.is_repeated {
            self.recorder.resent(at);
        }
        match &exchange.result {
            Ok(response) => match self.judge(&request, response) {
                Ok(()) if request.flaw.is_some() => self.recorder.refused(at),
                Ok(()) => self.recorder.right(at, exchange.latency(), response.length),
                Err(kind) => self.recorder.error(at, &kind, response.length),
            },
            Err(failure) => self.recorder.error(at, failure.name(), 0),
        }
        self.spare.push(request);
    }

    fn unsent(&mut self, _scheduled: Instant) {
        self.recorder.error(Instant::now(), "not sent", 0);
    }

    fn unexpected_data(&mut self, at: Instant) {
        self.recorder.error(at, "length", 0);
    }
}
