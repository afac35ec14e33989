//! The world of the demo, on disk: the company's database, AECL's home, the payments service beside it.

use crate::Error;
use aecl_gate::config::Home;
use aecl_gate::{identity, keys};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

macro_rules! policy {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../examples/finance/policy/", $path)))
    };
}

/// The policy is the one in `examples/finance`; only places and the key's reference are filled in.
const POLICY: [(&str, &str); 6] = [
    policy!("agents/finance_agent_v2.yaml"),
    policy!("actions/company.yaml"),
    policy!("actions/payments.yaml"),
    policy!("rules/payments.cedar"),
    policy!("examples/finance.yaml"),
    policy!("properties/payments.yaml"),
];
/// Mails, invoices and vendors.
const COMPANY: &str = include_str!("../../../examples/finance/company.sql");
/// What marks a directory as one of ours, which a new demo may replace.
const MARK: &str = ".aecl-demo";

/// World of the demo: the directory in which all of it lies.
pub struct World {
    /// The directory, which is AECL's home, too.
    pub dir: PathBuf,
    /// The key of the finance lead, who answers.
    pub priya: String,
    /// The key of the operator, who undoes.
    pub operator: String,
    /// The key of the program that starts the agent.
    pub starter: String,
    /// The key of the payments service.
    pub payments: String,
}

impl World {
    /// Makes a new world in this directory. One from an earlier demo is replaced, anything else is not touched.
    ///
    /// # Errors
    /// When the directory is somebody else's, or something in it cannot be made.
    pub fn make(dir: &Path) -> Result<Self, Error> {
        let fail = |e: std::io::Error| Error::new(format!("cannot make `{}`: {e}", dir.display()));
        let empty = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
        if dir.join(MARK).exists() {
            std::fs::remove_dir_all(dir).map_err(fail)?;
        } else if !empty {
            return Err(Error::new(format!("`{}` is in use, and not by a demo", dir.display()))
                .hint("name another directory with `--dir`"));
        }
        keys::private_dir(dir)?;
        let dir = &std::fs::canonicalize(dir).map_err(fail)?;
        std::fs::write(dir.join(MARK), "A demo made this directory, and the next one replaces it.\n")
            .map_err(fail)?;
        let home = Home::new(dir);
        keys::private_dir(&home.keys())?;
        keys::private_dir(&home.data())?;
        keys::create(&home.keys().join("ledger.pem"))?;
        keys::create(&home.keys().join("tokens.pem"))?;
        let key = |name: &str, kind| -> Result<String, Error> {
            let (key, _) = identity::new_key(kind)?;
            keys::write_private(&home.keys().join(name), format!("{key}\n").as_bytes())?;
            Ok(key)
        };
        let world = Self {
            dir: dir.clone(),
            priya: key("priya.key", 'p')?,
            operator: key("operator.key", 'p')?,
            starter: key("starter.key", 'o')?,
            payments: key("payments.key", 'x')?,
        };
        world.company().map_err(|e| Error::new(format!("the company's database cannot be made: {e}")))?;
        Ok(world)
    }

    /// The files of the payments service and the company.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join("world").join(name)
    }

    /// AECL's home.
    pub fn home(&self) -> Home {
        Home::new(&self.dir)
    }

    fn company(&self) -> Result<(), Box<dyn std::error::Error>> {
        std::fs::create_dir(self.dir.join("world"))?;
        Connection::open(self.file("company.db"))?.execute_batch(COMPANY)?;
        Ok(())
    }

    /// Writes configuration and policy, once it is known where everybody listens.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn configure(&self, aecl: SocketAddr, payments: SocketAddr) -> Result<(), Error> {
        let hash = |key: &str| identity::hash_key(key).to_string();
        let config = json!({
            "origin": "demo.example/aecl",
            "listen": aecl.to_string(),
            "people": [
                {"id": "priya", "groups": ["finance_leads"], "key": hash(&self.priya)},
                {"id": "operator", "groups": ["operators"], "key": hash(&self.operator)},
            ],
            "orchestrators": [{"id": "starter", "agents": ["finance_agent_v2"], "key": hash(&self.starter)}],
        });
        let text = format!(
            "# The configuration of the demo. JSON is YAML, too; `aecl init` writes one with every key explained.\n{}\n",
            serde_json::to_string_pretty(&config).unwrap_or_default()
        );
        let write = |path: PathBuf, text: &str| {
            let parent = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            parent
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|e| Error::new(format!("cannot write `{}`: {e}", path.display())))
        };
        write(self.home().config(), &text)?;
        let key_file = self.home().keys().join("payments.key");
        for (path, text) in POLICY {
            let text = text
                .replace("world/company.db", &self.file("company.db").display().to_string())
                .replace("127.0.0.1:7601", &payments.to_string())
                .replace("secret:env:PAYMENTS_KEY", &format!("secret:file:{}", key_file.display()));
            write(self.home().policy().join(path), &text)?;
        }
        Ok(())
    }

    /// The first mail of the company's inbox.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn mail(&self) -> Result<Mail, Error> {
        let read = || {
            let db = Connection::open_with_flags(self.file("company.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            db.query_row("SELECT sender, subject, body FROM mails ORDER BY id LIMIT 1", [], |row| {
                Ok(Mail { sender: row.get(0)?, subject: row.get(1)?, body: row.get(2)? })
            })
        };
        read().map_err(|e: rusqlite::Error| Error::new(format!("the inbox cannot be read: {e}")))
    }
}

/// A mail that has come in.
pub struct Mail {
    /// Who says that it is from them.
    pub sender: String,
    /// What it says it is about.
    pub subject: String,
    /// What it says.
    pub body: String,
}
