//! Choice of the store, the one place that knows which there are.

use super::{StorePlace, sqlite};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Store that keeps a ledger, as `store:` of the configuration names it. Beyond this file nobody asks which it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreConfig(Kind);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Sqlite,
}

impl Kind {
    const ALL: [Self; 1] = [Self::Sqlite];

    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
        }
    }
}

impl StoreConfig {
    /// All that there are.
    pub fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.into_iter().map(Self)
    }

    /// Place of a ledger in this store. `data` is the directory of its home; `key` is the file of the key that signs it,
    /// which tells whether a ledger was begun where all else of it is gone.
    #[must_use]
    pub fn place(&self, data: &Path, key: Option<&Path>) -> Box<dyn StorePlace> {
        match self.0 {
            Kind::Sqlite => Box::new(sqlite::Place::new(data, key)),
        }
    }
}

impl From<StoreConfig> for String {
    fn from(StoreConfig(kind): StoreConfig) -> Self {
        kind.name().to_owned()
    }
}

impl TryFrom<String> for StoreConfig {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        known.map(Self).ok_or_else(|| unknown(&text))
    }
}

/// Of an address only the first word: the rest may hold a password.
fn unknown(text: &str) -> String {
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
    let said: String = text.split(ends).next().unwrap_or_default().chars().take(40).collect();
    let names = Kind::ALL.map(|kind| format!("`store: {}`", kind.name())).join(" or ");
    format!(
        "`store` names `{said}`, which this version cannot keep a ledger in; write {names}, or leave the key out for \
         `store: {}`",
        Kind::default().name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite;

    #[test]
    fn every_store_is_known_by_its_name() {
        for config in StoreConfig::all() {
            assert_eq!(StoreConfig::try_from(String::from(config.clone())).unwrap(), config);
        }
    }

    #[test]
    fn every_place_keeps_its_promises() {
        StoreConfig::all().for_each(|config| suite::of_place(&config));
    }

    #[test]
    fn an_unknown_store_is_refused_without_its_address() {
        let said = unknown("postgres://aecl:hunter2@db/ledger");
        assert!(
            said.starts_with("`store` names `postgres`") && said.contains("write `store: sqlite`"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!unknown("host=db password=hunter2").contains("hunter2"));
        for text in ["", "Sqlite", "sqlite:", "sqlite://data", "memory"] {
            assert!(StoreConfig::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
