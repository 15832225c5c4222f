//! The names that NATS knows topics by. A level of a topic is a token of a subject: letters, digits, `-` and `_` as they are, every
//! other byte as `%` and two hexadecimal digits, because `.`, `*`, `>` and spaces have a meaning, and an empty level as a single `%`, because
//! no token may be empty.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::pattern::Pattern;

/// The subjects of one system.
pub(super) struct Subjects {
    /// What is before the tokens of a topic that is published, and of one that is subscribed to.
    published: String,
    subscribed: String,
}

impl Subjects {
    pub(super) fn new(prefix: &str, has_stream: bool) -> Self {
        let of = |letter| [prefix, ".", letter, "."].concat();
        match has_stream {
            true => Self { published: of("t"), subscribed: of("r") },
            false => Self { published: of("c"), subscribed: of("c") },
        }
    }

    /// The subject that a topic is published to, and stored under.
    pub(super) fn publish(&self, topic: &str) -> String {
        let mut subject = self.published.clone();
        push_levels(&mut subject, topic.split('/'));
        subject
    }

    /// All that is published.
    pub(super) fn all_published(&self) -> String {
        [&self.published, ">"].concat()
    }

    /// All that may be subscribed to.
    pub(super) fn all_subscribed(&self) -> String {
        [&self.subscribed, ">"].concat()
    }

    /// The subjects that stand for just what a pattern does.
    pub(super) fn subscribe(&self, pattern: &Pattern) -> Vec<String> {
        subjects(&self.subscribed, pattern)
    }

    /// The same among those that are stored.
    pub(super) fn stored(&self, pattern: &Pattern) -> Vec<String> {
        subjects(&self.published, pattern)
    }

    /// The topic that a subject is of which is subscribed to.
    pub(super) fn topic(&self, subject: &str) -> Option<String> {
        topic(subject.strip_prefix(&*self.subscribed)?)
    }

    /// The topic that a subject is of which is stored.
    pub(super) fn stored_topic(&self, subject: &str) -> Option<String> {
        topic(subject.strip_prefix(&*self.published)?)
    }
}

fn subjects(prefix: &str, pattern: &Pattern) -> Vec<String> {
    let levels: Vec<_> = pattern.levels().collect();
    let mut subjects = Vec::new();
    if let [above @ .., "#"] = &*levels {
        let mut subject = String::from(prefix);
        if !above.is_empty() {
            push_levels(&mut subject, above.iter().copied());
            // None of them, too.
            subjects.push(subject.clone());
            subject.push('.');
        }
        subject.push('>');
        subjects.push(subject);
    } else {
        let mut subject = String::from(prefix);
        push_levels(&mut subject, levels.into_iter());
        subjects.push(subject);
    }
    subjects
}

/// Writes levels as tokens; `+` is one that stands for any, and never in a name.
fn push_levels<'l>(subject: &mut String, levels: impl Iterator<Item = &'l str>) {
    for (index, level) in levels.enumerate() {
        if index > 0 {
            subject.push('.');
        }
        match level {
            "+" => subject.push('*'),
            "" => subject.push('%'),
            name => name.bytes().for_each(|byte| push_byte(subject, byte)),
        }
    }
}

fn push_byte(subject: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
        subject.push(char::from(byte));
    } else {
        subject.push('%');
        for digit in [byte >> 4, byte & 0xf] {
            subject.extend(char::from_digit(digit.into(), 16));
        }
    }
}

/// Reads tokens as levels, if they are as they are written here.
fn topic(tokens: &str) -> Option<String> {
    let mut topic = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.split('.').enumerate() {
        if index > 0 {
            topic.push(b'/');
        }
        if token == "%" {
            continue;
        }
        let mut bytes = token.bytes();
        while let Some(byte) = bytes.next() {
            topic.push(match byte {
                b'%' => {
                    let mut digit = || char::from(bytes.next()?).to_digit(16);
                    u8::try_from(digit()? << 4 | digit()?).ok()?
                }
                byte => byte,
            });
        }
    }
    let topic = String::from_utf8(topic).ok()?;
    let mut again = String::with_capacity(tokens.len());
    push_levels(&mut again, topic.split('/'));
    (again == tokens).then_some(topic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(pattern: &str) -> Vec<String> {
        Subjects::new("p", false).subscribe(&Pattern::new(pattern).unwrap())
    }

    #[test]
    fn wildcards_of_ours_are_those_of_nats_and_those_of_nats_are_names() {
        assert_eq!(of("room/+/x"), ["p.c.room.*.x"]);
        assert_eq!(of("room/#"), ["p.c.room", "p.c.room.>"]);
        assert_eq!((of("#"), of("+/#")), (vec!["p.c.>".into()], vec!["p.c.*".into(), "p.c.*.>".into()]));
        assert_eq!(of("a.b/*/>/ü"), ["p.c.a%2eb.%2a.%3e.%c3%bc"]);
        assert_eq!(of("/ /"), ["p.c.%.%20.%"]);
    }

    #[test]
    fn subject_that_is_written_otherwise_is_of_no_topic() {
        let subjects = Subjects::new("p", false);
        for subject in
            ["p.c.", "p.c.a..b", "p.c.a%", "p.c.%2", "p.c.%2E", "p.c.%61", "p.c.%2f", "p.c.%ff", "p.r.a", "p.c.a b"]
        {
            assert_eq!(subjects.topic(subject), None, "{subject}");
        }
        assert_eq!(subjects.topic("p.c.a.%.%2e").as_deref(), Some("a//."));
    }

    proptest! {
        #[test]
        fn topic_comes_back_from_its_subject(topic in "[^+#]{1,40}") {
            let subjects = Subjects::new("p", true);
            let subject = subjects.publish(&topic);
            prop_assert!(subject.split('.').all(|token| !token.is_empty()) && subject.is_ascii());
            prop_assert!(!subject.contains([' ', '*', '>', '\t', '\r', '\n']));
            prop_assert_eq!(subjects.stored_topic(&subject), Some(topic));
        }

        #[test]
        fn any_subject_is_of_a_topic_or_of_none(tokens: String) {
            let subjects = Subjects::new("p", false);
            let subject = ["p.c.", &tokens].concat();
            if let Some(topic) = subjects.topic(&subject) {
                prop_assert_eq!(subjects.publish(&topic), subject);
            }
        }
    }
}
