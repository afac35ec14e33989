//! The first message of a TLS client, read as far as it says where it wants to go.
//!
//! It is never changed and never trusted: the name in it has to be the one that was judged. A hello without
//! a name, with two, or with an encrypted one (ECH) could end at another host behind the same address. Not by rustls's
//! `Acceptor`: what it shows of a hello does not say whether an encrypted name is in it.

/// What can be said about bytes that may be a hello.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientHello {
    /// Not all of it is there yet.
    Partial,
    /// The name that it asks for, as it stands there.
    For(String),
    /// Not one that is let through.
    Refused(&'static str),
}

/// The longest hello that is read, in bytes of TLS records.
pub(super) const HELLO_MAX_BYTES: usize = 64 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ENCRYPTED_HELLO: u16 = 0xfe0d;
/// The extension of the drafts before it.
const ENCRYPTED_NAME: u16 = 0xffce;

/// Reads what has arrived so far.
pub(super) fn read(bytes: &[u8]) -> ClientHello {
    match message(bytes) {
        Ok(Some(hello)) => client_hello(&hello).unwrap_or(ClientHello::Refused("a garbled TLS hello")),
        Ok(None) if bytes.len() > HELLO_MAX_BYTES => ClientHello::Refused("a TLS hello that does not end"),
        Ok(None) => ClientHello::Partial,
        Err(why) => ClientHello::Refused(why),
    }
}

/// The handshake message out of its records, once it is whole.
fn message(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut message = Vec::new();
    loop {
        match bytes.first() {
            None => return Ok(None),
            Some(&HANDSHAKE) => {}
            Some(_) => return Err("no TLS"),
        }
        // The second byte of the version is not looked at: clients write 1, 2 or 3 there.
        if bytes.get(1).is_some_and(|major| *major != 3) {
            return Err("no TLS");
        }
        let Some(([_, _, _, high, low], rest)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length == 0 || length > 1 << 14 {
            return Err("no TLS");
        }
        let whole = rest.len() >= length;
        let (fragment, rest) = rest.split_at(rest.len().min(length));
        message.extend_from_slice(fragment);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err("TLS that does not begin with a hello");
        }
        if let Some([_, a, b, c]) = message.first_chunk::<4>() {
            let length = 4 + u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if length > HELLO_MAX_BYTES {
                return Err("a TLS hello that is too long");
            }
            if message.len() > length {
                return Err("TLS with more than a hello");
            }
            if message.len() == length {
                // What a fragment promises beyond the hello would be another message.
                return if whole {
                    Ok(Some(message.split_off(4)))
                } else {
                    Err("TLS with more than a hello")
                };
            }
        }
        if !whole {
            return Ok(None);
        }
        bytes = rest;
    }
}

fn client_hello(mut body: &[u8]) -> Option<ClientHello> {
    take(&mut body, 2 + 32)?;
    for width in [1, 2, 1] {
        // Session, cipher suites, compression.
        vector(&mut body, width)?;
    }
    let mut extensions = vector(&mut body, 2)?;
    if !body.is_empty() {
        return None;
    }
    let mut name = None;
    while !extensions.is_empty() {
        let kind = number(&mut extensions)?;
        let value = vector(&mut extensions, 2)?;
        match kind {
            ENCRYPTED_HELLO | ENCRYPTED_NAME => {
                return Some(ClientHello::Refused("an encrypted hello (ECH), whose name cannot be seen"));
            }
            SERVER_NAME if name.is_some() => return Some(ClientHello::Refused("a TLS hello with two names")),
            SERVER_NAME => name = Some(server_name(value)?),
            _ => {}
        }
    }
    Some(name.map_or(ClientHello::Refused("a TLS hello without a name (SNI)"), ClientHello::For))
}

/// The one host name of the list.
fn server_name(mut value: &[u8]) -> Option<String> {
    let mut list = vector(&mut value, 2)?;
    let kind = take(&mut list, 1)?;
    let name = vector(&mut list, 2)?;
    if kind != [0] || !list.is_empty() || !value.is_empty() {
        return None;
    }
    String::from_utf8(name.to_vec()).ok()
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<u16> {
    let taken = take(bytes, 2)?;
    taken.first_chunk::<2>().map(|pair| u16::from_be_bytes(*pair))
}

/// Bytes with their length before them, in `width` bytes.
fn vector<'a>(bytes: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let length = take(bytes, width)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    take(bytes, length)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn sized(width: usize, inner: &[u8]) -> Vec<u8> {
        [&(inner.len() as u64).to_be_bytes()[8 - width..], inner].concat()
    }

    fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &sized(2, value)].concat()
    }

    /// The extension that names a host.
    pub(in crate::broker) fn sni(name: &str) -> Vec<u8> {
        extension(0, &sized(2, &[&[0], &sized(2, name.as_bytes())[..]].concat()))
    }

    /// A hello with these extensions, in one record.
    pub(in crate::broker) fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend(sized(1, &[9; 32]));
        body.extend(sized(2, &[0x13, 0x01]));
        body.extend(sized(1, &[0]));
        body.extend(sized(2, &extensions.concat()));
        record(&[&[1], &sized(3, &body)[..]].concat())
    }

    fn record(fragment: &[u8]) -> Vec<u8> {
        [&[22, 3, 1][..], &sized(2, fragment)].concat()
    }

    #[test]
    fn the_name_is_found_and_what_hides_it_is_refused() {
        let good = hello(&[extension(43, &[2, 3, 4]), sni("api.allowed.com")]);
        assert_eq!(read(&good), ClientHello::For("api.allowed.com".into()));
        let refused = |bytes: &[u8], why: &str| match read(bytes) {
            ClientHello::Refused(said) => assert!(said.contains(why), "{said}"),
            other => unreachable!("{why}: {other:?}"),
        };
        refused(&hello(&[extension(43, &[2, 3, 4])]), "without a name");
        refused(&hello(&[sni("a.b"), sni("c.d")]), "two names");
        refused(&hello(&[sni("a.b"), extension(ENCRYPTED_HELLO, &[0; 8])]), "ECH");
        refused(b"GET / HTTP/1.1\r\n", "no TLS");
        refused(b"SSH-2.0-x\r\n", "no TLS");
        refused(&[22, 3, 1, 0, 0], "no TLS");
        refused(&[22, 3, 1, 0, 4, 2, 0, 0, 0], "not begin");
        refused(&[22, 3, 1, 0, 4, 1, 255, 255, 255], "too long");
        let two = [0, 0, 14, 0, 12, 0, 0, 1, b'a', 0, 0, 1, b'b'];
        refused(&hello(&[extension(0, &two[2..])]), "garbled");
    }

    #[test]
    fn a_hello_in_pieces_waits_for_all_of_them_and_reads_the_same() {
        let whole = hello(&[sni("api.allowed.com")]);
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), ClientHello::Partial, "{cut}");
        }
        let inner = &whole[5..];
        for cut in 1..inner.len() {
            let split = [record(&inner[..cut]), record(&inner[cut..])].concat();
            assert_eq!(read(&split), ClientHello::For("api.allowed.com".into()), "{cut}");
        }
        let smuggled = record(&[inner, b"x"].concat());
        assert!(matches!(read(&smuggled), ClientHello::Refused(_)));
    }

    #[test]
    fn no_change_of_a_byte_finds_another_name_without_being_that_name() {
        let whole = hello(&[extension(43, &[2, 3, 4]), sni("api.allowed.com")]);
        for at in 0..whole.len() {
            for flip in [1u8, 0x20, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                // It never panics, and what it finds is in the bytes.
                if let ClientHello::For(name) = read(&bytes) {
                    assert!(bytes.windows(name.len()).any(|w| w == name.as_bytes()), "{name}");
                }
            }
        }
    }
}
