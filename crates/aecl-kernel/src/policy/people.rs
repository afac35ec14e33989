//! Whose run it is, and what is theirs.

use super::problem::BundleProblem;
use crate::base::id::UserId;
use crate::define::catalogue::flow::Class;
use crate::define::person::PersonManifest;
use crate::provenance::atoms::{Atom, AtomKind, wanted};
use std::collections::{BTreeMap, BTreeSet};

/// Most values of one person.
const VALUES_MAX: usize = 256;

/// People, each as written, and with what is theirs.
#[derive(Debug, Default)]
pub(super) struct People(BTreeMap<UserId, (PersonManifest, BTreeSet<Atom>)>);

impl People {
    /// What is a user's own.
    pub(super) fn of(&self, user: &UserId) -> Option<&BTreeSet<Atom>> {
        self.0.get(user).map(|(_, own)| own)
    }

    /// All of them, as written.
    pub(super) fn iter(&self) -> impl Iterator<Item = &PersonManifest> {
        self.0.values().map(|(person, _)| person)
    }

    /// Adds a person, or says what is wrong.
    pub(super) fn add(&mut self, path: &str, person: &PersonManifest, problems: &mut Vec<BundleProblem>) {
        let user = &person.user;
        let mut said =
            |message: String| problems.push(BundleProblem::error(path, format!("`{user}`: {message}")));
        let PersonManifest { user: _, emails, accounts, names, ids, urls } = person;
        let all = [
            ("emails", "mail address", AtomKind::Email, Class::DestEmail, emails),
            ("accounts", "account", AtomKind::Account, Class::DestAccount, accounts),
            ("names", "plain name", AtomKind::Phrase, Class::DestName, names),
            ("ids", "identifier", AtomKind::Id, Class::TargetId, ids),
            ("urls", "address of a page", AtomKind::Url, Class::DestUrl, urls),
        ];
        let mut own = BTreeSet::new();
        for (key, word, kind, class, values) in all {
            for value in values {
                let atom = wanted(class, &value.as_str().into()).into_iter().find(|atom| atom.kind == kind);
                match atom {
                    Some(atom) => drop(own.insert(atom)),
                    None => {
                        said(format!("`{value}` in `{key}` is no {word}; write it as it stands in calls"))
                    }
                }
            }
        }
        if own.len() > VALUES_MAX {
            said(format!("has {} values; at most {VALUES_MAX}", own.len()));
        }
        if self.0.insert(user.clone(), (person.clone(), own)).is_some() {
            said("is there twice; a user has one entry".into());
        }
    }
}
