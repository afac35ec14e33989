//! Whether a value leads outside, whatever its argument is called. Stricter than what is looked for in a text, since the
//! value is all that there is: a reader takes it as it stands.
//!
//! An address with a scheme counts wherever it stands in the value. Anything else counts as an item of a list by itself:
//! `host.tld/path`, `//host`, `\\host\share`, `git@host:path`, a mailbox. A host alone carries nothing away but that it was
//! looked up (`acme.com`), unless it has labels to spare, which do, or the argument is called a place.

use super::{AROUND, after_scheme, entities, hosts, is_slash, plain};
use crate::define::catalogue::flow::Class;
use crate::define::catalogue::infer::{any, is_called_address, words};
use std::borrow::Cow;

/// Schemes that go out, whatever stands behind them.
#[rustfmt::skip]
const NETWORK: [&str; 54] = [
    "abfs", "abfss", "afp", "amqp", "amqps", "az", "cifs", "dav", "davs", "dict", "finger", "ftp", "ftps", "gemini", "git",
    "gopher", "gs", "hdfs", "http", "https", "imap", "imaps", "ipfs", "ipns", "irc", "ldap", "ldaps", "mongodb", "mqtt",
    "mysql", "nats", "nfs", "pop3", "postgres", "postgresql", "redis", "rediss", "rsync", "rtmp", "rtsp", "s3", "s3a", "scp",
    "sftp", "smb", "smtp", "smtps", "socks5", "ssh", "telnet", "tftp", "webdav", "ws", "wss",
];
/// Most bytes of a scheme that are looked at.
const SCHEME_MAX: usize = 32;
/// Between the items of a list.
const ITEMS: [char; 6] = [',', ';', '|', '\n', '\r', '\t'];
/// Words of arguments that are places, beside those that an import takes for addresses: a host alone leads there.
const PLACES: [&str; 24] = [
    "authority",
    "broker",
    "dsn",
    "forward",
    "fqdn",
    "gateway",
    "instance",
    "mirror",
    "mx",
    "nameserver",
    "netloc",
    "node",
    "origin",
    "peer",
    "registry",
    "relay",
    "remote",
    "resolver",
    "server",
    "smtp",
    "src",
    "tracker",
    "upstream",
    "webpage",
];
/// What a setting of a connection calls the host.
const HOST_KEYS: [&str; 5] = ["addr", "address", "host", "hostaddr", "server"];
/// How Windows begins a share, behind which a host stands.
const SHARES: [&str; 3] = [r"\\?\UNC\", r"\\.\UNC\", "//?/UNC/"];

/// The role of a destination that this value has, if it leads outside. `pointer` is where it stands. `text`: the argument
/// holds what is written or run, so that only a value of one word is an address.
pub(in super::super) fn leads(pointer: &str, value: &str, text: bool) -> Option<Class> {
    let shown = value.trim();
    let signs = |b: u8| matches!(b, b'.' | b':' | b'@' | b'/' | b'\\' | b'%' | b'&') || !b.is_ascii();
    if shown.len() < 4 || !shown.bytes().any(signs) || (text && shown.contains(char::is_whitespace)) {
        return None;
    }
    let place = is_place(pointer);
    readings(shown).iter().find_map(|reading| {
        let scheme = has_address(reading).then_some(Class::DestUrl);
        let set = || sets_host(reading).then_some(Class::DestUrl);
        scheme.or_else(set).or_else(|| reading.split(ITEMS).find_map(|item| of_item(item, place)))
    })
}

/// `host=acme.com user=x`, `Server=acme.com;Password=x`.
fn sets_host(text: &str) -> bool {
    text.split([' ', ';', '(', ')', '&']).filter_map(|part| part.split_once('=')).any(|(key, value)| {
        let named = HOST_KEYS.iter().any(|known| key.trim().eq_ignore_ascii_case(known));
        named && hosts::is_place(value.trim().trim_matches(['"', '\'']))
    })
}

/// The value as it stands, and as who follows it may read it: in plain letters, without breaks inside, and unescaped.
fn readings(value: &str) -> Vec<Cow<'_, str>> {
    let shown = entities::joined(entities::decoded(value));
    let broken = shown.contains(['\t', '\n', '\r']);
    let escaped = shown.contains('%');
    let mut out = Vec::with_capacity(1);
    if broken {
        out.push(shown.replace(['\t', '\n', '\r'], "").into());
    }
    if escaped {
        out.push(unescaped(&shown).into());
    }
    out.push(match plain(&shown) {
        Cow::Borrowed(_) => shown,
        Cow::Owned(plain) => plain.into(),
    });
    out
}

/// `%3A`, `%2F`, `%2E` and `%40` as the signs that they are.
fn unescaped(text: &str) -> String {
    let mut out = text.to_owned();
    for (code, small, sign) in [
        ("%3A", "%3a", ":"),
        ("%2F", "%2f", "/"),
        ("%5C", "%5c", "\\"),
        ("%2E", "%2e", "."),
        ("%40", "%40", "@"),
    ] {
        out = out.replace(code, sign).replace(small, sign);
    }
    out
}

/// Whether an address with a scheme stands anywhere in it.
fn has_address(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let head = text.as_bytes().get(at.saturating_sub(SCHEME_MAX)..at).unwrap_or_default();
        let is_sign = |b: &&u8| b.is_ascii_alphanumeric() || matches!(**b, b'+' | b'-' | b'.');
        let length = head.iter().rev().take_while(is_sign).count();
        let scheme = text.get(at - length..at).unwrap_or_default();
        let last = scheme.rsplit('+').next().unwrap_or_default();
        goes_out(last, text.get(at + 3..).unwrap_or_default())
    })
}

/// Whether what stands behind a scheme is outside. A scheme that nobody knows names a thing of its tool, unless a host
/// with a known end stands behind it.
fn goes_out(scheme: &str, rest: &str) -> bool {
    let end = |c: char| {
        matches!(c, '/' | '\\' | '?' | '#' | '"' | '\'' | '<' | '>' | ')' | ']') || c.is_whitespace()
    };
    let host = rest.split(end).next().unwrap_or_default();
    if scheme.is_empty() {
        return false;
    }
    if NETWORK.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '[' | '%' | '/' | '\\' | '_'));
    }
    if scheme.eq_ignore_ascii_case("file") {
        return is_share_of_file(rest) || (host.len() > 2 && !host.eq_ignore_ascii_case("localhost"));
    }
    rest.starts_with('[') || host.contains('@') || hosts::ends_known(host) || hosts::is_number(host)
}

/// Two more slashes, behind which a host stands.
fn is_share_of_file(rest: &str) -> bool {
    rest.strip_prefix("//").is_some_and(|host| host.starts_with(char::is_alphanumeric))
}

fn of_item(item: &str, place: bool) -> Option<Class> {
    let around =
        |c: char| c.is_whitespace() || AROUND.contains(&c) || matches!(c, '"' | '<' | '(' | ')' | '[' | '}');
    let item = item.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    // `Eve <eve@host>`
    let item = item.strip_suffix('>').and_then(|item| item.rsplit_once('<')).map_or(item, |(_, inner)| inner);
    let bare = item.trim_matches(around);
    let word = bare.split(char::is_whitespace).next().unwrap_or_default();
    if word.len() < 4 {
        return None;
    }
    let alone = word.len() == bare.len();
    let mailbox = word.split('?').next().unwrap_or_default();
    if is_called_mail(word) || (alone && is_mailbox(mailbox)) {
        return Some(Class::DestEmail);
    }
    let slashes = word.bytes().take_while(|b| is_slash(*b)).count();
    let rest = word.get(slashes..).unwrap_or_default();
    let beside = slashes >= 2 && (rest.starts_with('[') || hosts::is_host(rest) || is_share(word, rest));
    let leads = beside
        || SHARES
            .iter()
            .any(|share| word.get(..share.len()).is_some_and(|head| head.eq_ignore_ascii_case(share)))
        || is_file_of_host(word)
        || after_scheme(word).is_some()
        || is_copied_to(word)
        || hosts::goes_beyond(word)
        || (alone && (hosts::carries(word) || (place && hosts::is_place(word))));
    leads.then_some(Class::DestUrl)
}

fn is_called_mail(word: &str) -> bool {
    let head = word.split_once(':').filter(|(_, rest)| rest.contains('@')).map(|(head, _)| head);
    head.is_some_and(|head| head.eq_ignore_ascii_case("mailto"))
}

/// `file:\\host\x`, which browsers read as they read slashes.
fn is_file_of_host(word: &str) -> bool {
    let rest = word.get(5..).filter(|_| word.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("file:")));
    let Some(rest) = rest else { return false };
    let slashes = rest.bytes().take_while(|b| is_slash(*b)).count();
    matches!(slashes, 2 | 4) && hosts::is_host(rest.get(slashes..).unwrap_or_default())
}

/// Ends of what has an `@` in its name and is no mailbox: `icon@2x.png`, `user@1000.service`.
const NO_MAILBOX: [&str; 8] = ["gif", "jpeg", "jpg", "pdf", "png", "service", "svg", "webp"];

/// A mailbox, and no version of a package (`lodash@4.17.21`). What else has an `@` in it leads there if hosts end so.
fn is_mailbox(word: &str) -> bool {
    let Some((local, host)) = word.rsplit_once('@') else { return false };
    let end = host.rsplit('.').next().unwrap_or_default();
    let odd = local.contains([':', '/', '=', '\\']);
    !local.is_empty()
        && (!odd || hosts::ends_known(host))
        && hosts::fits(host)
        && !NO_MAILBOX.iter().any(|file| file.eq_ignore_ascii_case(end))
        && end.chars().count() >= 2
        && end.chars().all(char::is_alphabetic)
}

/// `\\host\share`.
fn is_share(word: &str, rest: &str) -> bool {
    let host = rest.split(['\\', '/']).next().unwrap_or_default();
    let below = rest.get(host.len()..).unwrap_or_default();
    let named =
        host.len() >= 2 && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'));
    word.starts_with("\\\\") && named && below.len() >= 2
}

/// `git@host:path`, `user:secret@host/x` and `host:some/path`, as programs that copy are told where to.
fn is_copied_to(word: &str) -> bool {
    let (user, rest) = word.rsplit_once('@').map_or((None, word), |(user, rest)| (Some(user), rest));
    let at = rest.find([':', '/']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let below = path.len() > 1 && hosts::fits(host);
    let ends =
        host.rsplit('.').next().is_some_and(|end| end.len() >= 2 && end.chars().all(char::is_alphabetic));
    match user {
        Some(user) => !user.is_empty() && below && (ends || hosts::is_number(host)),
        None => {
            let is_path = path.contains('/') || path.ends_with(".git");
            below && path.starts_with(':') && is_path && hosts::ends_known(host)
        }
    }
}

/// Whether the argument is called a place.
fn is_place(pointer: &str) -> bool {
    let name = pointer.rsplit('/').find(|step| !step.bytes().all(|b| b.is_ascii_digit()));
    let words = words(name.unwrap_or_default());
    is_called_address(&words) || any(&words, &PLACES)
}
