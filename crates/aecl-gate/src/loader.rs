//! Reads a bundle's directory. YAML becomes JSON here; what it means is the kernel's business.

use crate::error::GateError;
use aecl_analysis::load::VettedBundle;
use aecl_executor::Executor;
use aecl_executor::root_dir::read_plain;
use aecl_kernel::base::json::Document;
use aecl_kernel::define::catalogue::flow::Audience;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::worker::WorkerSpec;
use aecl_kernel::policy::problem::{BundleProblem, Source};
use std::path::Path;

/// Largest file of a bundle, in bytes, and all of them.
const FILE_BYTES_MAX: u64 = 16 << 20;
const BYTES_MAX: u64 = 128 << 20;
/// Names in a bundle, and directories in each other. Links are followed, since some keep their policy that way, and one
/// may lead back.
const NAMES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 8;

/// Reads and compiles the bundle in a directory.
pub fn load(dir: &Path) -> Result<VettedBundle, GateError> {
    let bundle = VettedBundle::load(sources(dir)?).map_err(GateError::Bundle)?;
    let mut problems = Vec::new();
    for (name, typed) in bundle.catalogue().iter() {
        let program = typed.connector().and_then(ConnectorSpec::program);
        let says_none = typed.variants().any(|variant| variant.egress == Audience::None);
        if says_none && program.is_some_and(|program| !program.egress.is_empty()) {
            let message = format!(
                "`{name}`: its connector's `egress` names places to reach, and its own `egress` says `none`; say \
                 `external`, or `tenant` if all of them are yours"
            );
            problems.push(BundleProblem { path: "actions".into(), message, fatal: true });
        }
        if let Some(ConnectorSpec::Worker(WorkerSpec { compensates: Some(original), .. })) = typed.connector()
        {
            let served = bundle.catalogue().find(original).and_then(|typed| typed.connector());
            if !matches!(served, Some(ConnectorSpec::Worker(WorkerSpec { compensates: None, .. }))) {
                let message = format!(
                    "`{name}`: its connector's `compensates` names `{original}`, which is no action that a worker carries \
                     out; name the one under which the function is registered"
                );
                problems.push(BundleProblem { path: "actions".into(), message, fatal: true });
            }
        }
        // An action without a connector can be authorised, but not carried out.
        if typed.readable_connector() != Ok(None)
            && let Err(e) = Executor::check_action(typed)
        {
            problems.push(BundleProblem {
                path: "actions".into(),
                message: format!("`{name}`: {e}"),
                fatal: true,
            });
        }
    }
    if problems.is_empty() { Ok(bundle) } else { Err(GateError::Bundle(problems)) }
}

/// The files of a bundle, as the kernel takes them.
pub fn sources(dir: &Path) -> Result<Vec<Source>, GateError> {
    let mut reading = Reading { out: Vec::new(), problems: Vec::new(), names: NAMES_MAX, bytes: BYTES_MAX };
    reading.walk(dir, "", 0)?;
    if reading.problems.is_empty() { Ok(reading.out) } else { Err(GateError::Bundle(reading.problems)) }
}

/// A bundle that is being read, and how much more of it is.
struct Reading {
    out: Vec<Source>,
    problems: Vec<BundleProblem>,
    names: usize,
    bytes: u64,
}

impl Reading {
    fn walk(&mut self, dir: &Path, prefix: &str, depth: usize) -> Result<(), GateError> {
        let fail = |tried| move |source| GateError::File { tried, path: dir.to_owned(), source };
        let too_much = |what: String| GateError::Bundle(vec![fatal(prefix, what)]);
        if depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} directories in each other; a link may lead back");
            return Err(too_much(message));
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(fail("read"))? {
            let message = || format!("more than {NAMES_MAX} names; a link may lead elsewhere");
            self.names = self.names.checked_sub(1).ok_or_else(|| too_much(message()))?;
            names.push(entry.map_err(fail("read"))?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        // Editors leave swap and backup files behind; they are no policy.
        for name in names.into_iter().filter(|n| !n.starts_with('.') && !n.ends_with('~')) {
            let path = dir.join(&name);
            let inner = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            if path.is_dir() {
                self.walk(&path, &inner, depth + 1)?;
                continue;
            }
            match self.file(&path, &name) {
                Ok(Some(text)) => self.out.push(Source { path: inner, text }),
                Ok(None) => {}
                Err(Unread::Problem(message)) => self.problems.push(fatal(&inner, message)),
                Err(Unread::Io(source)) => return Err(GateError::File { tried: "read", path, source }),
            }
        }
        Ok(())
    }

    /// The text of a file, if it is a part of a bundle.
    fn file(&mut self, path: &Path, name: &str) -> Result<Option<String>, Unread> {
        let bytes = read_plain(path, FILE_BYTES_MAX.min(self.bytes)).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput => Unread::Problem(error.to_string()),
            _ => Unread::Io(error),
        })?;
        self.bytes = self.bytes.saturating_sub(bytes.len() as u64);
        let text = String::from_utf8(bytes).map_err(|_| Unread::Problem("no UTF-8".into()))?;
        match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "json" | "cedar" => Ok(Some(text)),
            "yaml" | "yml" => from_yaml(&text).map(Some).map_err(Unread::Problem),
            "md" => Ok(None),
            _ => {
                let message = "unknown kind of file; known are .json, .yaml, .cedar and .md";
                Err(Unread::Problem(message.into()))
            }
        }
    }
}

/// Why a file gives nothing.
enum Unread {
    Problem(String),
    Io(std::io::Error),
}

fn fatal(path: &str, message: String) -> BundleProblem {
    BundleProblem { path: path.into(), message, fatal: true }
}

fn from_yaml(text: &str) -> Result<String, String> {
    Document::from_value(yaml(text)?).map(|d| d.text().to_owned()).map_err(|e| e.to_string())
}

/// Reads YAML as JSON, or says what is wrong with it and where. A key that stands twice is an error.
pub fn yaml(text: &str) -> Result<serde_json::Value, String> {
    yaml_as(text)
}

/// Reads YAML as what is expected of it, or says what is wrong with it and where. A key that stands twice is an error.
pub fn yaml_as<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|e| e.to_string())
}
