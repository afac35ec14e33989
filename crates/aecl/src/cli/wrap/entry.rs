//! A server's entry in a client's file, and the same with AECL in front of it.

use super::clients::{Client, Place};
use super::hooks::Hook;
use super::json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use toml_edit::{DocumentMut, Item, Table, value};

/// What a server's entry says of how it is started.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub command: Option<String>,
    pub args: Vec<String>,
    /// Names and values.
    pub env: Vec<(String, String)>,
    /// A file says more of the environment.
    pub has_env_file: bool,
    /// It is started in a directory that it names.
    pub has_cwd: bool,
    /// It says, beside whatever else, that the server is reached at an address: some clients go by that.
    pub is_remote: bool,
}

/// Members that make an entry one of a server which no command starts.
const ADDRESSES: [&str; 8] =
    ["url", "httpUrl", "serverUrl", "uri", "endpoint", "tcp", "headers", "http_headers"];
/// Members that say how a server is reached, and what they say of one that a command starts.
const KINDS: [&str; 3] = ["type", "transport", "transportType"];
const STARTED: [&str; 2] = ["stdio", "local"];

/// What is to become of it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It stays as it is, and why.
    Stays(String),
    /// It gets AECL in front of it, with these words; and what there is to say of it.
    Wrapped(Vec<String>, Option<String>),
}

/// How AECL is started in front of a server.
pub(super) struct Front {
    pub program: String,
    pub home: String,
    pub agent: String,
    /// The directory whose files a stranger may have written.
    pub project: PathBuf,
}

/// What is to become of a file.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub text: String,
    /// The servers that get AECL in front of them.
    pub wrapped: Vec<String>,
    /// What their entries are then.
    pub entries: Vec<Ours>,
    /// The hooks that are added.
    pub hooks: Vec<Hook>,
    /// What there is to say of some of them.
    pub noted: Vec<(String, String)>,
    /// The others, and why.
    pub left: Vec<(String, String)>,
}

/// An entry that we wrote, by the names that lead to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ours {
    pub path: Vec<String>,
    pub command: String,
    pub args: Vec<String>,
}

impl Front {
    fn ours(&self, list: &[&str], name: &str, args: &[String]) -> Ours {
        let path = list.iter().chain([&name]).map(|name| (*name).to_owned()).collect();
        Ours { path, command: self.program.clone(), args: args.to_owned() }
    }

    pub(super) fn args(&self, server: &str, command: &str, args: &[String]) -> Vec<String> {
        let ours = ["--dir", &self.home, "mcp", "--agent", &self.agent, "--server", server, "--", command];
        ours.iter().map(|word| (*word).to_owned()).chain(args.iter().cloned()).collect()
    }

    /// Whether each entry of this name in a file has AECL in front of its server; nothing if there is none.
    pub(super) fn is_in_front_of(
        &self,
        client: Client,
        place: &Place,
        text: &str,
        server: &str,
    ) -> Result<Option<bool>, String> {
        let mut entries = Vec::new();
        // Two names may be one in the names of tools; then both have to stand.
        let is_it = |name: &str| folded(name) == folded(server);
        if client == Client::Codex {
            let document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
            let all = document.get("mcp_servers").and_then(Item::as_table_like);
            let found = all.into_iter().flat_map(|all| all.iter()).filter(|(name, _)| is_it(name));
            entries.extend(found.map(|(_, entry)| entry.as_table_like().map(of_toml).unwrap_or_default()));
        } else {
            for list in &place.lists {
                let list: Vec<&str> = list.iter().map(String::as_str).collect();
                let Some(servers) = json::at(text, &list)? else { continue };
                let names = json::members(text, &servers)?.into_iter().map(|member| member.name);
                for name in names.filter(|name| is_it(name)) {
                    let entry = json::at(text, &[&list[..], &[name.as_str()]].concat())?;
                    let entry = entry.and_then(|span| json::read(text, &span));
                    entries.push(entry.map(|entry| of_json(&entry)).unwrap_or_default());
                }
            }
        }
        Ok((!entries.is_empty()).then(|| entries.iter().all(|entry| self.stands(entry))))
    }

    /// The file with AECL in front of every server in it.
    pub(super) fn plan(&self, client: Client, place: &Place, text: &str) -> Result<Planned, String> {
        match client {
            Client::Codex => self.plan_toml(text),
            Client::Claude | Client::Gemini | Client::Copilot | Client::Cursor | Client::Vscode => {
                self.plan_json(place, text)
            }
        }
    }

    fn plan_json(&self, place: &Place, text: &str) -> Result<Planned, String> {
        let mut planned = Planned { text: text.to_owned(), ..Planned::default() };
        for list in &place.lists {
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            let Some(servers) = json::at(&planned.text, &list)? else { continue };
            let names: Vec<String> =
                json::members(&planned.text, &servers)?.into_iter().map(|member| member.name).collect();
            for name in names {
                let path = [&list[..], &[name.as_str()]].concat();
                let Some(span) = json::at(&planned.text, &path)? else { continue };
                let entry =
                    json::read(&planned.text, &span).ok_or_else(|| format!("`{name}` cannot be read"))?;
                match self.judge(&name, &of_json(&entry)) {
                    Verdict::Stays(why) => planned.left.push((name, why)),
                    Verdict::Wrapped(args, note) => {
                        planned.text = json::set(&planned.text, &span, "command", &json!(self.program))?;
                        let Some(span) = json::at(&planned.text, &path)? else { continue };
                        planned.text = json::set(&planned.text, &span, "args", &json!(args))?;
                        planned.entries.push(self.ours(&list, &name, &args));
                        planned.noted.extend(note.map(|note| (name.clone(), note)));
                        planned.wrapped.push(name);
                    }
                }
            }
        }
        Ok(planned)
    }

    fn plan_toml(&self, text: &str) -> Result<Planned, String> {
        let mut planned = Planned::default();
        let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
        let servers = document.get_mut("mcp_servers").and_then(Item::as_table_like_mut);
        for (name, entry) in servers.into_iter().flat_map(|servers| servers.iter_mut()) {
            let name = name.get().to_owned();
            let Some(entry) = entry.as_table_like_mut() else { continue };
            match self.judge(&name, &of_toml(entry)) {
                Verdict::Stays(why) => planned.left.push((name, why)),
                Verdict::Wrapped(args, note) => {
                    set(entry, "command", value(self.program.as_str()));
                    set(entry, "args", value(args.iter().map(String::as_str).collect::<toml_edit::Array>()));
                    planned.noted.extend(note.map(|note| (name.clone(), note)));
                    planned.entries.push(self.ours(&["mcp_servers"], &name, &args));
                    planned.wrapped.push(name);
                }
            }
        }
        planned.text = document.to_string();
        Ok(planned)
    }

    /// The file with one more server, in front of which AECL is.
    pub(super) fn add(
        &self,
        client: Client,
        place: &Place,
        text: &str,
        server: &str,
        command: &[String],
    ) -> Result<Planned, String> {
        let (first, rest) = command.split_first().ok_or("no command")?;
        let args = self.args(server, first, rest);
        let mut planned = Planned { wrapped: vec![server.to_owned()], ..Planned::default() };
        if client == Client::Codex {
            let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
            let servers = document.entry("mcp_servers").or_insert_with(|| {
                let mut servers = Table::new();
                servers.set_implicit(true);
                Item::Table(servers)
            });
            let servers = servers.as_table_like_mut().ok_or("`mcp_servers` is no table")?;
            let mut entry = Table::new();
            entry.insert("command", value(self.program.as_str()));
            entry.insert("args", value(args.iter().map(String::as_str).collect::<toml_edit::Array>()));
            servers.insert(server, Item::Table(entry));
            planned.entries.push(self.ours(&["mcp_servers"], server, &args));
            planned.text = document.to_string();
            return Ok(planned);
        }
        let mut entry = json!({ "command": self.program, "args": args });
        if client == Client::Copilot
            && let Some(entry) = entry.as_object_mut()
        {
            // Without it Copilot offers none of them.
            entry.insert("tools".into(), json!(["*"]));
        }
        // What is new goes where everybody looks.
        let list = place.lists.last().and_then(|list| list.last()).map(String::as_str).ok_or("no list")?;
        planned.entries.push(self.ours(&[list], server, &args));
        let text = if text.trim().is_empty() { "{}\n" } else { text };
        planned.text = match json::at(text, &[list])? {
            Some(servers) => json::set(text, &servers, server, &entry)?,
            None => json::set(text, &json::whole(text)?, list, &json!({ server: entry }))?,
        };
        Ok(planned)
    }
}

pub(super) fn of_json(entry: &Value) -> Entry {
    let words = entry.get("args").and_then(Value::as_array);
    let env = entry.get("env").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Entry {
        command: entry.get("command").and_then(text),
        args: words.into_iter().flatten().filter_map(text).collect(),
        env: env
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value).unwrap_or_default()))
            .collect(),
        has_env_file: entry.get("envFile").is_some(),
        has_cwd: entry.get("cwd").is_some(),
        is_remote: ADDRESSES.iter().any(|name| entry.get(name).is_some())
            || KINDS.iter().filter_map(|name| entry.get(name)).any(|kind| !is_started(kind.as_str())),
    }
}

pub(super) fn of_toml(entry: &dyn toml_edit::TableLike) -> Entry {
    let words = entry.get("args").and_then(Item::as_array);
    let env = entry.get("env").and_then(Item::as_table_like);
    let text = |value: &Item| value.as_str().map(str::to_owned);
    Entry {
        command: entry.get("command").and_then(text),
        args: words.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect(),
        env: env
            .into_iter()
            .flat_map(|env| env.iter())
            .map(|(name, value)| (name.to_owned(), text(value).unwrap_or_default()))
            .collect(),
        // Codex knows no such file.
        has_env_file: false,
        has_cwd: entry.get("cwd").is_some(),
        is_remote: ADDRESSES.iter().any(|name| entry.contains_key(name))
            || KINDS.iter().filter_map(|name| entry.get(name)).any(|kind| !is_started(kind.as_str())),
    }
}

fn is_started(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| STARTED.contains(&kind))
}

/// A server's name as clients write it into the names of its tools.
fn folded(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    name.chars().map(kept).collect()
}

/// Keeps what stands around a value: comments behind it, and its place.
pub(super) fn set(entry: &mut dyn toml_edit::TableLike, key: &str, mut new: Item) {
    match entry.get_mut(key) {
        Some(old) => {
            if let (Some(old), Some(new)) = (old.as_value(), new.as_value_mut()) {
                *new.decor_mut() = old.decor().clone();
            }
            *old = new;
        }
        None => {
            entry.insert(key, new);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::judge::{NO_COMMAND, ODD_NAME};
    use super::*;

    fn front() -> Front {
        Front {
            program: "/bin/aecl".into(),
            home: "/home/h".into(),
            agent: "assistant".into(),
            project: "/p".into(),
        }
    }

    #[test]
    fn codex_keeps_its_comments_and_everything_else() {
        let text = "# mine\nmodel = \"o\" # best\n\n[mcp_servers.files]\ncommand = \"npx\" # as it was\nargs = [\"-y\", \"server\"]\nenv = { A = \"b\" }\n\n[mcp_servers.far]\nurl = \"https://example.com\"\n\n[tui]\nx = 1\n";
        let place = Place { file: "x".into(), lists: vec![vec!["mcp_servers".into()]] };
        let planned = front().plan(Client::Codex, &place, text).unwrap();
        let args = r#"args = ["--dir", "/home/h", "mcp", "--agent", "assistant", "--server", "files", "--", "npx", "-y", "server"]"#;
        let wanted =
            text.replace("\"npx\" # as", "\"/bin/aecl\" # as").replace("args = [\"-y\", \"server\"]", args);
        assert_eq!(planned.text, wanted);
        assert_eq!(
            (planned.wrapped, planned.left),
            (vec!["files".to_owned()], vec![("far".to_owned(), NO_COMMAND.to_owned())])
        );
        let again = front().plan(Client::Codex, &place, &wanted).unwrap();
        assert_eq!((again.text, again.wrapped.len()), (wanted, 0));
        let one = front().add(Client::Codex, &place, "a = 1\n", "files", &["npx".to_owned()]).unwrap();
        assert!(
            one.text.starts_with("a = 1\n\n[mcp_servers.files]\ncommand = \"/bin/aecl\"\n"),
            "{}",
            one.text
        );
    }

    #[test]
    fn a_list_of_servers_in_json_keeps_the_rest_of_its_file() {
        let text = "{\n  \"z\": 1,\n  \"mcpServers\": {\n    \"files\": {\n      \"type\": \"stdio\",\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"server\"],\n      \"env\": {\"A\": \"b\"}\n    },\n    \"far\": {\"url\": \"https://example.com\"},\n    \"a b\": {\"command\": \"x\"}\n  },\n  \"a\": 2\n}\n";
        let place = Place { file: "x".into(), lists: vec![vec!["mcpServers".into()]] };
        let planned = front().plan(Client::Claude, &place, text).unwrap();
        assert_eq!(planned.wrapped, ["files"]);
        assert_eq!(
            planned.left,
            [("far".to_owned(), NO_COMMAND.to_owned()), ("a b".to_owned(), ODD_NAME.to_owned())]
        );
        let start = text.find("\"npx\"").unwrap();
        assert_eq!(planned.text.get(..start), text.get(..start));
        let end = text.find(",\n      \"env\"").unwrap();
        assert!(planned.text.ends_with(text.get(end..).unwrap()), "{}", planned.text);
        let entry: Value = serde_json::from_str(&planned.text).unwrap();
        assert_eq!(entry["mcpServers"]["files"]["args"][7], "--");
        assert_eq!(front().plan(Client::Claude, &place, &planned.text).unwrap().left.len(), 3);
        let one = front().add(
            Client::Vscode,
            &Place { lists: vec![vec!["servers".into()]], ..place },
            "",
            "f",
            &["x".into()],
        );
        let one: Value = serde_json::from_str(&one.unwrap().text).unwrap();
        assert_eq!(one["servers"]["f"]["command"], "/bin/aecl");
    }
}
