//! The names that Redis knows topics by. A channel is the prefix, `c:` and the name of the topic; a stream has `t:`. Redis takes any bytes,
//! so nothing is escaped but in patterns, where `*?[]^\-` have a meaning.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::pattern::Pattern;

/// The names of one system.
pub(super) struct Keys {
    /// The numbering.
    pub(super) state: String,
    /// The last number of each topic.
    pub(super) topics: String,
    /// How far runs of the server have counted.
    pub(super) runs: String,
    /// What channels, streams and the last numbers of nodes begin with.
    pub(super) channels: String,
    pub(super) streams: String,
    nodes: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |name| [prefix, name].concat();
        let (state, topics, runs) = (key("state"), key("topics"), key("runs"));
        Self { state, topics, runs, channels: key("c:"), streams: key("t:"), nodes: key("n:") }
    }

    pub(super) fn channel(&self, topic: &str) -> String {
        [&self.channels, topic].concat()
    }

    pub(super) fn stream(&self, topic: &str) -> String {
        [&self.streams, topic].concat()
    }

    pub(super) fn node(&self, node: u64) -> String {
        alloc::format!("{}{node:x}", self.nodes)
    }

    /// The name of the topic that a channel is of.
    pub(super) fn topic<'c>(&self, channel: &'c [u8]) -> Option<&'c str> {
        core::str::from_utf8(channel.strip_prefix(self.channels.as_bytes())?).ok()
    }

    /// The patterns of Redis that stand for at least what ours does. Its `*` does not stop at a level's end, so they may stand for
    /// more.
    pub(super) fn globs(&self, pattern: &Pattern) -> Vec<String> {
        let mut glob = escape(&self.channels);
        let mut globs = Vec::new();
        for (index, level) in pattern.levels().enumerate() {
            if level == "#" && index > 0 {
                // None of them, too.
                globs.push(glob.clone());
            }
            if index > 0 {
                glob.push('/');
            }
            match level {
                "+" | "#" => glob.push('*'),
                name => glob.push_str(&escape(name)),
            }
        }
        globs.push(glob);
        globs
    }
}

fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '\\' | '-') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_ours_are_stars_and_those_of_redis_are_names() {
        let keys = Keys::new("a*:");
        let globs = |pattern: &str| keys.globs(&Pattern::new(pattern).unwrap());
        assert_eq!(globs("room/+/x"), ["a\\*:c:room/*/x"]);
        assert_eq!(globs("room/#"), ["a\\*:c:room", "a\\*:c:room/*"]);
        assert_eq!(globs("#"), ["a\\*:c:*"]);
        assert_eq!(globs("[a-b]?/+"), ["a\\*:c:\\[a\\-b\\]\\?/*"]);
    }

    #[test]
    fn channel_is_of_a_topic_or_of_none() {
        let keys = Keys::new("p:");
        assert_eq!(keys.topic(keys.channel("a b/ü").as_bytes()), Some("a b/ü"));
        assert_eq!((keys.topic(b"p:t:a"), keys.topic(b"p:c:\xff")), (None, None));
    }
}
