//! Functions of a program in the catalogue: what their library says of them stands in for the program here; the library
//! itself is asked in its own tests.

use crate::program::Aecl;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

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
    /// A Python that says this, and ends with this.
    fn python(&self, says: &str, code: u8) -> String {
        let (said, path) = (self.dir.path().join("said"), self.dir.path().join("python"));
        fs::write(&said, says).unwrap();
        fs::write(&path, format!("#!/bin/sh\ncat '{}'\nexit {code}\n", said.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn file(&self) -> PathBuf {
        self.aecl.dir().join("policy/actions/python-shop.json")
    }

    fn entries(&self) -> Vec<Value> {
        serde_json::from_str(&fs::read_to_string(self.file()).unwrap()).unwrap()
    }
}

fn text() -> Value {
    json!({"type": "string"})
}

fn function(name: &str, properties: Value) -> Value {
    json!({"name": name, "description": "Does what it says.", "arguments": {"type": "object", "properties": properties}})
}

#[test]
fn a_function_is_taken_in_and_what_people_wrote_stays_when_its_arguments_change() {
    let place = place();
    let mut flight = function("book_flight", json!({"to": text()}));
    flight["connector"] = json!({"kind": "worker"});
    flight["idempotency"] = "verifiable".into();
    let said = json!([function("delete_basket", json!({"basket": text()})), flight.clone()]);
    let python = place.python(&said.to_string(), 0);
    let import = ["--json", "catalog", "import", "--python", "shop", "--interpreter", &python];
    let report = place.aecl.run(&import).ended(0).json();
    assert_eq!(report["added"], json!(["delete_basket", "book_flight"]));
    assert!(report["guessed"]["delete_basket"]["why"]["effect"].is_string(), "{report}");
    let mut entries = place.entries();
    assert_eq!((&entries[0]["effect"], &entries[0]["connector"]), (&json!("delete"), &Value::Null));
    assert_eq!(entries[0]["output"], json!({"untrusted": true, "private": true}));
    assert_eq!(
        (&entries[1]["connector"], &entries[1]["idempotency"]),
        (&json!({"kind": "worker"}), &json!("verifiable"))
    );
    place.aecl.run(&["policy", "check"]).ended(0);

    // The same again changes nothing.
    let before = fs::read(place.file()).unwrap();
    let again = place.aecl.run(&import).ended(0).json();
    assert_eq!((&again["added"], &again["changed"]), (&json!([]), &Value::Null), "{again}");
    assert_eq!(fs::read(place.file()).unwrap(), before);

    // A person has said more, and a connector of their own; then the signature changes.
    entries[0]["severity"] = 3.into();
    entries[0]["args"]["basket"]["class"] = "selector".into();
    entries[0]["connector"] = json!({"kind": "worker"});
    entries[1]["connector"]["queue_ms"] = 500.into();
    fs::write(place.file(), json!(entries).to_string()).unwrap();
    flight["description"] = "Books a flight.".into();
    let said = json!([function("delete_basket", json!({"basket": text(), "reason": text()})), flight]);
    place.python(&said.to_string(), 0);
    let changed = place.aecl.run(&import).ended(0).json();
    assert_eq!(
        (&changed["added"], &changed["changed"]),
        (&json!([]), &json!(["delete_basket", "book_flight"]))
    );
    let entries = place.entries();
    assert_eq!(
        (&entries[1]["connector"]["queue_ms"], &entries[1]["description"]),
        (&json!(500), &json!("Books a flight."))
    );
    assert_eq!(entries[0]["severity"], 3);
    assert_eq!(entries[0]["connector"], json!({"kind": "worker"}));
    assert_eq!(entries[0]["args"]["basket"]["class"], "selector");
    assert_eq!(entries[0]["args"]["reason"]["class"], "target_name");
}

#[test]
fn what_cannot_be_taken_in_is_named_and_the_rest_is() {
    let place = place();
    let remote = json!({"type": "object", "$ref": "https://example.org/s"});
    let said = json!([
        function("transfer_funds", json!({"to": text()})),
        json!({"name": "strange", "arguments": remote}),
        function("no name", json!({})),
        function("send_note", json!({"to": text()})),
    ]);
    let python = place.python(&said.to_string(), 0);
    let told = place.aecl.run(&["catalog", "import", "--python", "shop", "--interpreter", &python]).ended(1);
    for said in
        ["another file of the policy has an action `transfer_funds`", "`strange`", "`no name`", "1 taken in"]
    {
        assert!(told.err.contains(said), "{said}\n{}", told.err);
    }
    assert!(told.out.contains("send_note"), "{}", told.out);
    assert_eq!(place.entries().len(), 1);
    place.aecl.run(&["policy", "check"]).ended(0);
}

#[test]
fn what_does_not_read_writes_nothing() {
    let place = place();
    let good = json!([function("send_note", json!({"to": text()}))]).to_string();
    for (says, code, of, why) in [
        ("", 2, "shop", "the functions cannot be read"),
        ("[{", 0, "shop", "does not read"),
        (r#"[{"name": "a", "arguments": {}, "surprise": 1}]"#, 0, "shop", "surprise"),
        (good.as_str(), 0, "shop/../../x", "names no module"),
        (good.as_str(), 0, "", "names no module"),
        (good.as_str(), 0, "-c", "names no module"),
    ] {
        let python = place.python(says, code);
        let of = format!("--python={of}");
        let told = place.aecl.run(&["catalog", "import", &of, "--interpreter", &python]).ended(1);
        assert!(told.err.contains(why) && told.err.contains("hint: "), "{of}: {}", told.err);
        assert!(!place.file().exists());
    }
    let absent =
        place.aecl.run(&["catalog", "import", "--python", "shop", "--interpreter", "/absent"]).ended(1);
    assert!(absent.err.contains("cannot start `/absent`"), "{}", absent.err);
    place.aecl.run(&["catalog", "import"]).ended(2);
    place.aecl.run(&["catalog", "import", "files", "--python", "shop"]).ended(2);
}
