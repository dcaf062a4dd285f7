//! The body of a request. A service may answer without reading it to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use crate::state::ConnectionState;

/// Longest rest of a body that is read and discarded, so that the connection can be kept.
const REST_MAX_BYTES: u64 = 64 * 1024;

/// The body of a request. If it is dropped before its end, a small rest is read and discarded; otherwise the answer
/// announces the close of the connection.
#[derive(Debug)]
pub struct RequestBody {
    /// None after the drop.
    incoming: Option<Incoming>,
    /// None if nothing is left to read.
    unread: Option<Arc<ConnectionState>>,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, state: &Arc<ConnectionState>) -> Self {
        let unread = (!incoming.is_end_stream()).then(|| Arc::clone(state));
        Self {
            incoming: Some(incoming),
            unread,
        }
    }

    fn incoming(&self) -> &Incoming {
        self.incoming.as_ref().expect("it is taken by drop only")
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let incoming = self.incoming.as_mut().expect("it is taken by drop only");
        let frame = ready!(Pin::new(incoming).poll_frame(context));
        match &frame {
            Some(Ok(_)) => {}
            // hyper closes the connection.
            Some(Err(_)) => drop(self.unread.take().map(|state| state.announce_close())),
            None => self.unread = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming().size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let (Some(mut rest), Some(state)) = (self.incoming.take(), self.unread.take()) else {
            return;
        };
        if rest.is_end_stream() {
            return;
        }
        let is_small = rest
            .size_hint()
            .upper()
            .is_some_and(|left| left <= REST_MAX_BYTES);
        match Handle::try_current() {
            Ok(runtime) if is_small && !state.expects_continue() => {
                // It ends with the connection too.
                runtime.spawn(async move { while let Some(Ok(_)) = rest.frame().await {} });
            }
            _ => state.announce_close(),
        }
    }
}
