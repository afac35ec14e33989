//! The book: accounts, transfers, reversals, and the keys under which they were asked for. One transaction
//! each; amounts are whole paise.

use crate::Error;
use aecl_kernel::base::amount::{Amount, scale_of};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// What the account has when the book is opened: 500,000 INR.
const OPENING_PAISE: i64 = 50_000_000;
/// The account that all transfers leave from.
const ACCOUNT: &str = "operations";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, currency TEXT NOT NULL,
    paise INTEGER NOT NULL CHECK (paise >= 0)) STRICT;
CREATE TABLE IF NOT EXISTS transfers (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE, account TEXT NOT NULL,
    vendor_id TEXT NOT NULL, paise INTEGER NOT NULL CHECK (paise > 0), currency TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS reversals (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE,
    transfer INTEGER NOT NULL UNIQUE REFERENCES transfers) STRICT;
";

/// Accounts and transfers.
#[derive(Debug)]
pub(super) struct Book(Connection);

/// Why something was not booked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0}")]
    Invalid(String),
    #[error("the account has {has}, which is less than {asked}")]
    Short { has: String, asked: String },
    #[error("the key was used for another request")]
    KeyUsed,
    #[error("there is no transfer `{0}`")]
    NoTransfer(String),
    #[error("`{0}` is reversed already")]
    Reversed(String),
    #[error("the book cannot be written: {0}")]
    Book(#[from] rusqlite::Error),
}

/// What was booked, and whether that was now or before.
pub(super) struct Booked {
    pub(super) what: Value,
    pub(super) new: bool,
}

/// A transfer that somebody asks for.
pub(super) struct Wanted {
    vendor_id: String,
    paise: i64,
    currency: String,
}

impl Wanted {
    pub(super) fn read(body: &Value) -> Result<Self, Refused> {
        let text = |name: &str| {
            let found = body.get(name).and_then(Value::as_str).map(str::to_owned);
            found.ok_or_else(|| Refused::Invalid(format!("`{name}` is missing")))
        };
        let (vendor_id, currency) = (text("vendor_id")?, text("currency")?);
        let amount = body.get("amount").ok_or_else(|| Refused::Invalid("`amount` is missing".into()))?;
        let amount = Amount::read(amount, &currency, scale_of(&currency));
        let mut exact = amount.map_err(|e| Refused::Invalid(format!("the amount {e}")))?.value;
        exact.rescale(2);
        let paise = i64::try_from(exact.mantissa()).ok().filter(|paise| *paise > 0);
        let paise = paise.ok_or_else(|| Refused::Invalid("the amount is none that can be booked".into()))?;
        Ok(Self { vendor_id, paise, currency })
    }
}

impl Book {
    /// Opens the book, or starts one.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.execute_batch(SCHEMA)?;
            connection.execute(
                "INSERT OR IGNORE INTO accounts VALUES (?1, 'INR', ?2)",
                params![ACCOUNT, OPENING_PAISE],
            )?;
            Ok(connection)
        };
        open().map(Self).map_err(|e: rusqlite::Error| {
            Error::new(format!("the book `{}` does not open: {e}", path.display()))
        })
    }

    /// Books a transfer, once for each key.
    pub(super) fn transfer(&mut self, key: Option<&str>, wanted: &Wanted) -> Result<Booked, Refused> {
        let tx = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some((id, before)) = key.map(|key| transfer_of(&tx, key)).transpose()?.flatten() {
            let same = (&before.vendor_id, before.paise, &before.currency)
                == (&wanted.vendor_id, wanted.paise, &wanted.currency);
            return if same { Ok(Booked { what: one(&tx, id)?, new: false }) } else { Err(Refused::KeyUsed) };
        }
        let has: i64 = tx.query_row("SELECT paise FROM accounts WHERE name = ?1", [ACCOUNT], |r| r.get(0))?;
        if has < wanted.paise {
            return Err(Refused::Short { has: shown(has), asked: shown(wanted.paise) });
        }
        tx.execute("UPDATE accounts SET paise = paise - ?1 WHERE name = ?2", params![wanted.paise, ACCOUNT])?;
        tx.execute(
            "INSERT INTO transfers (key, account, vendor_id, paise, currency) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![key, ACCOUNT, wanted.vendor_id, wanted.paise, wanted.currency],
        )?;
        let what = one(&tx, tx.last_insert_rowid())?;
        tx.commit()?;
        Ok(Booked { what, new: true })
    }

    /// Reverses a transfer, once.
    pub(super) fn reverse(&mut self, key: Option<&str>, id: &str) -> Result<Booked, Refused> {
        let number = id.strip_prefix("tr_").and_then(|n| n.parse::<i64>().ok());
        let number = number.ok_or_else(|| Refused::NoTransfer(id.to_owned()))?;
        let tx = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let amount: Option<i64> =
            tx.query_row("SELECT paise FROM transfers WHERE id = ?1", [number], |r| r.get(0)).optional()?;
        let amount = amount.ok_or_else(|| Refused::NoTransfer(id.to_owned()))?;
        let before: Option<Option<String>> = tx
            .query_row("SELECT key FROM reversals WHERE transfer = ?1", [number], |r| r.get(0))
            .optional()?;
        if let Some(by) = before {
            let again = key.is_some() && by.as_deref() == key;
            return if again {
                Ok(Booked { what: one(&tx, number)?, new: false })
            } else {
                Err(Refused::Reversed(id.to_owned()))
            };
        }
        tx.execute("INSERT INTO reversals (key, transfer) VALUES (?1, ?2)", params![key, number])?;
        tx.execute("UPDATE accounts SET paise = paise + ?1 WHERE name = ?2", params![amount, ACCOUNT])?;
        let what = one(&tx, number)?;
        tx.commit()?;
        Ok(Booked { what, new: true })
    }

    /// What was booked under a key: a transfer, or the transfer that was reversed under it.
    pub(super) fn under(&self, key: &str) -> Result<Option<Value>, Refused> {
        let found: Option<i64> = self
            .0
            .query_row(
                "SELECT id FROM transfers WHERE key = ?1 UNION SELECT transfer FROM reversals WHERE key = ?1",
                [key],
                |r| r.get(0),
            )
            .optional()?;
        Ok(found.map(|id| one(&self.0, id)).transpose()?)
    }

    /// All transfers, oldest first.
    pub(super) fn transfers(&self) -> Result<Vec<Value>, Refused> {
        let mut statement = self.0.prepare(&format!("{SELECT} ORDER BY t.id"))?;
        let rows = statement.query_map([], transfer)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All accounts.
    pub(super) fn accounts(&self) -> Result<Vec<Value>, Refused> {
        let mut statement = self.0.prepare("SELECT name, currency, paise FROM accounts ORDER BY name")?;
        let rows = statement.query_map([], |r| {
            let (name, currency, paise): (String, String, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
            Ok(json!({"name": name, "currency": currency, "balance": shown(paise)}))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

const SELECT: &str = "SELECT t.id, t.account, t.vendor_id, t.paise, t.currency, r.id FROM transfers t
    LEFT JOIN reversals r ON r.transfer = t.id";

fn one(connection: &Connection, id: i64) -> rusqlite::Result<Value> {
    connection.query_row(&format!("{SELECT} WHERE t.id = ?1"), [id], transfer)
}

fn transfer(row: &Row<'_>) -> rusqlite::Result<Value> {
    let (id, paise, reversal): (i64, i64, Option<i64>) = (row.get(0)?, row.get(3)?, row.get(5)?);
    let mut transfer = json!({
        "id": format!("tr_{id}"),
        "account": row.get::<_, String>(1)?,
        "vendor_id": row.get::<_, String>(2)?,
        "amount": shown(paise),
        "currency": row.get::<_, String>(4)?,
        "status": if reversal.is_some() { "reversed" } else { "booked" },
    });
    if let (Some(reversal), Some(members)) = (reversal, transfer.as_object_mut()) {
        members.insert("reversal".into(), format!("rv_{reversal}").into());
    }
    Ok(transfer)
}

fn transfer_of(tx: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<(i64, Wanted)>> {
    let read =
        |r: &Row<'_>| Ok((r.get(0)?, Wanted { vendor_id: r.get(1)?, paise: r.get(2)?, currency: r.get(3)? }));
    tx.query_row("SELECT id, vendor_id, paise, currency FROM transfers WHERE key = ?1", [key], read)
        .optional()
}

/// Paise as people write rupees: `100,000.00`.
pub(super) fn shown(paise: i64) -> String {
    let (rupees, rest) = (paise / 100, paise % 100);
    let digits = rupees.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    format!("{out}.{rest:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> (tempfile::TempDir, Book) {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(&dir.path().join("book.db")).unwrap();
        (dir, book)
    }

    fn wanted(amount: Value) -> Result<Wanted, Refused> {
        Wanted::read(&json!({"vendor_id": "V-221", "amount": amount, "currency": "INR"}))
    }

    #[test]
    fn one_key_books_once() {
        let (_dir, mut book) = book();
        let pay = wanted(json!(100_000)).unwrap();
        assert!(book.transfer(Some("k"), &pay).unwrap().new);
        assert!(!book.transfer(Some("k"), &pay).unwrap().new);
        assert!(matches!(book.transfer(Some("k"), &wanted(json!(1)).unwrap()), Err(Refused::KeyUsed)));
        assert_eq!(
            book.accounts().unwrap(),
            [json!({"name": "operations", "currency": "INR", "balance": "400,000.00"})]
        );
        assert_eq!(book.under("k").unwrap().unwrap()["id"], "tr_1");
        assert!(book.under("other").unwrap().is_none());
        assert!(book.transfer(None, &pay).unwrap().new, "without a key it is done again");
    }

    #[test]
    fn a_transfer_is_reversed_once() {
        let (_dir, mut book) = book();
        book.transfer(None, &wanted(json!("12.34")).unwrap()).unwrap();
        assert!(book.reverse(Some("r"), "tr_1").unwrap().new);
        assert!(!book.reverse(Some("r"), "tr_1").unwrap().new);
        assert!(matches!(book.reverse(Some("s"), "tr_1"), Err(Refused::Reversed(_))));
        assert!(matches!(book.reverse(None, "tr_9"), Err(Refused::NoTransfer(_))));
        assert!(matches!(book.reverse(None, "9"), Err(Refused::NoTransfer(_))));
        assert_eq!(book.accounts().unwrap()[0]["balance"], "500,000.00");
    }

    #[test]
    fn what_is_no_amount_is_not_booked() {
        let (_dir, mut book) = book();
        for bad in [json!(-1), json!(0), json!("1.001"), json!("x"), json!(null), json!(1e30)] {
            assert!(wanted(bad.clone()).is_err(), "{bad}");
        }
        let all = wanted(json!(500_001)).unwrap();
        assert!(matches!(book.transfer(None, &all), Err(Refused::Short { .. })));
    }
}
