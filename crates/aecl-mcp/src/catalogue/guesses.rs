//! What the definition of a tool suggests about its entry, beside what it does: roles of arguments, whom it reaches, what its
//! output is, and when people are asked. People review it; each guess has a [reason](why) that they are shown.

use super::choices::Chooser;
use super::{intents, languages, verbs};
use aecl_analysis::learned::{ISSUED_ID, THEIRS};
use aecl_kernel::define::catalogue::cases::OneOf;
use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::define::catalogue::{ActionManifest, Effect, Fields, Reversibility, TypedAction, infer};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// From this severity on people always look.
const GRAVE: u8 = 3;
/// With more switches than this nobody knows what a call does.
const SWITCHES_MAX: usize = 16;
/// An output schema is looked at so deep, and for so many labels.
const DEPTH_MAX: usize = 8;
const LABELS_MAX: usize = 64;

/// Compiles the entry and writes down what names and schema suggest about severity, reach and the roles of the arguments, so that a
/// person can correct it. Annotations have no part in it. `own` is the tool's name without its server's.
pub(super) fn roles(entry: &mut Value, own: &str) -> Result<(), String> {
    let typed = compiled(entry)?;
    let Value::Object(entry) = entry else { return Ok(()) };
    let changes = typed.manifest.effect.changes_something();
    let is_grave = changes && verbs::is_grave(own, &typed.manifest.description);
    let severity = if is_grave { GRAVE } else { typed.manifest.severity() };
    entry.insert("severity".into(), severity.into());
    let roles: Vec<(String, Class)> = typed
        .roles
        .iter()
        .map(|(pointer, argument)| {
            let name = pointer.trim_start_matches('/').replace("~1", "/").replace("~0", "~");
            let class = class_of(&typed, &name, argument.class);
            (name, class)
        })
        .collect();
    let roles: Vec<(String, Class)> =
        roles.into_iter().flat_map(|(name, class)| with_inner(&typed, name, class)).collect();
    let words = verbs::words(own);
    // What is about mail sends none: `delete_email`.
    let verb = verbs::first_verb(&words).unwrap_or(own);
    let egress = infer::egress(verb, typed.manifest.effect, roles.iter().map(|(_, class)| *class));
    entry.insert("egress".into(), json!(egress));
    let args: Map<String, Value> =
        roles.into_iter().map(|(name, class)| (name, json!({ "class": class }))).collect();
    if !args.is_empty() {
        entry.insert("args".into(), Value::Object(args));
    }
    Ok(())
}

/// The cases of a tool that does several things. The entry is at least as bad as each of them, as it has to be.
pub(super) fn cases(entry: &mut Value, own: &str, schema: &Value) -> Result<(), String> {
    let Some(chooser) = Chooser::of(schema) else { return Ok(()) };
    let said = entry.get("description").and_then(Value::as_str).unwrap_or_default();
    let cases = chooser.cases(schema, own, said);
    // What the case says is what the goal has to ask for.
    let chosen = chooser.name.to_owned();
    let before = entry.clone();
    let Value::Object(members) = entry else { return Ok(()) };
    let worst = |key: &str| cases.iter().filter_map(|case| case.get(key)?.as_u64()).max();
    let severity = members.get("severity").and_then(Value::as_u64).max(worst("severity"));
    members.insert("severity".into(), json!(severity));
    if cases.iter().any(|case| case.get("effect").and_then(Value::as_str) == Some("send")) {
        members.insert("egress".into(), "external".into());
    }
    if !cases.is_empty() {
        members.insert("cases".into(), Value::Array(cases));
        let args = members.entry("args").or_insert_with(|| json!({}));
        if let Some(args) = args.as_object_mut() {
            args.insert(chosen, json!({ "class": Class::Flag }));
        }
    }
    if compiled(entry).is_err() {
        *entry = before;
    }
    Ok(())
}

fn compiled(entry: &Value) -> Result<TypedAction, String> {
    let manifest: ActionManifest =
        serde_json::from_value(entry.clone()).map_err(|error| error.to_string())?;
    TypedAction::compile(manifest)
}

/// The role of an argument, as the whole definition suggests it.
fn class_of(typed: &TypedAction, name: &str, guessed: Class) -> Class {
    if languages::takes_sql(typed, name) {
        return Class::QuerySql;
    }
    let schema = typed
        .manifest
        .arguments
        .pointer(&format!("/properties/{}", name.replace('~', "~0").replace('/', "~1")));
    schema.map_or(guessed, |schema| refined(typed, name, schema, guessed))
}

fn refined(typed: &TypedAction, name: &str, schema: &Value, guessed: Class) -> Class {
    let guessed = by_form(typed, name, schema, guessed);
    let is_address = infer::is_address(typed.manifest.name.as_str(), name, schema);
    match guessed {
        Class::Credential | Class::Command | Class::QuerySql => guessed,
        _ if is_address => Class::DestUrl,
        Class::Selector if says_at_whom(name, schema) => Class::DestName,
        _ => guessed,
    }
}

/// The role of an argument, and of the members of what it is made of: a list of files has paths and contents.
fn with_inner(typed: &TypedAction, name: String, class: Class) -> Vec<(String, Class)> {
    let escaped = name.replace('~', "~0").replace('/', "~1");
    let schema = typed.manifest.arguments.pointer(&format!("/properties/{escaped}"));
    let mut out = vec![(name, class)];
    if let Some(schema) =
        schema.filter(|_| !matches!(class, Class::Command | Class::QuerySql | Class::Credential))
    {
        inner(typed, schema, &format!("/{escaped}"), 0, &mut out);
    }
    out
}

fn inner(typed: &TypedAction, schema: &Value, at: &str, depth: usize, out: &mut Vec<(String, Class)>) {
    if depth >= DEPTH_MAX || out.len() >= LABELS_MAX {
        return;
    }
    if let Some(items) = schema.get("items") {
        return inner(typed, items, &format!("{at}/*"), depth + 1, out);
    }
    let Some(members) = schema.get("properties").and_then(Value::as_object) else { return };
    let manifest = &typed.manifest;
    let classes = infer::classes(manifest.name.as_str(), manifest.effect, &Fields::default(), schema);
    for (name, member) in members {
        let guessed = classes.get(name).copied().unwrap_or(Class::TargetName);
        let class = refined(typed, name, member, guessed);
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        out.push((at.clone(), class));
        inner(typed, member, &at, depth + 1, out);
    }
}

/// What a single word of a name suggests gives way to what the argument can be at all: an id of a script is none, a number is no
/// address, and `to_revision` is no addressee.
fn by_form(typed: &TypedAction, name: &str, schema: &Value, guessed: Class) -> Class {
    let words = verbs::words(name);
    let kind = schema.get("type").and_then(Value::as_str);
    let changes = typed.manifest.effect.changes_something();
    let takes_away = typed.manifest.effect == Effect::Delete;
    let is_id = words.last().is_some_and(|last| ["id", "ids"].contains(&last.as_str()));
    let options = schema.get("enum").and_then(Value::as_array);
    let is_chosen = options.is_some_and(|options| {
        options.iter().all(|option| option.as_str().is_some_and(|text| !text.contains(char::is_whitespace)))
    });
    match guessed {
        Class::Command if is_id && words.len() > 1 => {
            if changes {
                Class::TargetId
            } else {
                Class::Selector
            }
        }
        Class::Command if is_chosen => {
            if changes {
                Class::TargetName
            } else {
                Class::Flag
            }
        }
        Class::DestUrl if kind == Some("boolean") => Class::Flag,
        Class::DestUrl if matches!(kind, Some("integer" | "number")) => {
            if changes {
                Class::Magnitude
            } else {
                Class::Selector
            }
        }
        Class::DestEmail | Class::DestName | Class::DestAccount => match words.as_slice() {
            [a, b, c, ..] if (a.as_str(), b.as_str(), c.as_str()) == ("in", "reply", "to") => Class::TargetId,
            [to, rest @ ..] if to == "to" && !rest.is_empty() => without_to(typed, &rest.join("_"), schema),
            _ => guessed,
        },
        // "as a reader" is not `owner`: what is chosen out of a list is somebody's choice.
        Class::Flag if changes && options.is_some() => Class::TargetName,
        // A range of what is deleted says how much.
        Class::Time if takes_away && matches!(kind, Some("integer" | "number")) => Class::Magnitude,
        Class::Time if takes_away => Class::TargetName,
        // Members of an object are data, and no text.
        Class::Content if changes && matches!(kind, Some("object" | "array") | None) => Class::TargetName,
        Class::Magnitude if is_knob(&words) => Class::Selector,
        _ => guessed,
    }
}

/// What an argument is that is called `to_` something.
fn without_to(typed: &TypedAction, rest: &str, schema: &Value) -> Class {
    let manifest = &typed.manifest;
    let alone = json!({ "properties": { rest: schema } });
    let classes = infer::classes(manifest.name.as_str(), manifest.effect, &Fields::default(), &alone);
    classes.get(rest).copied().unwrap_or(Class::TargetName)
}

/// How the work is cut up, and how long is waited for it.
fn is_knob(words: &[String]) -> bool {
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !["ms", "seconds"].contains(word)).collect();
    matches!(
        words.as_slice(),
        ["timeout" | "offset" | "page" | "retries"]
            | ["batch" | "page" | "chunk", "size"]
            | ["per", "page"]
            | ["page", "number"]
            | ["max", "retries"]
    )
}

/// Whether an argument of a read chooses the system that is asked: another cluster, another tenant. Whoever runs it is told
/// what is asked.
fn says_at_whom(name: &str, schema: &Value) -> bool {
    const SYSTEMS: [&str; 7] =
        ["cluster", "datasource", "instance", "kubeconfig", "server", "tenant", "workspace"];
    let is_system = |word: &String| SYSTEMS.contains(&word.as_str());
    let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    match verbs::words(name).last() {
        // A text may have a context, too.
        Some(last) if last == "context" => verbs::words(about).iter().any(is_system),
        Some(last) => is_system(last),
        None => false,
    }
}

/// Labels what the schema of the output says that a backend has issued: ids, dates, and words out of a list. What else is text
/// may be a stranger's, and a number may be an amount that one has written.
pub(super) fn labels(entry: &mut Value, schema: Option<&Value>) {
    let (Some(schema), Value::Object(entry)) = (schema, entry) else { return };
    let mut labels = Vec::new();
    Outputs { root: schema, labels: &mut labels }.look(schema, "", "", 0);
    if !labels.is_empty() {
        entry.insert("outputs".into(), Value::Array(labels));
    }
}

struct Outputs<'a> {
    root: &'a Value,
    labels: &'a mut Vec<Value>,
}

impl<'a> Outputs<'a> {
    fn look(&mut self, part: &'a Value, path: &str, name: &str, depth: usize) {
        if depth > DEPTH_MAX || self.labels.len() >= LABELS_MAX {
            return;
        }
        let referred = part.get("$ref").and_then(Value::as_str);
        let part = referred.and_then(|at| self.root.pointer(at.strip_prefix('#')?)).unwrap_or(part);
        for (member, inner) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let step = member.replace('~', "~0").replace('/', "~1");
            self.look(inner, &format!("{path}/{step}"), member, depth + 1);
        }
        if let Some(items) = part.get("items").filter(|items| items.is_object()) {
            self.look(items, &format!("{path}/*"), name, depth + 1);
        }
        if let Some(form) = form(part, name)
            && !path.is_empty()
        {
            let mut label = json!({ "path": path, "endorses": "system", "taints": false, "type": form });
            if let (Value::Object(label), "id") = (&mut label, form) {
                label.insert("pattern".into(), ISSUED_ID.into());
            }
            self.labels.push(label);
        }
    }
}

/// The form of a value that a backend issues.
fn form(part: &Value, name: &str) -> Option<&'static str> {
    let text = |key: &str| part.get(key).and_then(Value::as_str);
    let words = verbs::words(name);
    let is_theirs = words.iter().any(|word| THEIRS.contains(&word.as_str()));
    let is_id =
        !is_theirs && words.last().is_some_and(|last| ["id", "ids", "uuid", "guid"].contains(&last.as_str()));
    match (text("type")?, text("format")) {
        ("string", Some("date" | "date-time")) => Some("date"),
        ("string", Some("uuid")) => Some("id"),
        ("string" | "integer", _) if is_id => Some("id"),
        ("string", None) if part.get("enum").is_some() => Some("name"),
        _ => None,
    }
}

/// What cannot be undone, as far as anybody knows, is asked about, also where all is named, if a switch is on that nobody has named:
/// what is on is proven by nobody. So its calls with the switches off are a case; nothing, where no case can say so.
fn switches(entry: &Value) -> Option<Map<String, Value>> {
    const HARMLESS: [&str; 16] = [
        "case", "compact", "debug", "dry", "exact", "html", "include", "markdown", "preview", "pretty",
        "regex", "utc", "validate", "verbose", "wait", "watch",
    ];
    let mut out = Map::new();
    let mut parts = vec![(String::new(), entry.get("arguments")?, 0)];
    while let Some((at, part, depth)) = parts.pop() {
        let members = part.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, member) in members {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            let is_harmless = verbs::words(name).iter().any(|word| HARMLESS.contains(&word.as_str()));
            if is_switch(member) && !is_harmless {
                let off = member.get("default").filter(|default| default.is_boolean()).cloned();
                let key = if depth == 0 { name.clone() } else { at.clone() };
                out.insert(key, json!([null, off.unwrap_or_else(|| false.into())]));
            }
            // Which of many is on, a case cannot say.
            if depth >= DEPTH_MAX || member.get("items").is_some_and(holds_a_switch) {
                return None;
            }
            parts.push((at, member, depth + 1));
        }
    }
    (out.len() <= SWITCHES_MAX).then_some(out)
}

fn is_switch(argument: &Value) -> bool {
    match argument.get("type") {
        Some(Value::String(kind)) => kind == "boolean",
        Some(Value::Array(kinds)) => kinds.contains(&"boolean".into()),
        _ => false,
    }
}

/// Whether there is a switch anywhere in a schema.
fn holds_a_switch(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => is_switch(schema) || members.values().any(holds_a_switch),
        Value::Array(parts) => parts.iter().any(holds_a_switch),
        _ => false,
    }
}

/// What cannot be undone, as far as anybody knows, is asked about where somebody trusted has not named what it changes or the
/// goal does not ask for it; people always look at what is grave, and at what runs programs or queries.
pub(super) fn approval(entry: &mut Value) -> Result<(), String> {
    let typed = Arc::new(compiled(entry)?);
    let proves = |it: &TypedAction| {
        let manifest = &it.manifest;
        let runs = |class| matches!(class, Class::Command | Class::QuerySql);
        let runs = it.roles.iter().any(|(_, argument)| runs(argument.class));
        let is_final = manifest.reversibility() == Reversibility::Irreversible;
        manifest.effect.changes_something() && is_final && manifest.severity() < GRAVE && !runs
    };
    let rule = json!({ "always": false, "unless_proven": true });
    let Some(switches) = switches(entry) else { return Ok(()) };
    let of_cases: Vec<bool> = typed.variants().skip(1).map(|it| proves(it)).collect();
    let Value::Object(members) = entry else { return Ok(()) };
    if switches.is_empty() && proves(&typed) {
        // Its cases have it from the entry.
        members.insert("approval".into(), rule);
        return Ok(());
    }
    if of_cases.is_empty() && proves(&typed) {
        members.insert("cases".into(), json!([{ "when": switches, "approval": rule }]));
        return Ok(());
    }
    let cases = members.get_mut("cases").and_then(Value::as_array_mut).into_iter().flatten();
    for (case, _) in cases.zip(of_cases).filter(|(_, proves)| *proves) {
        if let Value::Object(case) = case {
            case.insert("approval".into(), rule.clone());
            if let Some(Value::Object(when)) = case.get_mut("when") {
                when.extend(switches.clone());
            }
        }
    }
    Ok(())
}

/// The words by which a goal asks for a change, and for each of its cases.
pub(super) fn words_of_goals(entry: &mut Value, own: &str, schema: &Value) -> Result<(), String> {
    let typed = Arc::new(compiled(entry)?);
    let profile = typed.roles.has(Class::Profile);
    let of = |name: &str, effect: Effect| json!(intents::intent(name, effect, profile, schema));
    let changes = |it: &TypedAction| it.manifest.effect.changes_something();
    let cases: Vec<Option<Value>> = typed
        .variants()
        .skip(1)
        .zip(&typed.manifest.cases)
        .map(|(it, case)| {
            let chosen = case.when.values().flat_map(OneOf::values).find_map(Value::as_str)?;
            changes(it).then(|| of(&format!("{chosen}_{own}"), it.manifest.effect))
        })
        .collect();
    let entrys = changes(&typed).then(|| of(own, typed.manifest.effect));
    let put = |place: Option<&mut Value>, intent: Option<Value>| {
        if let (Some(Value::Object(members)), Some(intent)) = (place, intent) {
            members.insert("intent".into(), intent);
        }
    };
    for (i, intent) in cases.into_iter().enumerate() {
        put(entry.pointer_mut(&format!("/cases/{i}")), intent);
    }
    put(Some(entry), entrys);
    Ok(())
}

/// Why an entry is as an import has written it, by its keys.
pub(super) fn why(entry: &Value) -> Map<String, Value> {
    let has = |key: &str| entry.get(key).is_some();
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut out = Map::new();
    let mut say = |key: &str, why: &str| out.insert(key.to_owned(), why.into());
    match text("effect") {
        "read" => say(
            "effect",
            "its name and its description, or one of them and its annotation, say that it looks only, and nothing else says that it changes something",
        ),
        "delete" | "send" => say("effect", "the verb of its name"),
        _ => say("effect", "nothing says plainly that it looks only"),
    };
    if text("reversibility") == "irreversible" {
        say("reversibility", "nobody has said how it is undone");
    }
    if has("cases") {
        say("cases", "an argument chooses what is done; what looks only is told apart by its word");
    }
    if has("intent") {
        say("intent", "the verb and the nouns of its name, and what people say for them");
    }
    if has("outputs") {
        say("outputs", "its output schema has ids, dates and words out of a list, which a backend issues");
    }
    if entry.pointer("/approval/unless_proven").is_some() {
        say(
            "approval",
            "no grave harm can come of it as far as its name tells, so people are asked where the goal does not ask for it or nobody trusted has named what it changes",
        );
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use crate::catalogue::{Annotations, Definition};
    use serde_json::{Value, json};

    fn entry(name: &str, more: Value) -> Value {
        let mut pinned = json!({"name": name});
        pinned.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Definition::of_pinned(pinned).unwrap().entry("srv", Annotations::OnlyStricter).unwrap()
    }

    fn taking(name: &str, properties: Value) -> Value {
        entry(name, json!({"inputSchema": {"type": "object", "properties": properties}}))
    }

    #[test]
    fn what_no_grave_harm_comes_of_asks_where_something_is_missing() {
        let rule = json!({"always": false, "unless_proven": true});
        let text = json!({"type": "string"});
        for name in ["move_card", "delete_page", "send_note"] {
            assert_eq!(taking(name, json!({"name": text}))["approval"], rule, "{name}");
        }
        for (name, arguments) in [
            ("pay_invoice", json!({"name": text})),
            ("grant_role", json!({"name": text})),
            ("run_job", json!({"name": text})),
            ("apply_change", json!({"command": text})),
            ("change_rows", json!({"sql": text})),
            ("get_card", json!({"name": text})),
        ] {
            assert_eq!(taking(name, arguments)["approval"], Value::Null, "{name}");
        }
        // Nobody knows what it takes.
        assert_eq!(entry("move_card", json!({"inputSchema": {"type": "object"}}))["approval"], Value::Null);
    }

    #[test]
    fn names_of_money_rights_and_what_runs_always_ask() {
        let text = json!({"type": "string"});
        for name in [
            "make_payout",
            "withdraw",
            "wallet_send",
            "sell_shares",
            "set_iban",
            "add_payee",
            "make_admin",
            "promote_user",
            "set_acl",
            "authorize_app",
            "impersonate_user",
            "disable_2fa",
            "update_firewall",
            "deploy_release",
            "install_pack",
            "create_cron",
            "invoke_lambda",
            "order_item",
            "transfer_ownership",
            "publish_page",
            "create_webhook",
        ] {
            assert_eq!(taking(name, json!({"item_id": text}))["approval"], Value::Null, "{name}");
        }
        let payments = json!({"description": "Manages payments.", "inputSchema": {"type": "object", "properties": {
            "operation": {"type": "string", "enum": ["list", "capture"]}}}});
        assert_eq!(entry("manage", payments)["cases"][1]["approval"], Value::Null);
    }

    /// "Share the file with Bob as a reader": neither `owner` nor `public: true` is what that says.
    #[test]
    fn what_is_chosen_or_switched_on_is_no_detail_of_a_change() {
        let it = taking(
            "give_file",
            json!({
            "file_id": {"type": "string"}, "role": {"type": "string", "enum": ["reader", "owner"]},
            "public": {"type": "boolean"}, "dry_run": {"type": "boolean"}, "keep": {"type": "boolean", "default": true}}),
        );
        assert_eq!(it["args"]["role"]["class"], "target_name");
        assert_eq!(it["approval"], Value::Null);
        let case = json!({"when": {"public": [null, false], "keep": [null, true]}, "approval": {"always": false, "unless_proven": true}});
        let mut found = it["cases"][0].clone();
        found.as_object_mut().unwrap().remove("intent");
        assert_eq!(found, case);
        let text = json!({"type": "string"});
        let nested = json!({"type": "object", "properties": {"deep": {"type": "object", "properties": {"public": {"type": "boolean"}}}}});
        let it = taking("give_file", json!({"file_id": text, "options": nested}));
        assert_eq!(it["cases"][0]["when"], json!({"/options/deep/public": [null, false]}));
        let listed = json!({"type": "array", "items": {"type": "object", "properties": {"public": {"type": "boolean"}}}});
        let it = taking("give_file", json!({"file_id": text, "files": listed}));
        assert_eq!((&it["approval"], &it["cases"]), (&Value::Null, &Value::Null), "it asks always");
        let it = taking("clear_log", json!({"days": {"type": "integer"}, "until": {"type": "string"}}));
        assert_eq!(
            (&it["args"]["days"]["class"], &it["args"]["until"]["class"]),
            (&json!("magnitude"), &json!("target_name"))
        );
        let it = taking("change_user", json!({"data": {"type": "object"}, "text": {"type": "string"}}));
        assert_eq!(
            (&it["args"]["data"]["class"], &it["args"]["text"]["class"]),
            (&json!("target_name"), &json!("content"))
        );
    }

    #[test]
    fn a_reader_that_says_where_to_write_or_how_to_look_is_none() {
        let text = json!({"type": "string"});
        for name in
            ["output_path", "outfile", "out", "save_to", "log_file", "dest_dir", "args", "flags", "new_owner"]
        {
            assert_ne!(taking("get_shelf", json!({ name: text }))["effect"], "read", "{name}");
        }
        for (name, schema) in [
            ("output", json!({"type": "string", "enum": ["json", "yaml"]})),
            ("path", text.clone()),
            ("filename", text.clone()),
            ("log", text.clone()),
            ("new", json!({"type": "boolean"})),
        ] {
            assert_eq!(taking("get_shelf", json!({ name: schema }))["effect"], "read", "{name}");
        }
    }

    #[test]
    fn the_verb_says_what_is_done_and_to_whom_it_goes() {
        for (name, effect, egress) in [
            ("delete_email", "delete", "none"),
            ("modify_email", "write", "none"),
            ("send_email", "send", "external"),
            ("email_delete", "delete", "none"),
            ("cancel_booking", "delete", "none"),
            ("post_delete", "delete", "none"),
            ("reply", "send", "external"),
            ("upload_report", "write", "external"),
            ("frobnicate", "write", "none"),
        ] {
            let it = taking(name, json!({"item_id": {"type": "string"}}));
            assert_eq!((&it["effect"], &it["egress"]), (&json!(effect), &json!(egress)), "{name}");
        }
    }

    #[test]
    fn an_argument_is_what_it_can_be() {
        let text = json!({"type": "string"});
        let it = taking(
            "change_thing",
            json!({
            "script_id": text, "command": {"type": "string", "enum": ["start", "stop"]},
            "per_domain": {"type": "boolean"}, "in_reply_to": text, "to_revision": {"type": "integer"},
            "to_user": text, "to": text, "timeout_ms": {"type": "integer"}, "limit": {"type": "integer"}}),
        );
        let class = |name: &str| it["args"][name]["class"].as_str().unwrap().to_owned();
        assert_eq!(class("script_id"), "target_id");
        assert_eq!(class("command"), "flag");
        assert_eq!(class("per_domain"), "flag");
        assert_eq!(class("in_reply_to"), "target_id");
        assert_eq!(class("to_revision"), "magnitude");
        assert_eq!(class("to_user"), "target_name");
        assert_eq!(class("to"), "dest_name");
        assert_eq!(class("timeout_ms"), "selector");
        // It may be a limit of spending.
        assert_eq!(class("limit"), "magnitude");
    }

    #[test]
    fn what_an_argument_is_made_of_has_roles_of_its_own() {
        let text = json!({"type": "string"});
        let file = json!({"type": "object", "properties": {"path": text, "content": text}});
        let it = taking(
            "push_things",
            json!({
            "files": {"type": "array", "items": file},
            "card": {"type": "object", "properties": {"card_id": text, "note": {"type": "object", "properties": {"to": text}}}}}),
        );
        let class = |name: &str| it["args"][name]["class"].as_str().unwrap().to_owned();
        assert_eq!(class("/files/*/path"), "target_path");
        assert_eq!(class("/files/*/content"), "content");
        assert_eq!(class("/card/card_id"), "target_id");
        assert_eq!(class("/card/note/to"), "dest_name");
    }

    #[test]
    fn ids_and_dates_of_an_output_schema_are_labelled_and_nothing_that_a_stranger_may_write() {
        let schema = json!({"type": "object", "$defs": {"row": {"type": "object", "properties": {
                "id": {"type": "integer"}, "owner_id": {"type": "string"}, "title": {"type": "string"},
                "email": {"type": "string", "format": "email"}, "total": {"type": "number"},
                "state": {"type": "string", "enum": ["open", "closed"]},
                "created": {"type": "string", "format": "date-time"}}}},
            "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/row"}}}});
        let it = entry(
            "list_rows",
            json!({"inputSchema": {"type": "object", "properties": {}}, "outputSchema": schema}),
        );
        let labels: Vec<String> = it["outputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|label| format!("{} {}", label["path"].as_str().unwrap(), label["type"].as_str().unwrap()))
            .collect();
        assert_eq!(
            labels,
            ["/rows/*/created date", "/rows/*/id id", "/rows/*/owner_id id", "/rows/*/state name"]
        );
        // One that refers to itself has an end.
        let endless =
            json!({"type": "object", "properties": {"id": {"type": "string"}, "next": {"$ref": "#"}}});
        let it = entry(
            "list_rows",
            json!({"inputSchema": {"type": "object", "properties": {}}, "outputSchema": endless}),
        );
        assert!(it["outputs"].as_array().unwrap().len() < 16);
    }

    #[test]
    fn an_annotation_stands_in_for_one_of_two_witnesses_and_for_no_more() {
        let reads = |name: &str, description: &str, hint: Value| {
            let it = json!({"name": name, "description": description, "annotations": {"readOnlyHint": hint},
                "inputSchema": {"type": "object", "properties": {}}});
            let it = Definition::of_pinned(it).unwrap();
            it.reads("srv", Annotations::OnlyStricter)
        };
        for (name, description) in [
            ("pod_logs", "Get the logs of a pod"),
            ("acme-search-objects", "Performs filtered searches"),
            ("acme_get_details", "The identity behind the token."),
        ] {
            assert!(reads(name, description, json!(true)), "{name}");
            assert!(!reads(name, description, Value::Null), "{name}");
        }
        for (name, description) in [
            ("cast_ballot", "Casts the ballot."),
            ("delete_pods", "Get the pods and what is in them"),
            ("pod_logs", "Get the logs, and clears them"),
            ("search_and_frob", "Performs searches"),
            ("check_out", "A desk"),
        ] {
            assert!(!reads(name, description, json!(true)), "{name}");
        }
    }
}
