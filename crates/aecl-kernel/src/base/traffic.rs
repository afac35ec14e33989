//! Whom an attempt reached from its cage, and whom it wanted to reach: bounded, whatever the program does.

use serde::{Deserialize, Serialize};

/// Most rows of connections that were let through, and most of those that were refused. Apart from each other,
/// so that no flood of the one hides the other; together they fit into an entry.
const ROWS_MAX: usize = 24;

/// Longest destination, method and reason that are kept, in characters.
const TO_MAX: usize = 262;
const METHOD_MAX: usize = 32;
const WHY_MAX: usize = 160;

/// Methods that change nothing at a server which keeps to the rules of HTTP.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// All connections of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// What is alike stands once and is counted.
    pub connections: Vec<ConnectionRecord>,
    /// How many were let through.
    pub let_through: u64,
    /// How many were refused; nothing left.
    pub refused: u64,
    /// How many of these are in no row: there are more kinds of them than rows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlisted: u64,
    /// Bytes that left, of all.
    pub out_bytes: u64,
    /// Bytes that came in, of all.
    pub in_bytes: u64,
    /// Whether one was let through that can have changed something: TLS, where no method is seen, or plain HTTP
    /// with another method than `GET`, `HEAD` and `OPTIONS`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acted: bool,
}

/// A connection, or several to the same place that came out alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// `HOST:PORT`. When it could not be read as that: what was asked for, with everything written out that a
    /// reader could obey.
    pub to: String,
    /// `CONNECT` for TLS, or the method of plain HTTP; empty when the request could not be read.
    pub method: String,
    /// The address and port that was dialled, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether it was let through.
    pub let_through: bool,
    /// Why it was refused or cut off; absent when it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// How often.
    pub times: u64,
    /// Bytes that left.
    pub out_bytes: u64,
    /// Bytes that came in.
    pub in_bytes: u64,
    /// How long it took, in milliseconds, all of them together.
    pub took_ms: u64,
}

impl Traffic {
    /// Takes one more. Its texts may be anybody's: they are shortened and made inert.
    pub fn add(&mut self, connection: ConnectionRecord) {
        let mut new = ConnectionRecord {
            to: inert(&connection.to, TO_MAX),
            method: inert(&connection.method, METHOD_MAX),
            why: inert(&connection.why, WHY_MAX),
            ..connection
        };
        let total = if new.let_through { &mut self.let_through } else { &mut self.refused };
        *total = total.saturating_add(new.times);
        self.out_bytes = self.out_bytes.saturating_add(new.out_bytes);
        self.in_bytes = self.in_bytes.saturating_add(new.in_bytes);
        self.acted |= new.let_through && !SAFE.contains(&new.method.as_str());
        if let Some(same) = self.connections.iter_mut().find(|row| row.is_like(&new)) {
            same.times = same.times.saturating_add(new.times);
            same.out_bytes = same.out_bytes.saturating_add(new.out_bytes);
            same.in_bytes = same.in_bytes.saturating_add(new.in_bytes);
            same.took_ms = same.took_ms.saturating_add(new.took_ms);
            same.why = std::mem::take(&mut new.why);
            return;
        }
        let alike = self.connections.iter().filter(|row| row.let_through == new.let_through).count();
        if alike < ROWS_MAX {
            self.connections.push(new);
        } else {
            self.unlisted = self.unlisted.saturating_add(new.times);
        }
    }

    /// Those that were refused.
    pub fn refusals(&self) -> impl Iterator<Item = &ConnectionRecord> {
        self.connections.iter().filter(|connection| !connection.let_through)
    }
}

impl ConnectionRecord {
    fn is_like(&self, other: &Self) -> bool {
        let key =
            |c: &Self| (c.to.clone(), c.method.clone(), c.address.clone(), c.let_through, c.code.clone());
        key(self) == key(other)
    }
}

impl std::fmt::Display for ConnectionRecord {
    /// One line: what, how often, how much, why not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method = if self.method.is_empty() { "unreadable:" } else { &self.method };
        write!(f, "{method} {}", self.to)?;
        if let Some(address) = &self.address {
            write!(f, " at {address}")?;
        }
        if self.times > 1 {
            write!(f, ", {} times", self.times)?;
        }
        if self.let_through {
            write!(f, ", {} bytes out, {} bytes in, {} ms", self.out_bytes, self.in_bytes, self.took_ms)?;
        } else {
            f.write_str(", refused")?;
        }
        match &self.code {
            Some(code) if self.why.is_empty() => write!(f, " ({code})"),
            Some(code) => write!(f, ": {} ({code})", self.why),
            None => Ok(()),
        }
    }
}

/// Printable ASCII, so long at most. Everything else is written out, and so is what JSON would escape.
fn inert(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push('\''),
            '\\' => out.push('/'),
            ' '..='~' => out.push(c),
            c => out.push_str(&format!("<{:x}>", u32::from(c))),
        }
        if out.len() >= chars_max {
            out.truncate(chars_max);
            break;
        }
    }
    out
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(to: &str, let_through: bool) -> ConnectionRecord {
        let (to, method) = (to.to_owned(), "GET".to_owned());
        ConnectionRecord {
            to,
            method,
            let_through,
            times: 1,
            out_bytes: 10,
            in_bytes: 1,
            ..ConnectionRecord::default()
        }
    }

    #[test]
    fn what_is_alike_stands_once_and_a_flood_hides_nothing() {
        let mut traffic = Traffic::default();
        for n in 0..10_000 {
            traffic.add(to(&format!("evil{n}.test:443"), false));
        }
        traffic.add(to("good.test:80", true));
        traffic.add(to("good.test:80", true));
        assert_eq!((traffic.let_through, traffic.refused), (2, 10_000));
        assert_eq!(traffic.connections.len(), ROWS_MAX + 1);
        assert_eq!(traffic.unlisted, 10_000 - ROWS_MAX as u64);
        let last = traffic.connections.last().unwrap();
        assert_eq!((last.to.as_str(), last.times, last.out_bytes), ("good.test:80", 2, 20));
        assert!(!traffic.acted);
        traffic.add(ConnectionRecord { method: "CONNECT".into(), ..to("good.test:443", false) });
        assert!(!traffic.acted, "what was refused has changed nothing");
        traffic.add(ConnectionRecord { method: "CONNECT".into(), ..to("good.test:443", true) });
        assert!(traffic.acted);
    }

    #[test]
    fn the_worst_that_a_program_can_ask_for_fits_into_an_entry_and_is_inert() {
        let mut traffic = Traffic::default();
        for n in 0..200 {
            let worst = "\"\\\u{1b}\u{202e}é\n".repeat(1_000);
            traffic.add(ConnectionRecord {
                to: format!("{n}{worst}"),
                method: worst.clone(),
                address: Some("[2001:db8:1111:2222:3333:4444:5555:6666]:65535".into()),
                let_through: n % 2 == 0,
                code: Some("egress_unreachable".into()),
                why: worst,
                times: u64::MAX,
                out_bytes: u64::MAX,
                in_bytes: u64::MAX,
                took_ms: u64::MAX,
            });
        }
        let json = serde_json::to_string(&traffic).unwrap();
        assert!(json.len() < 48_000, "{}", json.len());
        assert!(json.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\\'), "{json}");
    }
}
