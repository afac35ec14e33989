//! What a read answered about a thing, as the attributes that its declaration names. What does not fit is said, and never
//! guessed: an attribute that is not there must not let a rule go quiet.

use crate::base::amount;
use crate::base::evidence::ResourceReading;
use crate::base::time::Timestamp;
use crate::define::resource::{
    AttributeDeclaration, AttributeKind, DECIMAL_MAX, Look, Origin, TIME_MAX_S, Take,
};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Most values that one pointer may lead to.
const VALUES_MAX: usize = 4096;
/// Longest text of an attribute, in characters.
const TEXT_MAX: usize = 4096;

/// The arguments of a look-up, or why it cannot be made.
pub fn arguments(
    look: &Look<'_>,
    arguments: &Value,
    user: Option<&str>,
    before: &[ResourceReading],
) -> Result<Map<String, Value>, String> {
    let mut out = Map::new();
    for (name, template) in look.arguments {
        let value = match Origin::of(name, template)? {
            Origin::Constant(value) => value.clone(),
            Origin::Arguments(at) => {
                let given = arguments.pointer(at).filter(|value| !value.is_null());
                given.cloned().ok_or_else(|| format!("the call has nothing at `{at}`"))?
            }
            Origin::User => user.map(Value::from).ok_or("the run acts for no user")?,
            Origin::Attribute(of, attribute) => {
                let read = before.iter().find(|reading| reading.name == of);
                let value = read.and_then(|reading| reading.attributes.get(attribute));
                value.cloned().ok_or_else(|| format!("`{attribute}` of `{of}` is not known"))?
            }
        };
        out.insert(name.clone(), value);
    }
    Ok(out)
}

/// The name of a thing in rules: what the entry says is the resource, else the one argument by which it is looked up.
pub fn id(said: Option<&str>, asked: &Map<String, Value>) -> String {
    if let Some(said) = said {
        return said.to_owned();
    }
    let mut values = asked.values();
    match (values.next(), values.next()) {
        (Some(Value::String(text)), None) => text.clone(),
        (Some(one), None) => one.to_string(),
        _ => Value::Object(asked.clone()).to_string(),
    }
}

/// Attributes of a thing, and for each that is missing or of another type why.
pub fn attributes(
    declared: &BTreeMap<String, AttributeDeclaration>,
    answer: &Value,
    arguments: &Value,
) -> (BTreeMap<String, Value>, BTreeMap<String, String>) {
    let (mut out, mut wrong) = (BTreeMap::new(), BTreeMap::new());
    for (name, attribute) in declared {
        match taken(attribute, answer, arguments) {
            Ok(Some(value)) => drop(out.insert(name.clone(), value)),
            Ok(None) if attribute.optional => {}
            Ok(None) => drop(wrong.insert(name.clone(), format!("there is nothing at `{}`", attribute.at))),
            Err(why) => drop(wrong.insert(name.clone(), why)),
        }
    }
    (out, wrong)
}

/// Attributes that somebody makes up, by their names: an example says what a thing is like.
pub fn assumed(
    declared: &BTreeMap<String, AttributeDeclaration>,
    given: &Map<String, Value>,
) -> (BTreeMap<String, Value>, BTreeMap<String, String>) {
    let (mut out, mut wrong) = (BTreeMap::new(), BTreeMap::new());
    for (name, attribute) in declared {
        let value = match given.get(name).filter(|value| !value.is_null()) {
            Some(Value::Array(items)) if attribute.kind.is_set() => {
                set(attribute, items.iter().collect::<Vec<_>>())
            }
            Some(value) => one(attribute, value),
            None if attribute.optional => continue,
            None => Err("it is not given".to_owned()),
        };
        match value {
            Ok(value) => drop(out.insert(name.clone(), value)),
            Err(why) => drop(wrong.insert(name.clone(), why)),
        }
    }
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        wrong.insert(name.clone(), "the action declares no such attribute".into());
    }
    (out, wrong)
}

/// A reading that somebody makes up.
pub fn assumed_reading(
    look: &Look<'_>,
    id: String,
    given: &Map<String, Value>,
    at: Timestamp,
) -> ResourceReading {
    let (attributes, wrong) = assumed(look.attributes, given);
    ResourceReading { attributes, wrong, ..ResourceReading::new(look.name, id, at) }
}

/// What is lacking of a reading for this declaration: attributes by name, each with why.
pub fn lacking(look: &Look<'_>, reading: &ResourceReading) -> BTreeMap<String, String> {
    let mut out = reading.wrong.clone();
    for (name, attribute) in look.attributes {
        match reading.attributes.get(name) {
            None if attribute.optional || out.contains_key(name) => {}
            None => drop(out.insert(name.clone(), "it was not read then".into())),
            Some(value) if fits(attribute.kind, value) => {}
            Some(_) => drop(out.insert(name.clone(), format!("it is no {}", attribute.kind.name()))),
        }
    }
    out
}

fn fits(kind: AttributeKind, value: &Value) -> bool {
    let all = |fits: fn(&Value) -> bool| value.as_array().is_some_and(|items| items.iter().all(fits));
    match kind {
        AttributeKind::Text => value.is_string(),
        AttributeKind::Long => value.is_i64(),
        AttributeKind::Time => value.as_i64().is_some_and(|moment| is_moment(&moment)),
        AttributeKind::Decimal => {
            value.as_str().is_some_and(|text| decimal_fits(text.parse().ok()).is_some())
        }
        AttributeKind::Bool => value.is_boolean(),
        AttributeKind::Texts => all(Value::is_string),
        AttributeKind::Longs => all(Value::is_i64),
    }
}

/// The value of one attribute; nothing where the pointer leads nowhere.
fn taken(
    attribute: &AttributeDeclaration,
    answer: &Value,
    arguments: &Value,
) -> Result<Option<Value>, String> {
    let mut found = vec![answer];
    let mut many = false;
    // Of several, each has to have it: what one lacks must not let a rule about all of them go quiet.
    let lacks = || match attribute.optional {
        true => Ok(()),
        false => Err(format!("not every entry has something at `{}`", attribute.at)),
    };
    for step in attribute.at.split('/').skip(1) {
        let mut next = Vec::new();
        if step == "*" {
            many = true;
            for here in found {
                match here {
                    Value::Array(items) => next.extend(items),
                    Value::Object(members) => next.extend(members.values()),
                    Value::Null if many => lacks()?,
                    Value::Null => return Ok(None),
                    Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                        return Err(format!("`*` of `{}` leads into a single value", attribute.at));
                    }
                }
            }
        } else {
            let names = match step.strip_prefix('{').and_then(|step| step.strip_suffix('}')) {
                Some(argument) => {
                    let given = arguments.get(argument).unwrap_or(&Value::Null);
                    many |= given.is_array();
                    named_by(argument, given)?
                }
                None => vec![step.replace("~1", "/").replace("~0", "~")],
            };
            for here in found {
                for name in &names {
                    match member(here, name).filter(|value| !value.is_null()) {
                        Some(value) => next.push(value),
                        // Of several that a call names, each has to be there.
                        None if step.starts_with('{') => {
                            return Err(format!(
                                "there is no `{}`",
                                name.chars().take(64).collect::<String>()
                            ));
                        }
                        None if many => lacks()?,
                        None => return Ok(None),
                    }
                }
            }
        }
        if next.len() > VALUES_MAX {
            return Err(format!("`{}` leads to more than {VALUES_MAX} values", attribute.at));
        }
        found = next;
    }
    if many && found.iter().any(|value| value.is_null()) {
        lacks()?;
    }
    found.retain(|value| !value.is_null());
    match attribute.take {
        Take::Value if attribute.kind.is_set() => {
            // No list at all is not an empty one; nothing behind `*` is.
            if found.is_empty() && !many {
                return Ok(None);
            }
            let lists = !many && found.iter().all(|value| value.is_array());
            let items = match lists {
                true => found.iter().filter_map(|value| value.as_array()).flatten().collect(),
                false => found,
            };
            set(attribute, items).map(Some)
        }
        Take::Value => match found.as_slice() {
            [] => Ok(None),
            [value] => one(attribute, value).map(Some),
            [..] => Err(format!("`{}` leads to {} values", attribute.at, found.len())),
        },
        Take::Count => {
            let count = match (many, found.as_slice()) {
                (true, _) => found.len(),
                (false, [Value::Array(items)]) => items.len(),
                (false, [Value::Object(members)]) => members.len(),
                (false, []) => return Ok(None),
                (false, _) => return Err(format!("what is at `{}` cannot be counted", attribute.at)),
            };
            Ok(Some(count.into()))
        }
        Take::Names => match found.as_slice() {
            [] => Ok(None),
            [Value::Object(members)] => {
                let names: BTreeSet<&str> = members.keys().map(String::as_str).collect();
                Ok(Some(names.into_iter().collect()))
            }
            [..] => Err(format!("what is at `{}` has no names", attribute.at)),
        },
        Take::Sum | Take::Least | Take::Most if found.is_empty() && !many => Ok(None),
        Take::Sum => summed(attribute, &found).map(Some),
        Take::Least | Take::Most => extreme(attribute, &found),
    }
}

fn member<'a>(here: &'a Value, name: &str) -> Option<&'a Value> {
    match here {
        Value::Object(members) => members.get(name),
        // One number has one writing: `01` is no entry.
        Value::Array(items) => items.get(name.parse::<usize>().ok().filter(|at| at.to_string() == name)?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// The steps that an argument names: itself, or each of its entries.
fn named_by(argument: &str, given: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Err(format!("the call has no `{argument}`")),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("`{argument}` of the call names nothing"))
        }
    };
    match given {
        Value::Array(items) => items.iter().map(one).collect(),
        other => one(other).map(|name| vec![name]),
    }
}

fn one(attribute: &AttributeDeclaration, value: &Value) -> Result<Value, String> {
    let misfit = || {
        let shown = match value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        format!("`{}` has {shown}, which is no {}", attribute.at, attribute.kind.name())
    };
    let fitting = match (attribute.kind, value) {
        (AttributeKind::Text | AttributeKind::Texts, Value::String(text)) => {
            (text.chars().count() <= TEXT_MAX).then(|| Value::from(text.as_str()))
        }
        (AttributeKind::Text | AttributeKind::Texts, Value::Number(number)) if number.is_i64() => {
            Some(number.to_string().into())
        }
        (AttributeKind::Long | AttributeKind::Longs, Value::Number(number)) => {
            number.as_i64().or_else(|| i64::try_from(whole(value)?).ok()).map(Value::from)
        }
        (AttributeKind::Decimal, Value::Number(_) | Value::String(_)) => {
            let read = match value {
                Value::String(text) => text.trim().parse::<Decimal>().ok(),
                other => amount::decimal(other),
            };
            decimal_fits(read).map(|d| d.normalize().to_string().into())
        }
        (AttributeKind::Bool, Value::Bool(yes)) => Some((*yes).into()),
        (AttributeKind::Time, Value::Number(number)) => number.as_i64().filter(is_moment).map(Value::from),
        (AttributeKind::Time, Value::String(text)) => {
            moment(text, attribute.zone.as_deref()).filter(is_moment).map(Value::from)
        }
        (_, _) => None,
    };
    fitting.ok_or_else(misfit)
}

/// A number like `3.0`, as the whole number that it is.
fn whole(value: &Value) -> Option<i128> {
    let normal = amount::decimal(value)?.normalize();
    (normal.scale() == 0).then(|| normal.mantissa())
}

/// Rules compare decimals of four digits after the point and 14 before.
fn decimal_fits(read: Option<Decimal>) -> Option<Decimal> {
    let most = Decimal::new(DECIMAL_MAX, 0);
    read.filter(|d| d.normalize().scale() <= 4 && d.abs() < most)
}

fn set(attribute: &AttributeDeclaration, items: Vec<&Value>) -> Result<Value, String> {
    let read: Vec<Value> = items.into_iter().map(|item| one(attribute, item)).collect::<Result<_, _>>()?;
    let texts: BTreeSet<&str> = read.iter().filter_map(Value::as_str).collect();
    let longs: BTreeSet<i64> = read.iter().filter_map(Value::as_i64).collect();
    Ok(match attribute.kind {
        AttributeKind::Longs => longs.into_iter().collect(),
        AttributeKind::Texts
        | AttributeKind::Text
        | AttributeKind::Long
        | AttributeKind::Decimal
        | AttributeKind::Bool
        | AttributeKind::Time => texts.into_iter().collect(),
    })
}

fn summed(attribute: &AttributeDeclaration, found: &[&Value]) -> Result<Value, String> {
    let mut sum = Decimal::ZERO;
    for value in found {
        let term = match one(attribute, value)? {
            Value::String(text) => text.parse().ok(),
            other => amount::decimal(&other),
        };
        let next = term.and_then(|term| sum.checked_add(term));
        sum = next.ok_or_else(|| format!("what is at `{}` cannot be summed", attribute.at))?;
    }
    let beyond = || format!("the sum of `{}` is more than rules can compare", attribute.at);
    match attribute.kind {
        AttributeKind::Long => {
            whole_sum(sum).and_then(|sum| i64::try_from(sum).ok()).map(Value::from).ok_or_else(beyond)
        }
        AttributeKind::Text
        | AttributeKind::Decimal
        | AttributeKind::Bool
        | AttributeKind::Time
        | AttributeKind::Texts
        | AttributeKind::Longs => {
            decimal_fits(Some(sum)).map(|sum| sum.normalize().to_string().into()).ok_or_else(beyond)
        }
    }
}

fn whole_sum(sum: Decimal) -> Option<i128> {
    let normal = sum.normalize();
    (normal.scale() == 0).then(|| normal.mantissa())
}

fn extreme(attribute: &AttributeDeclaration, found: &[&Value]) -> Result<Option<Value>, String> {
    let mut best: Option<(Decimal, Value)> = None;
    for value in found {
        let value = one(attribute, value)?;
        let rank = match &value {
            Value::String(text) => text.parse().ok(),
            other => amount::decimal(other),
        };
        let rank = rank.ok_or_else(|| format!("what is at `{}` has no order", attribute.at))?;
        let better = best.as_ref().is_none_or(|(known, _)| match attribute.take {
            Take::Most => rank > *known,
            Take::Least | Take::Value | Take::Count | Take::Names | Take::Sum => rank < *known,
        });
        if better {
            best = Some((rank, value));
        }
    }
    Ok(best.map(|(_, value)| value))
}

/// Seconds since 1970 of a date, or of a date and a time, with a zone or in the declared one.
fn moment(text: &str, zone: Option<&str>) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let time = rest.strip_prefix(['T', ' ', 't']).unwrap_or(rest);
    let (clock, said) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at_checked(at)?,
        None => (time, ""),
    };
    let clock = clock.trim_end();
    let clock = match clock.len() {
        0 if said.is_empty() => "00:00:00".to_owned(),
        5 => format!("{clock}:00"),
        8 => clock.to_owned(),
        // Parts of a second, as many as are written.
        9.. if clock.get(8..9) == Some(".") => clock.get(..8)?.to_owned(),
        _ => return None,
    };
    let zone = if said.is_empty() { zone.unwrap_or("Z") } else { said };
    let ahead_s = offset_s(zone)?;
    let as_utc = Timestamp::parse(&format!("{date}T{clock}Z"))?;
    as_utc.0.div_euclid(1000).checked_sub(ahead_s)
}

/// Whether rules may compare it: seconds, and not milliseconds.
fn is_moment(seconds: &i64) -> bool {
    (-TIME_MAX_S + 1..TIME_MAX_S).contains(seconds)
}

/// How far a zone is ahead of UTC, in seconds.
pub fn offset_s(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (h, m) = match rest.len() {
        5 => rest.split_once(':')?,
        4 => rest.split_at_checked(2)?,
        _ => return None,
    };
    let digits =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    let (h, m) = (digits(h)?, digits(m)?);
    (h <= 14 && m < 60).then_some(sign * (h * 3600 + m * 60))
}

/// The name of the attribute for the age of a time.
pub fn age_of(name: &str) -> String {
    format!("{name}_age_s")
}
