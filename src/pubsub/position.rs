//! Where a topic stands: what a client remembers, and says when it comes back.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// The place of a message in its topic: a number that rises with each message, and the epoch in which it was counted.
///
/// Where numbers start anew (the server was restarted, the topic had vanished meanwhile), the epoch is another one, so a
/// number of before is never taken for one of now. Two positions can be compared only where their epochs are the same.
///
/// It is for the hub, to find a place again. A client does not have to look for holes between the numbers, and cannot: a backplane
/// may leave numbers out, [`Member::publish_to_others`](super::Member::publish_to_others) leaves out its sender, and while a backplane
/// is away, and until what was sent meanwhile has come back, the node counts in an epoch of its own. What is missing is told by [`Event::Gap`](super::Event::Gap) and
/// [`Event::Skipped`](super::Event::Skipped); an application that wants to check that numbers its messages itself.
///
/// It is written as text, to be sent to clients, which need not understand it:
///
/// ```
/// use sockeye::pubsub::Position;
///
/// let position = Position { epoch: 0x5f3a, sequence: 17 };
/// assert_eq!(position.to_string(), "5f3a-17");
/// assert_eq!("5f3a-17".parse(), Ok(position));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Says which count it is: a random number, or what a backplane gives.
    pub epoch: u64,
    /// The number of the message; 0 is before the first.
    pub sequence: u64,
}

impl Position {
    /// Whether it is of the same epoch as another position, and not behind that.
    pub(super) fn is_same_or_before(self, other: Self) -> bool {
        self.epoch == other.epoch && self.sequence <= other.sequence
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.sequence)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    /// Reads what [`Display`](fmt::Display) wrote, and nothing else: a client may send anything.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, sequence) = text.split_once('-').ok_or(PositionError)?;
        let is_plain = |digits: &str, radix| digits.chars().all(|digit| digit.is_digit(radix));
        if !is_plain(epoch, 16) || !is_plain(sequence, 10) {
            return Err(PositionError);
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| PositionError)?;
        let sequence = sequence.parse().map_err(|_| PositionError)?;
        Ok(Self { epoch, sequence })
    }
}

/// The text is no [`Position`].
///
/// ```
/// use sockeye::pubsub::{Position, PositionError};
///
/// assert_eq!("seventeen".parse::<Position>(), Err(PositionError));   // clients may send anything
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a position in a topic: expected hexadecimal digits, `-` and decimal digits")]
pub struct PositionError;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(epoch: u64, sequence: u64) {
            let position = Position { epoch, sequence };
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<Position>();
        }
    }

    #[test]
    fn what_is_not_written_like_one_is_refused() {
        for text in ["", "-", "1", "1-", "-1", "+1-1", "1-+1", "g-1", "1-a", "1-1-1", "10000000000000000-1"] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
    }
}
