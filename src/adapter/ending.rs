//! How a connection ended, in the words of an adapter.

use alloc::vec::Vec;
use std::io::ErrorKind;

use super::Error;
use crate::connection::{Connection, EndCause};
use crate::time::Timeout;

/// How the connection ended, to be told again whenever asked: after a clean close, that is `Ok`.
///
/// `failure` broke the transport while the connection was not over. `expired` is the deadline that passed last: what
/// ended the connection is the first thing that did, and may be another one.
pub(crate) fn ending(
    connection: &mut Connection,
    failure: Option<ErrorKind>,
    expired: Option<Timeout>,
) -> Result<(), Error> {
    match (connection.end_cause(), connection.peer_close()) {
        (Some(EndCause::Violation(error)), _) => Err(error.clone().into()),
        (Some(EndCause::Timeout(timeout)), _) => Err(Error::Timeout(*timeout)),
        (Some(EndCause::Local | EndCause::Remote | EndCause::TransportLost) | None, Some(_)) => Ok(()),
        (Some(EndCause::Local | EndCause::Remote | EndCause::TransportLost) | None, None) => {
            // What the peer did wrong after our Close; a connection that failed says so again.
            connection.receive(&mut Default::default(), &mut Vec::new())?;
            Err(match (failure, expired) {
                (Some(kind), _) => Error::Io(kind.into()),
                // We closed, and the peer did not answer.
                (None, Some(timeout)) => Error::Timeout(timeout),
                (None, None) => Error::Lost,
            })
        }
    }
}
