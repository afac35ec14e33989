//! Whose run it is, and what is theirs.

use super::problem::BundleProblem;
use crate::base::id::UserId;
use crate::define::catalogue::flow::Class;
use crate::define::person::PersonManifest;
use crate::provenance::atoms::{Atom, AtomKind, wanted};
use std::collections::{BTreeMap, BTreeSet};

/// Most values of one person.
const VALUES_MAX: usize = 256;

/// People, each with what is theirs.
#[derive(Debug, Default)]
pub(super) struct People(BTreeMap<UserId, BTreeSet<Atom>>);

impl People {
    /// What is a user's own.
    pub(super) fn of(&self, user: &UserId) -> Option<&BTreeSet<Atom>> {
        self.0.get(user)
    }

    /// Adds a person, or says what is wrong.
    pub(super) fn add(&mut self, path: &str, person: &PersonManifest, problems: &mut Vec<BundleProblem>) {
        let user = &person.user;
        let mut said =
            |message: String| problems.push(BundleProblem::error(path, format!("`{user}`: {message}")));
        let PersonManifest { user: _, emails, accounts, names, ids, urls } = person;
        let all = [
            ("emails", AtomKind::Email, Class::DestEmail, emails),
            ("accounts", AtomKind::Account, Class::DestAccount, accounts),
            ("names", AtomKind::Phrase, Class::DestName, names),
            ("ids", AtomKind::Id, Class::TargetId, ids),
            ("urls", AtomKind::Url, Class::DestUrl, urls),
        ];
        let mut own = BTreeSet::new();
        for (key, kind, class, values) in all {
            for value in values {
                let atom = wanted(class, &value.as_str().into()).into_iter().find(|atom| atom.kind == kind);
                match atom {
                    Some(atom) => drop(own.insert(atom)),
                    None => said(format!("`{value}` in `{key}` is none; write it as it stands in calls")),
                }
            }
        }
        if own.len() > VALUES_MAX {
            said(format!("has {} values; at most {VALUES_MAX}", own.len()));
        }
        if self.0.insert(user.clone(), own).is_some() {
            said("is there twice; a user has one entry".into());
        }
    }
}
