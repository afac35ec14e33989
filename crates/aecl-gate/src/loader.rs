//! Reads a bundle's directory. YAML becomes JSON here; what it means is the kernel's business.

use crate::error::GateError;
use aecl_executor::Executor;
use aecl_executor::root_dir::read_plain;
use aecl_kernel::base::json::Document;
use aecl_kernel::define::catalogue::flow::Egress;
use aecl_kernel::policy::bundle::Bundle;
use aecl_kernel::policy::problem::{Problem, Source};
use std::path::Path;

/// Largest file of a bundle, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Reads and compiles the bundle in a directory.
pub fn load(dir: &Path) -> Result<Bundle, GateError> {
    let bundle = Bundle::compile(sources(dir)?).map_err(GateError::Bundle)?;
    let mut problems = Vec::new();
    for (name, typed) in bundle.catalogue().iter() {
        let reaches = typed.manifest.connector.get("egress").and_then(|list| list.as_array());
        if typed.egress == Egress::None && reaches.is_some_and(|list| !list.is_empty()) {
            let message = format!(
                "`{name}`: its connector's `egress` names places to reach, and its own `egress` says `none`; say \
                 `external`, or `tenant` if all of them are yours"
            );
            problems.push(Problem { path: "actions".into(), message, fatal: true });
        }
        // An action without a connector can be authorised, but not carried out.
        if !typed.manifest.connector.is_null()
            && let Err(e) = Executor::check_action(&typed.manifest)
        {
            problems.push(Problem { path: "actions".into(), message: format!("`{name}`: {e}"), fatal: true });
        }
    }
    if problems.is_empty() { Ok(bundle) } else { Err(GateError::Bundle(problems)) }
}

/// The files of a bundle, as the kernel takes them.
pub fn sources(dir: &Path) -> Result<Vec<Source>, GateError> {
    let mut out = Vec::new();
    let mut problems = Vec::new();
    walk(dir, "", &mut out, &mut problems)?;
    if problems.is_empty() { Ok(out) } else { Err(GateError::Bundle(problems)) }
}

fn walk(
    dir: &Path,
    prefix: &str,
    out: &mut Vec<Source>,
    problems: &mut Vec<Problem>,
) -> Result<(), GateError> {
    let fail = |tried| move |source| GateError::File { tried, path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail("read"))? {
        names.push(entry.map_err(fail("read"))?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    // Editors leave swap and backup files behind; they are no policy.
    for name in names.into_iter().filter(|n| !n.starts_with('.') && !n.ends_with('~')) {
        let path = dir.join(&name);
        let inner = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if path.is_dir() {
            walk(&path, &inner, out, problems)?;
            continue;
        }
        let file = |source| GateError::File { tried: "read", path: path.clone(), source };
        let problem = |message: String| Problem { path: inner.clone(), message, fatal: true };
        let bytes = match read_plain(&path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => {
                problems.push(problem(e.to_string()));
                continue;
            }
            Err(e) => return Err(file(e)),
        };
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => {
                problems.push(problem("no UTF-8".into()));
                continue;
            }
        };
        match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "json" | "cedar" => out.push(Source { path: inner, text }),
            "yaml" | "yml" => match from_yaml(&text) {
                Ok(text) => out.push(Source { path: inner, text }),
                Err(message) => problems.push(problem(message)),
            },
            "md" => {}
            _ => {
                problems.push(problem("unknown kind of file; known are .json, .yaml, .cedar and .md".into()))
            }
        }
    }
    Ok(())
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
