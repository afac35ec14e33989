//! The floors of each room: in which order its files can be read.
//!
//! ARCHITECTURE.md lists the layers from top to bottom. A file knows its own layer and those below, and no two files
//! need each other; a file and those in its folder are one thing, cut up for reading. A layer is a folder, or, where
//! its name is no folder's, some of the files at the top of the room. What is seen are paths: imports and `crate::`
//! inside the code, also in attributes. Which method is called on a value is not. The files of `aecl` are those of its module
//! `cli`.

mod paths;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Found, House};
use paths::{Path, Source};

const PAGE: &str = "ARCHITECTURE.md";
/// Rooms whose files stand in order.
const ROOMS: &[&str] = &[
    "aecl",
    "aecl-analysis",
    "aecl-demo",
    "aecl-egress",
    "aecl-executor",
    "aecl-gate",
    "aecl-http",
    "aecl-kernel",
    "aecl-ledger",
    "aecl-mcp",
    "aecl-proof",
    "aecl-sandbox",
];

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    let page = house.text(PAGE).unwrap_or_default();
    for room in ROOMS {
        let folder = sources(room);
        // Programs of their own are other crates.
        let is_source = |name: &&String| {
            let inner = name.strip_prefix(&folder).filter(|inner| !inner.starts_with("bin/"));
            let is_inside = |inner: &str| {
                face(room).is_none_or(|face| inner.trim_end_matches(".rs").split('/').next() == Some(face))
            };
            inner.is_some_and(|inner| inner.ends_with(".rs") && is_inside(inner))
        };
        let files = house.files.iter().filter(is_source);
        let files: Vec<(String, String)> =
            files.filter_map(|name| Some((name.clone(), house.text(name)?))).collect();
        examine(room, &page, &files, found);
    }
    Ok(())
}

fn sources(room: &str) -> String {
    format!("crates/{room}/src/")
}

/// The module in which a room keeps its files; what is beside it only hands on other rooms.
fn face(room: &str) -> Option<&'static str> {
    (room == "aecl").then_some("cli")
}

/// A path from the place where a room keeps its files.
fn within(room: &str, mut path: Path) -> Path {
    let Some(face) = face(room) else { return path };
    if path.first().is_some_and(|first| first == face) { path.split_off(1) } else { Path::new() }
}

fn examine(room: &str, page: &str, files: &[(String, String)], found: &mut Found) {
    let floors = floors(room, page);
    if floors.is_empty() {
        found.error(format!("{PAGE}: no layers below `### {room}`; has the form of its table changed?"));
        return;
    }
    let modules: BTreeMap<Path, &str> = files
        .iter()
        .map(|(name, _)| (placed(&floors, within(room, module_of(room, name))), name.as_str()))
        .collect();
    as_listed(&floors, &modules, found);
    let read: BTreeMap<&str, Source> = files
        .iter()
        .map(|(name, text)| {
            let source = Source::read(&module_of(room, name), text);
            (name.as_str(), source.map(|path| placed(&floors, within(room, path))))
        })
        .collect();
    let arrows = arrows(&modules, &read);
    let up = arrows.iter().filter_map(|arrow| {
        let why = is_up(&floors, arrow)?;
        Some(format!("{}:{}: {why}", arrow.from, arrow.line))
    });
    // Several names in one import are one arrow.
    for error in up.collect::<BTreeSet<String>>() {
        found.error(error);
    }
    let level: Vec<Arrow> = arrows.into_iter().filter(|arrow| is_up(&floors, arrow).is_none()).collect();
    for circle in circles(&level) {
        let way: Vec<String> =
            circle.iter().map(|arrow| format!("{}:{} needs {}", arrow.from, arrow.line, arrow.to)).collect();
        found.error(format!(
            "files need each other: {}; what both name belongs into a file below them",
            way.join(", ")
        ));
    }
}

struct Floor {
    name: String,
    files: BTreeSet<String>,
    is_folder: bool,
}

/// The rows of the table: a layer, and what is in it.
fn floors(room: &str, page: &str) -> Vec<Floor> {
    let heading = format!("### `{room}`");
    let section = page.lines().skip_while(|line| *line != heading).skip(1);
    let rows = section.take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|'));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (first, files) = (cells.get(1)?, named(cells.get(2)?).collect::<BTreeSet<_>>());
        let folder = named(first).next();
        let is_folder = folder.is_some();
        let name = folder.unwrap_or_else(|| (*first).to_owned());
        (!files.is_empty()).then_some(Floor { name, files, is_folder })
    })
    .collect()
}

/// A path with its layer in front, where that is no folder.
fn placed(floors: &[Floor], path: Path) -> Path {
    let Some(first) = path.first() else { return path };
    match floors.iter().find(|floor| !floor.is_folder && floor.files.contains(first)) {
        Some(floor) => [floor.name.clone()].into_iter().chain(path).collect(),
        None => path,
    }
}

/// What stands in backticks.
fn named(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn module_of(room: &str, name: &str) -> Path {
    let inner = name.strip_prefix(&sources(room)).unwrap_or(name).trim_end_matches(".rs");
    if inner == "lib" { Vec::new() } else { inner.split('/').map(str::to_owned).collect() }
}

/// Every file of a layer stands in the table, and the other way round.
fn as_listed(floors: &[Floor], modules: &BTreeMap<Path, &str>, found: &mut Found) {
    for (module, file) in modules {
        let Some(layer) = module.first() else { continue };
        let Some(floor) = floors.iter().find(|floor| floor.name == *layer) else {
            found.error(format!(
                "{file}: has no layer; put it into the folder of one, or give {PAGE} a row for `{layer}`"
            ));
            continue;
        };
        if let [_, name] = module.as_slice()
            && !floor.files.contains(name)
        {
            found.error(format!("{file}: the row of `{layer}` in {PAGE} does not list `{name}`"));
        }
    }
    for floor in floors {
        for name in &floor.files {
            if !modules.contains_key(&vec![floor.name.clone(), name.clone()]) {
                found.error(format!("{PAGE}: `{}` has no file `{name}`", floor.name));
            }
        }
    }
}

/// A file names another.
#[derive(Debug, Clone)]
struct Arrow {
    from: String,
    from_module: Path,
    line: usize,
    to: String,
    to_module: Path,
}

fn is_up(floors: &[Floor], arrow: &Arrow) -> Option<String> {
    let place = |module: &Path| floors.iter().position(|floor| Some(&floor.name) == module.first());
    let (from, to) = (place(&arrow.from_module)?, place(&arrow.to_module)?);
    let (below, above) = (floors.get(from)?, floors.get(to)?);
    if from == to {
        return None;
    }
    (to < from).then(|| {
        format!(
            "`{}` must not know `{}` ({}), which stands above it: move what it needs from there down, or what needs \
             it up ({PAGE})",
            below.name, above.name, arrow.to
        )
    })
}

fn arrows(modules: &BTreeMap<Path, &str>, read: &BTreeMap<&str, Source>) -> Vec<Arrow> {
    let mut out = Vec::new();
    for (module, file) in modules {
        let Some(source) = read.get(file).filter(|_| module.last().is_none_or(|name| name != "tests")) else {
            continue;
        };
        for (path, line) in &source.paths {
            let Some(target) = leads_to(path, modules, read) else { continue };
            // The crate's own page belongs to nobody.
            if target == *module || target.is_empty() || module.is_empty() {
                continue;
            }
            let Some(to) = modules.get(&target) else { continue };
            out.push(Arrow {
                from: (*file).to_owned(),
                from_module: module.clone(),
                line: *line,
                to: (*to).to_owned(),
                to_module: target,
            });
        }
    }
    out
}

/// The file in which stands what a path names. What a module only hands on stands elsewhere.
fn leads_to(path: &Path, modules: &BTreeMap<Path, &str>, read: &BTreeMap<&str, Source>) -> Option<Path> {
    let mut path = path.clone();
    for _ in 0..4 {
        let long =
            (0..=path.len()).rev().find(|n| path.get(..*n).is_some_and(|p| modules.contains_key(p)))?;
        let module = path.get(..long)?.to_vec();
        let source = modules.get(&module).and_then(|file| read.get(file));
        match path.get(long).and_then(|name| source?.handed_on.get(name)) {
            Some(further) => path = further.clone(),
            None => return Some(module),
        }
    }
    None
}

/// A way round in each set of files that need each other. A file and those in its folder are one thing, unless it is
/// the face of a layer.
fn circles(arrows: &[Arrow]) -> Vec<Vec<&Arrow>> {
    let modules: BTreeMap<&str, &Path> = arrows.iter().map(|a| (a.from.as_str(), &a.from_module)).collect();
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        modules.keys().map(|file| (*file, reached(file, arrows))).collect();
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|files| files.contains(to));
    let mut out = Vec::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for file in modules.keys().copied() {
        let ring: BTreeMap<&str, &Path> = modules
            .iter()
            .filter(|(other, _)| reaches(file, other) && reaches(other, file))
            .map(|(other, module)| (*other, *module))
            .collect();
        let top = ring.values().min_by_key(|module| module.len());
        let is_one =
            top.is_none_or(|top| top.len() > 1 && ring.values().all(|module| module.starts_with(top)));
        if is_one || told.contains(file) {
            continue;
        }
        told.extend(ring.keys());
        let within = |arrow: &&Arrow| ring.contains_key(&*arrow.from) && ring.contains_key(&*arrow.to);
        let ways = arrows.iter().filter(within).filter(|arrow| !is_inside(arrow)).filter_map(|first| {
            let mut way = vec![first];
            way.extend(way_from(&first.to, &first.from, arrows)?);
            Some(way)
        });
        out.extend(ways.min_by_key(Vec::len));
    }
    out
}

fn reached<'a>(file: &str, arrows: &'a [Arrow]) -> BTreeSet<&'a str> {
    let mut out = BTreeSet::new();
    let mut next = vec![file];
    while let Some(here) = next.pop() {
        for arrow in arrows.iter().filter(|arrow| arrow.from == here) {
            if out.insert(arrow.to.as_str()) {
                next.push(&arrow.to);
            }
        }
    }
    out
}

/// The shortest way from one file to another.
fn way_from<'a>(start: &str, end: &str, arrows: &'a [Arrow]) -> Option<Vec<&'a Arrow>> {
    let mut ways: VecDeque<(&str, Vec<&Arrow>)> = [(start, Vec::new())].into();
    let mut seen = BTreeSet::from([start]);
    while let Some((here, way)) = ways.pop_front() {
        if here == end {
            return Some(way);
        }
        for arrow in arrows.iter().filter(|arrow| arrow.from == here) {
            if seen.insert(&arrow.to) {
                ways.push_back((&arrow.to, way.iter().copied().chain([arrow]).collect()));
            }
        }
    }
    None
}

/// From a file to one in its folder, or back.
fn is_inside(arrow: &Arrow) -> bool {
    let (from, to) = (&arrow.from_module, &arrow.to_module);
    from.len().min(to.len()) > 1 && (from.starts_with(to) || to.starts_with(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "aecl-kernel";
    const TABLE: &str = "\
### `aecl-kernel`

| layer | files | knows |
|---|---|---|
| `decide` | `request` | all |
| `record` | `facts`, `event` | what is below |
| `base` | `id`, `code` | nothing |

## Next
";

    fn look(changed: &[(&str, &str)]) -> Vec<String> {
        let mut files: BTreeMap<String, String> = [
            ("lib", "pub mod base;"),
            ("base", "pub mod code;\npub mod id;"),
            ("base/id", ""),
            ("base/code", ""),
            ("record", "pub mod event;\npub mod facts;"),
            ("record/facts", "use crate::base::id::{self, Id};"),
            ("record/event", "use super::facts::Fact;"),
            ("decide", "mod request;\nuse crate::record::facts::Fact;"),
            ("decide/request", ""),
        ]
        .into_iter()
        .map(|(name, text)| (format!("{}{name}.rs", sources(ROOM)), text.to_owned()))
        .collect();
        files.extend(
            changed.iter().map(|(name, text)| (format!("{}{name}.rs", sources(ROOM)), (*text).to_owned())),
        );
        let mut found = Found::default();
        examine(ROOM, TABLE, &files.into_iter().collect::<Vec<_>>(), &mut found);
        found.errors
    }

    fn one(changed: &[(&str, &str)], says: &[&str]) {
        let errors = look(changed);
        let [error] = errors.as_slice() else { panic!("{changed:?}: {errors:?}") };
        assert!(says.iter().all(|part| error.contains(part)), "{changed:?}: {error}");
    }

    #[test]
    fn files_in_order_are_tidy() {
        assert_eq!(look(&[]), Vec::<String>::new());
    }

    #[test]
    fn arrow_upwards_is_found_however_it_is_written() {
        for text in [
            "\nuse crate::record::facts::Fact;",
            "\nuse crate::{record::facts::{self, Fact}, base::code};",
            "\nuse super::super::record::facts::Fact;",
            "\nfn f() -> crate::record::facts::Fact { todo!() }",
            "\n#[serde(with = \"crate::record::facts::read\")] struct S;",
        ] {
            one(&[("base/id", text)], &["base/id.rs:2: `base` must not know `record`", "facts.rs", "move"]);
        }
    }

    #[test]
    fn what_is_no_path_or_is_a_test_is_no_arrow() {
        for text in [
            "// see crate::record::facts\n/* use crate::record::facts::Fact; */",
            "const T: &str = r#\"use crate::record::facts::Fact; \"#;\nconst Q: char = '\"';",
            "#[cfg(test)]\nmod tests {\n    use crate::record::facts::Fact;\n}",
            "fn f<'a>(x: &'a str) {}\nuse serde::record::facts;",
        ] {
            assert_eq!(look(&[("base/id", text)]), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn circle_of_files_is_found() {
        let back = "use crate::record::event::Event;";
        one(&[("record/facts", back)], &["files need each other", "record/event.rs:1 needs", "below them"]);
        // Over three files, and through the face of a layer.
        one(
            &[
                ("decide/request", "use crate::decide::Permit;"),
                ("decide", "mod request;\nfn f(q: request::Request) {}"),
            ],
            &["decide/request.rs:1 needs", "decide.rs:2 needs"],
        );
    }

    #[test]
    fn a_file_and_those_in_its_folder_are_one() {
        let parts = [
            ("record/facts", "mod key;\npub use key::Key;\nfn f(k: key::Key) {}"),
            ("record/facts/key", "use super::Fact;"),
        ];
        assert_eq!(look(&parts), Vec::<String>::new());
        // What is handed on stands in its own file, and a circle round the outside is one.
        let mut round = parts.to_vec();
        round.push(("record/event", "use super::facts::Key;"));
        assert_eq!(look(&round), Vec::<String>::new());
        round.push(("record/facts/key", "use crate::record::event::Event;"));
        one(&round, &["record/event.rs:1 needs crates/aecl-kernel/src/record/facts/key.rs"]);
    }

    #[test]
    fn a_layer_may_be_some_files() {
        let table = "### `aecl-ledger`\n\n| layer | files | knows |\n|---|---|---|\n| top | `a` | all |\n| low | `b`, `c` | no |\n";
        let look = |a: &str, b: &str| {
            let files = [("a", a), ("b", b), ("b/part", "use super::B;"), ("c", "")];
            let named = |(name, text): (&str, &str)| {
                (format!("{}{name}.rs", sources("aecl-ledger")), text.to_owned())
            };
            let mut found = Found::default();
            examine("aecl-ledger", table, &files.map(named), &mut found);
            found.errors
        };
        assert_eq!(look("use crate::b::{B, part::P};", "mod part;\nuse crate::c::C;"), Vec::<String>::new());
        let up = look("", "use crate::a::A;");
        assert!(up.len() == 1 && up.iter().all(|e| e.contains("`low` must not know `top`")), "{up:?}");
    }

    #[test]
    fn commands_stand_in_their_own_module() {
        let table = "### `aecl`\n\n| layer | files | knows |\n|---|---|---|\n| top | `a`, `mcp` | all |\n| low | `b` | no |\n";
        let look = |b: &str| {
            let files = [
                ("cli", "mod a;\nmod b;\nmod mcp;\npub use b::B;"),
                ("cli/a", "use super::B;\nuse crate::cli::mcp;\nuse crate::mcp::names;"),
                ("cli/mcp", "use crate::mcp::names;"),
                ("cli/b", b),
            ];
            let named =
                |(name, text): (&str, &str)| (format!("{}{name}.rs", sources("aecl")), text.to_owned());
            let mut found = Found::default();
            examine("aecl", table, &files.map(named), &mut found);
            found.errors
        };
        // `crate::mcp` is another room, which the crate hands on.
        assert_eq!(look("use crate::mcp::names;"), Vec::<String>::new());
        let up = look("use crate::cli::a::A;");
        assert!(up.len() == 1 && up.iter().all(|e| e.contains("`low` must not know `top`")), "{up:?}");
    }

    #[test]
    fn table_and_folders_agree() {
        one(&[("base/time", "")], &["base/time.rs", "does not list `time`"]);
        one(&[("extra", "")], &["extra.rs: has no layer"]);
        let mut found = Found::default();
        examine(ROOM, TABLE, &[(format!("{}base/id.rs", sources(ROOM)), String::new())], &mut found);
        assert!(
            found.errors.iter().any(|e| e == "ARCHITECTURE.md: `base` has no file `code`"),
            "{:?}",
            found.errors
        );
        let mut none = Found::default();
        examine(ROOM, "", &[], &mut none);
        assert_eq!(none.errors.len(), 1);
    }
}
