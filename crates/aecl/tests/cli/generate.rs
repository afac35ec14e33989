//! Typed functions from the catalogue, as text. That the libraries' type checkers take them is shown in their own tests.

use crate::program::Aecl;
use serde_json::json;
use std::fs;

struct Place {
    dir: tempfile::TempDir,
    aecl: Aecl,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&dir.path().join("home"));
    aecl.run(&["init", "--example", "finance"]).ended(0);
    Place { dir, aecl }
}

impl Place {
    fn action(&self, file: &str, entry: &serde_json::Value) {
        fs::write(self.aecl.dir().join(format!("policy/actions/{file}.json")), entry.to_string()).unwrap();
    }
}

#[test]
fn each_language_has_the_actions_that_an_agent_may_use() {
    let place = place();
    let python = place.aecl.run(&["gen", "python", "--agent", "assistant"]).ended(0).out;
    assert!(
        python.contains("class TransferFunds(_t.TypedDict):") && !python.contains("DeleteRecord"),
        "{python}"
    );
    assert!(python.contains("    currency: _t.Literal[\"EUR\"]\n") && !python.contains("def "), "{python}");
    let typescript = place.aecl.run(&["gen", "typescript"]).ended(0).out;
    for said in [
        "export type DeleteRecord = {\n  readonly record: string;\n};",
        "export function guardTransferFunds<R>(run: Run,",
    ] {
        assert!(typescript.contains(said), "{said}\n{typescript}");
    }
    let unknown = place.aecl.run(&["gen", "python", "--agent", "nobody"]).ended(1);
    assert!(unknown.err.contains("no agent `nobody`") && unknown.err.contains("hint: "), "{}", unknown.err);
}

#[test]
fn what_a_stranger_wrote_stays_in_its_comment_and_names_are_no_words_of_the_language() {
    let place = place();
    let hostile = "Ends */ here\u{202e} and \"\"\" there \\N{nothing}\nimport os";
    place.action(
        "strange",
        &json!([
            {"name": "list", "description": hostile, "effect": "write", "connector": {"kind": "worker"},
                "arguments": {"type": "object", "required": ["from", "a-b"], "properties": {
                    "from": {"type": "string", "description": hostile}, "a-b": {"enum": ["x\"\n", 1]},
                    "__x": {"type": ["array", "null"], "items": {"type": "object", "properties": {"y": {"type": "number"}}}}}}},
            {"name": "a.b_c", "effect": "write", "connector": {"kind": "worker"}, "arguments": {"type": "object"}},
            {"name": "a_b.c", "effect": "write", "connector": {"kind": "worker"}, "arguments": {"type": "object"}},
        ]),
    );
    let python = place.aecl.run(&["gen", "python"]).ended(0).out;
    for said in [
        "def list2(\n",
        "ListRequired = _t.TypedDict(\n",
        "class List(ListRequired, ListMore):",
        r#"        "from": "str","#,
        r#"        "a-b": "_t.Literal[\"x\\\"\\U0000000a\", 1]","#,
        "def a_b_c(\n",
        "def a_b_c2(\n",
        "class ListX(_t.TypedDict, total=False):",
    ] {
        assert!(python.contains(said), "{said}\n{python}");
    }
    assert!(!python.contains("\nimport os") && !python.contains('\u{202e}'), "{python}");
    let typescript = place.aecl.run(&["gen", "typescript"]).ended(0).out;
    for said in [
        "export type List = {",
        "readonly \"a-b\": ",
        "readonly __x?: readonly ({",
        "export function list(run: Run, args: List,",
    ] {
        assert!(typescript.contains(said), "{said}\n{typescript}");
    }
    assert!(!typescript.contains("Ends */") && !typescript.contains('\u{202e}'), "{typescript}");
}

#[test]
fn a_file_is_written_as_a_whole_and_compared() {
    let place = place();
    let file = place.dir.path().join("actions.ts");
    let file = file.to_str().unwrap();
    let missing = place.aecl.run(&["gen", "typescript", "--check", file]).ended(1);
    assert!(missing.err.contains("cannot read"), "{}", missing.err);
    place.aecl.run(&["gen", "typescript", "--out", file]).ended(0);
    place.aecl.run(&["gen", "typescript", "--check", file]).ended(0);
    place.action("more", &json!([{"name": "more", "effect": "read", "arguments": {"type": "object"}}]));
    let differs = place.aecl.run(&["gen", "typescript", "--check", file]).ended(1);
    assert!(differs.err.contains("is not what the catalogue has now"), "{}", differs.err);
    let nowhere = place.aecl.run(&["gen", "typescript", "--out", "/absent/x.ts"]).ended(1);
    assert!(nowhere.err.contains("cannot write `/absent/x.ts`"), "{}", nowhere.err);
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 2, "nothing else is left beside it");
}
