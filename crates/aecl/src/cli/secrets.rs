//! `aecl secrets`: credentials in an encrypted store. A value comes from a prompt or from standard input and is
//! never shown again; arguments are visible to every user of the machine and stay in shell histories.

use super::show::{self, Page, Table, Tone};
use super::{Common, Error, Exit, Result};
use aecl_egress::vault::{Secret, SecretStoreError};
use aecl_gate::clock;
use aecl_gate::config::Home;
use aecl_kernel::base::time::Timestamp;
use clap::Subcommand;
use serde_json::json;
use std::io::{IsTerminal as _, Read as _};
use zeroize::Zeroizing;

/// The longest input that is read for one value, in bytes: a value and a line break.
const INPUT_MAX_BYTES: u64 = 64 * 1024 + 2;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl secrets set stripe                    asks for the value and does not show it
  pass show stripe | aecl secrets set stripe
  aecl secrets list
  aecl secrets rm stripe

Actions and servers name it as {secret:secret:stripe}. It is read when it is used, so a new value counts from
the next call on. The store is secrets/store in the directory, sealed with keys/secrets.key, or with the file
that AECL_SECRETS_KEY_FILE names. Keep a copy of the key apart from copies of the store.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a secret; its value comes from a prompt or from standard input.
    Set {
        /// Its name: letters, digits and `_ . - /`.
        name: String,
    },
    /// Show the names of all secrets, never their values.
    List,
    /// Take a secret out.
    Rm {
        /// Its name.
        name: String,
    },
}

impl From<SecretStoreError> for Error {
    fn from(e: SecretStoreError) -> Self {
        let error = Self::new(e.to_string());
        match e {
            SecretStoreError::File { .. } => {
                error.hint("run it as the user that AECL runs as, or say where it is with --dir")
            }
            SecretStoreError::Value(_) => {
                error.hint("give the value itself on one line, such as a token or a password")
            }
            SecretStoreError::Name(_) => error.hint("`aecl secrets set stripe`"),
            _ => error.hint("docs/reference/secrets.md says how store and key belong together"),
        }
    }
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    let home = Home::new(&common.dir);
    if !home.config().exists() {
        return Err(Error::new(format!("there is no AECL in `{}`", home.dir().display()))
            .hint("`aecl init` sets one up, or say where it is with --dir"));
    }
    match args.command {
        Command::Set { name } => set(common, &home, &name),
        Command::List => list(common, &home),
        Command::Rm { name } => remove(common, &home, &name),
    }
}

fn set(common: &Common, home: &Home, name: &str) -> Result {
    let value = ask(name)?;
    let replaced = home.secrets().set(name, value, u64::try_from(clock::wall().0 / 1000).unwrap_or(0))?;
    let reference = format!("secret:{name}");
    if common.json {
        show::print_json(&json!({"name": name, "reference": reference, "replaced": replaced}));
    } else {
        let done = if replaced { "has a new value" } else { "is stored" };
        show::say(&format!("`{name}` {done}; actions and servers name it as {{secret:{reference}}}"));
    }
    Ok(Exit::Done)
}

/// The value, from a person or from another program.
fn ask(name: &str) -> std::result::Result<Secret, Error> {
    let unread = |e: std::io::Error| Error::new(format!("the value cannot be read: {e}"));
    if std::io::stdin().is_terminal() {
        let prompt = format!("Value of `{}` (is not shown): ", show::inert_line(name));
        return rpassword::prompt_password(prompt).map(Secret::new).map_err(unread);
    }
    // Room for all of it at once: growing would leave parts of the value behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(INPUT_MAX_BYTES as usize + 64));
    std::io::stdin().take(INPUT_MAX_BYTES).read_to_end(&mut bytes).map_err(unread)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::new("the value is no text (UTF-8)").hint("encode it, for example as base64"))?;
    let value = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::new(value.strip_suffix('\r').unwrap_or(value).to_owned()))
}

fn list(common: &Common, home: &Home) -> Result {
    let listed = home.secrets().list()?;
    let changed_at = |seconds: u64| Timestamp::default().plus_s(seconds).to_string();
    if common.json {
        let secrets: Vec<_> = listed
            .iter()
            .map(|it| {
                json!({"name": it.name, "reference": format!("secret:{}", it.name), "changed_at": changed_at(it.changed_at_s)})
            })
            .collect();
        show::print_json(&json!({ "secrets": secrets }));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["NAME", "CHANGED"]);
    for it in &listed {
        table.plain(&[&it.name, &changed_at(it.changed_at_s)]);
    }
    let mut page = Page::new();
    if listed.is_empty() {
        page.toned(Tone::Mind, "There are no secrets yet: aecl secrets set NAME");
    } else {
        page.table(&table);
    }
    page.print();
    Ok(Exit::Done)
}

fn remove(common: &Common, home: &Home, name: &str) -> Result {
    if !home.secrets().remove(name)? {
        return Err(Error::new(format!("there is no secret `{}`", show::inert_line(name)))
            .hint("`aecl secrets list` shows them"));
    }
    if common.json {
        show::print_json(&json!({"removed": name}));
    } else {
        show::say(&format!(
            "`{name}` is taken out. What names it fails from now on, before anything is sent."
        ));
    }
    Ok(Exit::Done)
}
