//! Reading the stream of a topic, a page at a time.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::redis::Value;
use ::redis::aio::MultiplexedConnection;
use bytes::Bytes;

use super::super::backplane::{Arrived, BackplaneError, Publication};
use super::super::behind::Page;
use super::super::catch_up::Read;
use super::super::position::Position;
use super::inbox::bytes;
use super::{Common, failed, hex};

/// Which part of what is behind a position is read, where that is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Oldest,
    Newest,
}

/// Reads so many messages behind a position, or with a limit of 0 only how the topic stands: also its last message, whether that is
/// still there or not.
pub(super) async fn read(
    connection: &mut MultiplexedConnection,
    common: &Common,
    topic: &str,
    after: Position,
    limit: usize,
    which: Which,
) -> Result<(Position, Read), BackplaneError> {
    let mut call = common.scripts.read.prepare_invoke();
    call.key(&common.keys.state).key(&common.keys.topics).key(common.keys.stream(topic));
    let which = if which == Which::Oldest { "oldest" } else { "newest" };
    // The server counts with a sign.
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    call.arg(topic).arg(hex(after.epoch)).arg(after.sequence).arg(most).arg(which);
    let read: (String, u64, u64, Vec<Value>) = call.invoke_async(connection).await.map_err(failed)?;
    let (epoch, last, is_known, entries) = read;
    let epoch = u64::from_str_radix(&epoch, 16).map_err(BackplaneError::new)?;
    let at = |sequence| Position { epoch, sequence };
    let page = if entries.len() < limit { Page::Last } else { Page::More };
    let mut end = if is_known == 1 { after } else { at(0) };
    let mut is_complete = is_known == 1 && (!entries.is_empty() || last <= after.sequence);
    let name: Arc<str> = topic.into();
    let mut messages = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some((sequence, before, data)) = entry_of(entry) else {
            common.knowledge.ignore();
            continue;
        };
        is_complete &= before <= end.sequence;
        end = at(sequence);
        match Publication::decode(topic, data) {
            Ok(publication) => {
                let publication = Publication { topic: name.clone(), ..publication };
                messages.push(Arrived { publication, position: Some(end) });
            }
            Err(_) => common.knowledge.ignore(),
        }
    }
    Ok((at(last), Read { is_complete, messages, end, page }))
}

/// The number of an entry, that of the one before it, and its data; `None` if it is none of ours.
fn entry_of(entry: Value) -> Option<(u64, u64, Bytes)> {
    let Value::Array(entry) = entry else { return None };
    let [id, fields] = <[Value; 2]>::try_from(entry).ok()?;
    let Value::Array(fields) = fields else { return None };
    let [b, before, d, data] = <[Value; 4]>::try_from(fields).ok()?;
    if bytes(b)? != "b" || bytes(d)? != "d" {
        return None;
    }
    let number = |bytes: &[u8]| core::str::from_utf8(bytes).ok()?.parse().ok();
    let sequence = number(bytes(id)?.strip_suffix(b"-0")?)?;
    Some((sequence, number(&bytes(before)?)?, bytes(data)?))
}
