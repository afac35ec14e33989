//! What the host and the agent inside a virtual machine tell each other. Compiled into both.
//!
//! A frame is one byte for its kind, four for its length (little end first), and that many bytes. Whoever
//! reads one takes nothing on trust: the length has a limit, an unknown kind ends the conversation.
#![allow(dead_code, reason = "one side writes what the other side reads")]

use super::wire::{Malformed, Reader, Writer};

/// Changes whenever this form does. The agent says it first.
pub const VERSION: u64 = 3;

/// The longest that one frame carries. What is longer comes in parts.
pub const PAYLOAD_MAX: usize = 64 << 10;

/// The longest order: its arguments and environment are what programs get from a command line.
pub const ORDER_MAX: usize = 4 << 20;

/// Bytes in front of each payload.
pub const HEADER: usize = 5;

/// Directories inside directories that are handed over.
pub const DEPTH_MAX: usize = 64;

/// The longest path that is handed over: that many names of the length that file systems allow.
pub const PATH_MAX: usize = (DEPTH_MAX + 1) * 256;

/// The port at which the agent listens inside, where there is vsock.
pub const VSOCK_PORT: u32 = 5_000;

/// The name of the port at which the agent finds us, where there is a virtual serial line.
pub const SERIAL_NAME: &str = "aecl";

/// Where the agent finds what is shown of the host: a directory or file for each view, named by its number.
pub const SHOWN: &str = "/shown";

/// Connections of the program that are open at a time. Who makes more waits in the kernel's queue.
pub const CONNECTIONS_MAX: u64 = 64;

/// How much of one connection in one direction, or of the program's input, may be on its way: sent, and not yet
/// passed on by the other end.
pub const WINDOW: u64 = 64 << 10;

/// What is said of the program's input has this number instead of a connection's.
pub const INPUT: u64 = u64::MAX;

/// Kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the agent, first: the version of this form.
    Hello,
    /// To the agent: a part of the order.
    Order,
    /// To the agent: the order is complete.
    OrderEnd,
    /// To the agent: for the program's standard input.
    Input,
    /// To the agent: there is no more input.
    InputEnd,
    /// From the agent: of the program's standard output.
    Stdout,
    /// From the agent: of its standard error.
    Stderr,
    /// From the agent: what the launcher inside reports, in its own form.
    Report,
    /// From the agent: something that the program left, see [`Left`].
    Left,
    /// From the agent: a part of the file that was named last.
    Content,
    /// From the agent, last: nothing more comes.
    Bye,
    /// From the agent: the program connected to the listener. This frame and those below begin with the number of
    /// the connection, which is less than [`CONNECTIONS_MAX`] and no other's.
    Open,
    /// Either way: bytes of a connection, at least one.
    Data,
    /// Either way: no more bytes come from this end.
    Shut,
    /// Either way: so many bytes were passed on, in eight bytes.
    Taken,
    /// Either way, once: this end has closed the connection. When both have, the number is free.
    Close,
}

const KINDS: [Kind; 16] = [
    Kind::Hello,
    Kind::Order,
    Kind::OrderEnd,
    Kind::Input,
    Kind::InputEnd,
    Kind::Stdout,
    Kind::Stderr,
    Kind::Report,
    Kind::Left,
    Kind::Content,
    Kind::Bye,
    Kind::Open,
    Kind::Data,
    Kind::Shut,
    Kind::Taken,
    Kind::Close,
];

/// The header of a frame with this payload, which is not longer than [`PAYLOAD_MAX`].
pub fn header(kind: Kind, length: usize) -> [u8; HEADER] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    [kind as u8, a, b, c, d]
}

/// What a header announces.
pub fn parse(header: [u8; HEADER]) -> Result<(Kind, usize), Malformed> {
    let [kind, a, b, c, d] = header;
    let kind = KINDS.get(usize::from(kind)).copied().ok_or(Malformed)?;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(|_| Malformed)?;
    if length > PAYLOAD_MAX {
        return Err(Malformed);
    }
    Ok((kind, length))
}

/// A payload that begins with a number.
pub fn number(number: u64, bytes: &[u8]) -> Vec<u8> {
    [&number.to_le_bytes(), bytes].concat()
}

/// The number with which a payload begins, and the rest of it.
pub fn numbered(payload: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let (number, rest) = payload.split_first_chunk().ok_or(Malformed)?;
    Ok((u64::from_le_bytes(*number), rest))
}

/// A count that is all that is left.
pub fn count(rest: &[u8]) -> Result<u64, Malformed> {
    rest.try_into().map(u64::from_le_bytes).map_err(|_| Malformed)
}

/// One thing below a writable place of the cage. The bytes of a file follow in frames of their own, if
/// [`Left::bytes_follow`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which place: 0 is `/scratch`, then the layers above views, in the order of the views.
    pub place: u64,
    /// Below the place, without a slash in front.
    pub path: Vec<u8>,
    pub is: Is,
    /// The permission bits, with set-user-ID and set-group-ID.
    pub mode: u64,
    pub links: u64,
    pub size: u64,
}

/// Type of a file that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    Directory,
    File,
    Symlink,
    Fifo,
    Socket,
    Device,
    Unknown,
    /// In a layer above a view: what was there in the view is deleted.
    Deleted,
    /// In a layer above a view: a directory that does not show what the view has in it.
    Anew,
}

/// All of them, by their numbers.
const IS: [Is; 9] = [
    Is::Directory,
    Is::File,
    Is::Symlink,
    Is::Fifo,
    Is::Socket,
    Is::Device,
    Is::Unknown,
    Is::Deleted,
    Is::Anew,
];

impl Left {
    /// Whether the bytes of this file follow, when those of others make this many. The scratch space held no
    /// more, but a file with a hole may say that it is larger than the whole machine.
    pub fn bytes_follow(&self, before: u64, scratch_bytes: u64) -> bool {
        self.is == Is::File && self.links == 1 && before.saturating_add(self.size) <= scratch_bytes
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::new());
        w.number(self.place);
        w.text(&self.path);
        w.number(self.is as u64);
        w.number(self.mode);
        w.number(self.links);
        w.number(self.size);
        w.0
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let left = Self {
            place: r.number()?,
            path: r.text()?,
            is: r.one_of(&IS)?,
            mode: r.number()?,
            links: r.number()?,
            size: r.number()?,
        };
        r.end()?;
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_means_one_thing_or_nothing(bytes in any::<[u8; HEADER]>()) {
            match parse(bytes) {
                Ok((kind, length)) => {
                    prop_assert!(length <= PAYLOAD_MAX);
                    prop_assert_eq!(header(kind, length), bytes);
                }
                Err(Malformed) => prop_assert!(
                    usize::from(bytes[0]) >= KINDS.len() || bytes[3] > 0 || bytes[4] > 0
                ),
            }
        }

        #[test]
        fn a_number_comes_first_or_there_is_none(bytes in vec(any::<u8>(), 0..30)) {
            match numbered(&bytes) {
                Ok((first, rest)) => {
                    prop_assert_eq!(number(first, rest), bytes.clone());
                    prop_assert_eq!(count(rest).is_ok(), rest.len() == 8);
                }
                Err(Malformed) => prop_assert!(bytes.len() < 8),
            }
        }

        #[test]
        fn anything_may_come_as_something_left(bytes in vec(any::<u8>(), 0..100)) {
            if let Ok(left) = Left::decode(&bytes) {
                prop_assert_eq!(left.encode(), bytes);
            }
        }

        #[test]
        fn what_is_left_arrives_as_it_was(
            (path, is) in (vec(any::<u8>(), 0..40), 0..IS.len()),
            numbers in any::<[u64; 4]>(),
        ) {
            let [place, mode, links, size] = numbers;
            let left = Left { place, path, is: IS[is], mode, links, size };
            prop_assert_eq!(Left::decode(&left.encode()), Ok(left));
        }
    }

    #[test]
    fn every_kind_has_its_own_number() {
        for (number, kind) in KINDS.iter().enumerate() {
            assert_eq!(parse(header(*kind, number)), Ok((*kind, number)));
        }
    }
}
