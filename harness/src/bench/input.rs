//! Requests, made before a run: tokens, users and bodies that no cache has seen, and what a right
//! answer to each is.

/// One request of a scenario.
#[derive(Clone, Debug)]
pub struct Input {
    /// The bytes on the wire, as k6 would send them.
    pub bytes: Vec<u8>,
}
