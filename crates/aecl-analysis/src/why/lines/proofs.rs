//! Lines that prove a value, or say that it needs no proof.

use super::super::edit::{Edit, flow};
use super::super::moments::number;
use super::{Candidate, Line, Place, line, only_if};
use aecl_kernel::base::amount::decimal;
use aecl_kernel::define::catalogue::flow::{Argument, Class, Endorses, covers};
use aecl_kernel::provenance::proof::Backing;
use serde_json::{Map, Value, json};

/// Who may stand behind a value as a label says it, from the least to the most, and whether the goal has to name its
/// record for that.
const LABELS: [(Endorses, bool); 5] = [
    (Endorses::System, false),
    (Endorses::System, true),
    (Endorses::Tenant, true),
    (Endorses::Directory, false),
    (Endorses::Directory, true),
];

pub(super) fn candidates(place: &Place<'_>) -> Vec<Option<Candidate>> {
    let Some(at) = place.key.at.as_deref() else { return Vec::new() };
    let Some(value) = place.action.arguments.pointer(at).cloned() else { return Vec::new() };
    let mut out = vec![place.known(at, &value), place.low_value(at, &value), place.own(at, &value)];
    out.extend(LABELS.iter().map(|(by, named)| place.label(at, *by, *named)));
    out.push(place.guessed(at));
    out
}

impl Place<'_> {
    /// The value as a line names it: a sample stands for any.
    fn shown(&self, value: &Value) -> Value {
        if self.given { value.clone() } else { json!("VALUE") }
    }

    /// What is said of the argument at this place, and under which key.
    fn argument(&self, at: &str) -> Option<(String, &Argument)> {
        let (pattern, argument) = self.variant.roles.iter().find(|(pattern, _)| covers(pattern, at))?;
        let name = pattern.trim_start_matches('/');
        let plain = !name.contains('/') && !name.contains('~');
        Some((if plain { name.to_owned() } else { pattern.to_owned() }, argument))
    }

    /// A key of the argument at this place.
    fn in_argument(
        &self,
        at: &str,
        key: &str,
        value: Value,
        shown: Value,
        gives_up: &str,
    ) -> Option<Candidate> {
        let (name, argument) = self.argument(at)?;
        let mut whole: Map<String, Value> = serde_json::to_value(argument).ok()?.as_object()?.clone();
        if self.variant.variant > 0 {
            // It is the entry's, whatever case a call is of.
            whole.remove("default");
        }
        whole.insert(key.to_owned(), value);
        let mut out = self.in_action(&["args", &name], Value::Object(whole.clone()), gives_up)?;
        whole.insert(key.to_owned(), shown);
        out.line.line = format!("args.{name}: {}", flow(&Value::Object(whole)));
        Some(out)
    }

    fn known(&self, at: &str, value: &Value) -> Option<Candidate> {
        let (_, argument) = self.argument(at)?;
        let mut all = argument.known.clone();
        all.push(value.clone());
        let mut shown = argument.known.clone();
        shown.push(self.shown(value));
        let gives_up = "asking about this value in this argument, whoever the agent has it from";
        self.in_argument(at, "known", json!(all), json!(shown), gives_up)
    }

    fn low_value(&self, at: &str, value: &Value) -> Option<Candidate> {
        let (_, argument) = self.argument(at)?;
        let n = decimal(value).filter(|_| argument.class == Class::Magnitude)?;
        let shown = if self.given { number(n) } else { json!("AMOUNT") };
        self.in_argument(
            at,
            "low_value",
            number(n),
            shown,
            "asking about amounts up to this that nobody has named",
        )
    }

    /// A higher limit of an amount.
    pub(super) fn limit(&self) -> Option<Candidate> {
        let at = self.key.at.as_deref()?;
        let n = decimal(self.action.arguments.pointer(at)?)?;
        let shown = if self.given { number(n) } else { json!("AMOUNT") };
        self.in_argument(at, "limit", number(n), shown, "asking about amounts up to this")
    }

    /// What is the user's own.
    fn own(&self, at: &str, value: &Value) -> Option<Candidate> {
        let user = self.action.principal.user.as_ref()?;
        let (_, argument) = self.argument(at)?;
        let key = match argument.class {
            Class::DestEmail => "emails",
            Class::DestAccount => "accounts",
            Class::DestUrl => "urls",
            Class::DestName | Class::TargetName => "names",
            Class::TargetId => "ids",
            _ => return None,
        };
        let known = self.bundle.people().find(|person| person.user == *user);
        let mut person = match known {
            Some(person) => serde_json::to_value(person).ok()?,
            None => json!({"user": user}),
        };
        let sources = self.bundle.sources();
        let found = super::entry(sources, "people/", "user", user.as_str());
        let file = found.map_or_else(|| format!("people/{user}.json"), |(file, _)| file);
        let list = super::added(person.get(key), value.as_str()?);
        person.as_object_mut()?.insert(key.to_owned(), list.clone());
        let set = |path: &str, value: Value| Edit::Set {
            file: file.clone(),
            entry: Some(("user", user.to_string())),
            path: vec![path.to_owned()],
            value: Some(value),
        };
        let edits = vec![set("user", json!(user)), set(key, list)];
        let shown =
            format!("{key}: [{}{}]", if known.is_some() { "..., " } else { "" }, flow(&self.shown(value)));
        let gives_up = "asking about what goes there in any run for this user";
        let line = line(file, user.to_string(), shown, gives_up);
        only_if(Some(Candidate { edits, overlay: None, group: None, line }), "it is the user's own")
    }

    /// A label of the read that brings the value.
    fn label(&self, at: &str, by: Endorses, named: bool) -> Option<Candidate> {
        let read = self.variant.manifest.resolver.as_ref().map(ToString::to_string);
        let file =
            read.as_ref().and_then(|read| super::entry(self.bundle.sources(), "actions/", "name", read));
        let by_name = json!(by).as_str()?.to_owned();
        let shown = format!("outputs: [{{ path: ..., endorses: {by_name}, taints: false, type: ... }}]");
        let record = if named { ", where the goal names its record" } else { "" };
        let gives_up = format!("asking about values that this read brings{record}");
        let line = Line {
            only_if: Some("strangers cannot write what that field says"),
            ..line(
                file.map_or_else(|| "actions/".to_owned(), |(file, _)| file),
                read.unwrap_or_else(|| "the read that brings it".to_owned()),
                shown,
                &gives_up,
            )
        };
        let backing = Backing { by, how: None, named };
        Some(Candidate {
            edits: Vec::new(),
            overlay: Some((at.to_owned(), backing)),
            group: Some("labels"),
            line,
        })
    }

    /// Another role, where the one that it has is guessed from its name.
    fn guessed(&self, at: &str) -> Option<Candidate> {
        let (name, argument) = self.argument(at)?;
        let written = &self.variant.manifest.args;
        if written.contains_key(&name) || written.contains_key(&format!("/{name}")) {
            return None;
        }
        let other = if argument.class == Class::Content { return None } else { json!("content") };
        let gives_up = "any proof of it; the role is now guessed from the name";
        let out = self.in_argument(at, "class", other.clone(), other, gives_up);
        only_if(out, "it is text that is written, and says neither what it acts on nor where it goes")
    }
}
