//! Rules that know one way of writing a destination. Whoever writes it otherwise passes what forbids it, and what is
//! looked for in `context.reaches` in another form than its own is never found.

use aecl_kernel::define::catalogue::flow::{Class, covers, is_at_or_above};
use aecl_kernel::define::catalogue::{DestinationKind, TypedAction};
use aecl_kernel::policy::Policies;
use aecl_kernel::policy::own_rule::OwnRule;
use aecl_kernel::provenance::spelling;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is doubtful about how a rule names destinations, one line for each place. `name` is the rule's.
pub(super) fn doubts(name: &str, rule: &OwnRule, actions: &[&TypedAction]) -> Vec<String> {
    let policy = match Policies::json_of_short(&rule.text) {
        Ok(policy) => policy,
        Err(why) => return vec![format!("`{name}`: what it compares is not looked at: {why}")],
    };
    let conditions = policy.get("conditions").and_then(Value::as_array);
    let mut doubts: BTreeMap<Doubt, BTreeSet<String>> = BTreeMap::new();
    for condition in conditions.into_iter().flatten() {
        let when = condition.get("kind").and_then(Value::as_str) == Some("when");
        let fires = Fires { if_true: when, if_false: !when };
        for comparison in condition.get("body").into_iter().flat_map(|body| comparisons(body, fires)) {
            let forms: Vec<_> = actions.iter().flat_map(|typed| comparison.forms(typed)).collect();
            if !forms.is_empty() {
                doubts.entry(comparison.doubt()).or_default().extend(forms);
            }
        }
    }
    doubts.into_iter().map(|(doubt, forms)| doubt.message(name, &forms)).collect()
}

/// Which value of an expression lets the rule forbid.
#[derive(Clone, Copy)]
struct Fires {
    if_true: bool,
    if_false: bool,
}

impl Fires {
    const EITHER: Self = Self { if_true: true, if_false: true };

    fn negated(self) -> Self {
        Self { if_true: self.if_false, if_false: self.if_true }
    }
}

/// A comparison of a place in the context with a text.
struct Comparison<'a> {
    /// The names on the way there, without `context`.
    path: Vec<&'a str>,
    text: String,
    /// The field of a record in which the text stands.
    field: Option<&'a str>,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Is,
    IsNot,
    All,
    Like,
}

/// A place that is compared, and how: what is said once.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Doubt {
    path: String,
    how: How,
}

impl Comparison<'_> {
    fn doubt(&self) -> Doubt {
        Doubt { path: self.path.join("."), how: self.how }
    }

    /// The forms of the text for this action, where comparing with it may miss what is meant.
    fn forms(&self, typed: &TypedAction) -> Vec<String> {
        let value = Value::String(self.text.clone());
        let form = |class: Class| spelling::counted(class, &value);
        match self.path.as_slice() {
            ["reaches"] => {
                let classes = || typed.roles.iter().map(|(_, a)| a.class).filter(|c| c.is_destination());
                let never = classes().all(|class| !spelling::is_form(class, &self.text));
                if never { classes().filter_map(form).collect() } else { Vec::new() }
            }
            ["destinations"] => {
                // A host is there as it is looked up.
                let raw = |kind| matches!(kind, DestinationKind::Name | DestinationKind::Email);
                let field = typed.manifest.fields.destination.as_ref().filter(|field| raw(field.kind));
                field
                    .map_or_else(BTreeSet::new, |f| self.at(typed, &f.value))
                    .into_iter()
                    .filter_map(form)
                    .collect()
            }
            ["args", path @ ..] => {
                let step = |name: &&str| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                let pointer: String = path.iter().map(step).collect();
                self.at(typed, &pointer).into_iter().filter_map(form).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The classes of the destinations at or below a place that have more than one way of being written.
    fn at(&self, typed: &TypedAction, pointer: &str) -> BTreeSet<Class> {
        let here = |pattern: &str| covers(pattern, pointer) || is_at_or_above(pointer, pattern);
        let named = |pattern: &str| self.field.is_none_or(|field| pattern.rsplit('/').next() == Some(field));
        let open = |pattern: &str| !is_listed(typed, pattern);
        let roles = typed.roles.iter().filter(|(pattern, a)| {
            a.class.is_destination() && here(pattern) && named(pattern) && open(pattern)
        });
        roles.map(|(_, argument)| argument.class).collect()
    }
}

/// Whether what may stand there is listed letter by letter, by its schema or as a list of names.
fn is_listed(typed: &TypedAction, pattern: &str) -> bool {
    let named = typed.manifest.fields.destination.as_ref().is_some_and(|field| {
        field.kind == DestinationKind::Name
            && field.allowed.is_some()
            && is_at_or_above(&field.value, pattern)
    });
    let mut schema = Some(typed.schema.as_ref());
    for step in pattern.split('/').skip(1).filter(|step| *step != "*") {
        let object = schema.map(within_lists);
        schema = object.and_then(|s| s.get("properties")?.get(step.replace("~1", "/").replace("~0", "~")));
    }
    let value = schema.map(within_lists);
    named || value.is_some_and(|s| s.get("enum").is_some() || s.get("const").is_some())
}

fn within_lists(mut schema: &Value) -> &Value {
    while let Some(items) = schema.get("items") {
        schema = items;
    }
    schema
}

impl Doubt {
    fn message(&self, name: &str, forms: &BTreeSet<String>) -> String {
        let quoted: Vec<String> = forms.iter().map(|form| format!("\"{form}\"")).collect();
        if self.path == "reaches" {
            let written = quoted.iter().map(|q| format!("`{q}`")).collect::<Vec<_>>().join(", ");
            return format!(
                "`{name}` looks in `context.reaches` for what is never there: it has letters and digits alone, small; write {written}"
            );
        }
        let path = &self.path;
        let instead = match (self.how, quoted.as_slice()) {
            (How::Like, _) => {
                return format!(
                    "`{name}` compares `context.{path}` with `like`, and another way of writing the same destination passes it; \
                     name whole destinations with `context.reaches`, or list what is allowed in `fields.destination.allowed`"
                );
            }
            (How::IsNot, [one]) => format!("!context.reaches.contains({one})"),
            (How::IsNot, all) => format!("!context.reaches.containsAny([{}])", all.join(", ")),
            (How::Is | How::All, [one]) => format!("context.reaches.contains({one})"),
            (How::Is, all) => format!("context.reaches.containsAny([{}])", all.join(", ")),
            (How::All, all) => format!("context.reaches.containsAll([{}])", all.join(", ")),
        };
        format!(
            "`{name}` compares `context.{path}` with one way of writing a destination, and another one passes it; write `{instead}`"
        )
    }
}

/// What an expression compares with texts, where the rule forbids if they are the same; and whatever is looked for in
/// `context.reaches`. A rule may have a thousand operators, each inside of the next, so nothing here calls itself.
fn comparisons(condition: &Value, fires: Fires) -> Vec<Comparison<'_>> {
    let mut out = Vec::new();
    let mut rest = vec![(condition, fires)];
    while let Some((expression, fires)) = rest.pop() {
        let Some((operator, operands)) = operation(expression) else { continue };
        let compared = match operator {
            "==" | "contains" | "containsAny" => Some((How::Is, fires)),
            "containsAll" => Some((How::All, fires)),
            "!=" => Some((How::IsNot, fires.negated())),
            "like" => Some((How::Like, fires)),
            _ => None,
        };
        if let Some((how, fires)) = compared {
            let found = of_operands(operands, how);
            out.extend(found.into_iter().filter(|one| fires.if_true || one.path == ["reaches"]));
        }
        rest.extend(children(operands).into_iter().map(|(name, inner)| {
            let fires = match (operator, name) {
                ("&&" | "||", _) | ("if-then-else", Some("then" | "else")) => fires,
                ("!", _) => fires.negated(),
                _ => Fires::EITHER,
            };
            (inner, fires)
        }));
    }
    out
}

/// Each place that stands on one side, with each text on the other.
fn of_operands(operands: &Value, how: How) -> Vec<Comparison<'_>> {
    let (Some(left), Some(right)) = (operands.get("left"), operands.get("right").or(operands.get("pattern")))
    else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (places, literals) in [(left, right), (right, left)] {
        let texts: Vec<_> = match how {
            How::Like => pattern(literals).into_iter().collect(),
            How::Is | How::IsNot | How::All => {
                texts(literals).into_iter().map(|(text, field)| (text.to_owned(), field, how)).collect()
            }
        };
        for path in paths(places) {
            let one = |(text, field, how): &(String, _, _)| Comparison {
                path: path.clone(),
                text: text.clone(),
                field: *field,
                how: *how,
            };
            out.extend(texts.iter().map(one));
        }
    }
    out
}

/// What a pattern of `like` says. Without a `*` it is a text like others.
fn pattern<'a>(elements: &Value) -> Option<(String, Option<&'a str>, How)> {
    let elements = elements.as_array()?;
    let text = elements.iter().filter_map(|e| e.get("Literal")?.as_str()).collect();
    let whole = elements.iter().all(Value::is_object);
    Some((text, None, if whole { How::Is } else { How::Like }))
}

fn paths(expression: &Value) -> Vec<Vec<&str>> {
    let mut out = Vec::new();
    let mut rest = vec![expression];
    while let Some(expression) = rest.pop() {
        match (path(expression), operation(expression)) {
            (Some(path), _) => out.push(path),
            (None, Some((_, operands))) => {
                rest.extend(children(operands).into_iter().map(|(_, inner)| inner))
            }
            (None, None) => {}
        }
    }
    out
}

/// The names after `context`, if it is a place there.
fn path(mut expression: &Value) -> Option<Vec<&str>> {
    let mut path = Vec::new();
    while let (".", operands) = operation(expression)? {
        path.push(operands.get("attr")?.as_str()?);
        expression = operands.get("left")?;
    }
    path.reverse();
    operation(expression).filter(|(operator, name)| *operator == "Var" && *name == "context").map(|_| path)
}

/// The texts in there, each with the field of the record in which it stands.
fn texts(expression: &Value) -> Vec<(&str, Option<&str>)> {
    let mut out = Vec::new();
    let mut rest = vec![(expression, None)];
    while let Some((expression, field)) = rest.pop() {
        let Some((operator, operands)) = operation(expression) else { continue };
        if let ("Value", Some(text)) = (operator, operands.as_str()) {
            out.push((text, field));
        }
        let within = |name| if operator == "Record" { name } else { field };
        rest.extend(children(operands).into_iter().map(|(name, inner)| (inner, within(name))));
    }
    out
}

/// The operator of an expression in Cedar's JSON, and what it is applied to.
fn operation(expression: &Value) -> Option<(&str, &Value)> {
    expression.as_object()?.iter().next().map(|(operator, operands)| (operator.as_str(), operands))
}

/// The expressions in there, with their names.
fn children(operands: &Value) -> Vec<(Option<&str>, &Value)> {
    match operands {
        Value::Object(all) => all.iter().map(|(name, e)| (Some(name.as_str()), e)).collect(),
        Value::Array(all) => all.iter().map(|e| (None, e)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
