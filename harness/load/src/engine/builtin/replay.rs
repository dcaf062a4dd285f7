//! The traffic of a measurement: prepared inputs in turn, judged and recorded.

use std::time::Instant;

use super::recorder::Recorder;
use super::traffic::{Exchange, Response, Traffic};
use crate::input::Input;

/// One of this many bodies is read where the length is that of an earlier right one.
const SAMPLE: u32 = 64;

/// One thread's requests.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    inputs: &'a [Input],
    /// Status of a right answer.
    status: u16,
    /// Index of the next input.
    next: usize,
    /// Length of the last right body, by input.
    lengths: Vec<Option<usize>>,
    /// Responses since a body was read.
    unread: u32,
    recorder: Recorder,
}

impl<'a> Replay<'a> {
    /// Creates the traffic of a thread that begins with the input of index `first`.
    pub(super) fn new(inputs: &'a [Input], status: u16, first: usize, recorder: Recorder) -> Self {
        Self {
            inputs,
            status,
            next: first,
            lengths: vec![None; inputs.len()],
            unread: 0,
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
    fn judge(&mut self, request: usize, response: &Response<'_>) -> Result<(), String> {
        let input = &self.inputs[request];
        if response.status != self.status {
            return Err(format!("status {}", response.status));
        }
        if !response.is_json {
            return Err("content type".to_owned());
        }
        if !response.has_header {
            return Err(format!("header {}", input.header.unwrap_or_default()));
        }
        let length = &mut self.lengths[request];
        self.unread += 1;
        if *length == Some(response.body.len()) && self.unread < SAMPLE {
            return Ok(());
        }
        self.unread = 0;
        input.expected.check(response.body)?;
        *length = Some(response.body.len());
        Ok(())
    }
}

impl Traffic for Replay<'_> {
    /// Index of an input.
    type Request = usize;

    fn next(&mut self, _scheduled: Instant) -> usize {
        let input = self.next;
        self.next = (input + 1) % self.inputs.len();
        input
    }

    fn bytes(&self, request: &usize) -> &[u8] {
        &self.inputs[*request].bytes
    }

    fn header(&self, request: &usize) -> Option<&'static str> {
        self.inputs[*request].header
    }

    fn ended(&mut self, request: usize, exchange: &Exchange<'_>) {
        let at = exchange.ended;
        match &exchange.result {
            Ok(response) => match self.judge(request, response) {
                Ok(()) => self.recorder.right(at, exchange.latency(), response.length),
                Err(kind) => self.recorder.error(at, &kind, response.length),
            },
            Err(failure) => self.recorder.error(at, failure.name(), 0),
        }
    }

    fn unsent(&mut self, _scheduled: Instant) {
        self.recorder.error(Instant::now(), "not sent", 0);
    }

    fn unexpected_data(&mut self, at: Instant) {
        self.recorder.error(at, "length", 0);
    }
}
