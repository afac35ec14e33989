//! The worker by itself, without its cage: every end of a module has its own code, and what is not given is not
//! there.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const ORDER: i32 = 200;
const INVALID: i32 = 201;
const IMPORT: i32 = 202;
const MEMORY: i32 = 203;
const TABLE: i32 = 204;
const FUEL: i32 = 205;
const STACK: i32 = 206;
const TRAP: i32 = 207;

/// Error numbers of WASI.
const BAD_DESCRIPTOR: i32 = 8;
const NOT_PERMITTED: [i32; 3] = [2, 63, 76];

/// An order with these changes.
fn order(changes: Value) -> Value {
    let mut order = json!({
        "protocol": 1, "args": ["test"], "env": {}, "dirs": [], "fuel_max": 100_000_000,
        "memory_max_bytes": 4 << 20, "table_elements_max": 1_000, "stack_max_bytes": 256 << 10,
    });
    order.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    order
}

fn start(order: &Value, module: &[u8], input: &[u8]) -> std::process::Child {
    let mut order = order.clone();
    if order.get("module_bytes").is_none() {
        order["module_bytes"] = json!(module.len());
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_aecl-wasm"))
        .env("CANARY", "a secret of the host")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = [format!("{order}\n").as_bytes(), module, input].concat();
    // Who has had enough of its input does not read it to the end.
    std::thread::spawn(move || stdin.write_all(&bytes));
    child
}

fn ran(changes: Value, module: &[u8], input: &[u8]) -> Output {
    start(&order(changes), module, input).wait_with_output().unwrap()
}

/// How a module ends that is written in text, and what its worker says.
#[track_caller]
fn ends(changes: Value, module: &str, code: i32, says: &str) {
    let output = ran(changes, &wat::parse_str(module).unwrap(), b"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.status.signal()), (Some(code), None), "{module}: {said}");
    assert!(said.contains(says), "{module}: {said}");
}

fn file(name: &str) -> Vec<u8> {
    wat::parse_file(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules").join(name)).unwrap()
}

fn main(body: &str) -> String {
    format!(r#"(module (memory 1) (func $main (export "_start") {body}))"#)
}

#[test]
fn a_module_computes() {
    let output = ran(json!({}), &file("sum.wat"), b"40\n2\n9000000000\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), r#"{"sum": 9000000042}"#);
    assert_eq!(output.stderr, b"");
    // A long input comes whole.
    let numbers = "1\n".repeat(200_000);
    let output = ran(json!({ "fuel_max": null }), &file("sum.wat"), numbers.as_bytes());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), r#"{"sum": 200000}"#);
}

#[test]
fn a_component_runs_and_says_how_it_went() {
    let output = ran(json!({}), &file("command.wat"), b"");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules/command.wat"));
    let text = text.unwrap();
    ends(json!({}), &text.replace("(i32.const 0)", "(i32.const 1)"), 1, "");
    ends(json!({}), &text.replace("(i32.const 0)", "(loop $l (br $l)) (i32.const 0)"), FUEL, "fuel");
    ends(json!({}), &text.replace("(i32.const 0)", "unreachable"), TRAP, "unreachable");
    ends(json!({}), &text.replace("wasi:cli/run@0.2.0", "some:thing/else@1.0.0"), INVALID, "wasi:cli/run");
    let memory = r#"(core module $inside (memory 100)"#;
    ends(json!({}), &text.replace("(core module $inside", memory), MEMORY, "6553600 bytes");
    let import = r#"(component (import "host:files/delete" (instance (export "all" (func))))"#;
    ends(json!({}), &text.replacen("(component", import, 1), IMPORT, "host:files/delete");
}

#[test]
fn what_a_module_is_given_is_all_that_it_has() {
    let given =
        ran(json!({ "args": ["tool", "-x", "ü"], "env": { "A": "1", "B": "2" } }), &file("given.wat"), b"");
    assert_eq!(String::from_utf8(given.stdout).unwrap(), "tool\n-x\nü\nA=1\nB=2\n");
    // The worker itself has a variable of the host; the module has not.
    let bare = ran(json!({ "args": [] }), &file("given.wat"), b"");
    assert_eq!((bare.status.code(), bare.stdout), (Some(0), Vec::new()));
}

#[test]
fn each_end_has_its_code() {
    let exit = |code: i64| {
        format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32))) (memory (export "memory") 1)
                (func (export "_start") (call $e (i32.const {code}))))"#
        )
    };
    ends(json!({}), &main(""), 0, "");
    ends(json!({}), &exit(3), 3, "");
    ends(json!({}), &exit(125), 125, "");
    for code in [126, 200, 205, 256, -1] {
        ends(json!({}), &exit(code), TRAP, "exit");
    }
    ends(json!({}), &main("unreachable"), TRAP, "unreachable");
    ends(json!({}), &main("(drop (i32.div_u (i32.const 1) (i32.const 0)))"), TRAP, "divide by zero");
    ends(json!({}), &main("(drop (i32.load (i32.const 65536)))"), TRAP, "out of bounds");
    ends(json!({}), &main("(loop $l (br $l))"), FUEL, "fuel");
    ends(json!({ "fuel_max": null }), &main("(call $main)"), STACK, "stack");
    ends(json!({ "fuel_max": null, "stack_max_bytes": 16 << 20 }), &main("(call $main)"), STACK, "stack");
    ends(
        json!({}),
        r#"(module (func $s unreachable) (start $s) (func (export "_start")))"#,
        TRAP,
        "unreachable",
    );
}

#[test]
fn memory_that_is_refused_is_told_apart_from_what_follows() {
    let output = ran(json!({ "fuel_max": null }), &file("bomb.wat"), b"");
    assert_eq!(output.status.code(), Some(MEMORY), "{output:?}");
    ends(json!({}), r#"(module (memory 65) (func (export "_start")))"#, MEMORY, "4259840 bytes");
    ends(json!({}), r#"(module (memory 64) (func (export "_start")))"#, 0, "");
    // Two memories share one limit.
    ends(json!({}), r#"(module (memory 40) (memory 25) (func (export "_start")))"#, MEMORY, "");
    let many = format!(r#"(module {} (func (export "_start")))"#, "(memory 0)".repeat(33));
    ends(json!({}), &many, TRAP, "memor");
    // Who takes no for an answer goes on.
    ends(json!({}), &main("(drop (memory.grow (i32.const 1000)))"), 0, "");
    // What its own maximum forbids, we have not refused.
    let own =
        r#"(module (memory 1 2) (func (export "_start") (drop (memory.grow (i32.const 9))) unreachable))"#;
    ends(json!({}), own, TRAP, "unreachable");
    ends(json!({}), r#"(module (memory i64 0x100000000) (func (export "_start")))"#, MEMORY, "");
}

#[test]
fn tables_are_counted() {
    ends(json!({}), r#"(module (table 1001 funcref) (func (export "_start")))"#, TABLE, "1001 elements");
    ends(
        json!({}),
        r#"(module (table 600 funcref) (table 600 funcref) (func (export "_start")))"#,
        TABLE,
        "",
    );
    let grows = r#"(module (table $t 1 funcref) (func (export "_start")
        (if (i32.eq (table.grow $t (ref.null func) (i32.const 2000)) (i32.const -1)) (then unreachable))))"#;
    ends(json!({}), grows, TABLE, "refused");
    ends(json!({}), r#"(module (table 1000 funcref) (func (export "_start")))"#, 0, "");
}

#[test]
fn what_nobody_gives_is_not_there() {
    for (import, says) in [
        (r#"(import "env" "system" (func (param i32)))"#, "env"),
        (r#"(import "wasi_snapshot_preview1" "sock_connect" (func))"#, "sock_connect"),
        (r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i64)))"#, "proc_exit"),
        (r#"(import "env" "memory" (memory 1))"#, "memory"),
    ] {
        ends(json!({}), &format!(r#"(module {import} (func (export "_start")))"#), IMPORT, says);
    }
}

#[test]
fn bytes_that_are_no_program_are_refused() {
    let good = file("sum.wat");
    let mut broken: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("four bytes", b"\0asm".to_vec()),
        ("an archive", b"PK\x03\x04 and so on".to_vec()),
        ("a native program", std::fs::read(env!("CARGO_BIN_EXE_aecl-wasm")).unwrap()[..4096].to_vec()),
        ("text", std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules/sum.wat")).unwrap()),
        ("another version", b"\0asm\x02\0\0\0".to_vec()),
        ("a component of another layer", b"\0asm\x0d\0\x02\0".to_vec()),
        (
            "shared memory",
            wat::parse_str(r#"(module (memory 1 1 shared) (func (export "_start")))"#).unwrap(),
        ),
        ("a library", wat::parse_str(r#"(module (func (export "f")))"#).unwrap()),
        ("another `_start`", wat::parse_str(r#"(module (func (export "_start") (param i32)))"#).unwrap()),
    ];
    // Code that is compiled already would run unchecked.
    let engine = wasmtime::Engine::default();
    broken.push(("compiled code", engine.precompile_module(&good).unwrap()));
    for length in (0..good.len()).step_by(7) {
        broken.push(("a part of a module", good[..length].to_vec()));
    }
    for (what, bytes) in broken {
        let output = ran(json!({}), &bytes, b"");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(INVALID), "{what}: {said}");
        assert!(said.starts_with("aecl-wasm: ") && said.lines().count() == 1, "{what}: {said}");
    }
    // Whatever is turned over in a module: it ends in one of our ways, never by a signal.
    for at in (8..good.len()).step_by(11) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        let output = ran(json!({ "fuel_max": 1_000_000 }), &bytes, b"1\n");
        assert!(output.status.code().is_some(), "byte {at}: {output:?}");
    }
}

#[test]
fn no_file_is_there_but_those_of_the_directories_that_are_shown() {
    let place = std::env::temp_dir().join(format!("aecl-wasm-{}", std::process::id()));
    let dir = place.join("shown");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(place.join("secret"), "canary").unwrap();
    std::fs::write(dir.join("open"), "hello\n").unwrap();
    std::os::unix::fs::symlink("../secret", dir.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("absolute")).unwrap();
    let open = |path: &str, shown: Value, more: &[&str]| {
        let args: Vec<&str> = ["open", path].iter().chain(more).copied().collect();
        let output = ran(json!({ "args": args, "dirs": shown }), &file("open.wat"), b"");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("canary"), "{path}");
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let reads = json!([{ "at": dir, "write": false }]);
    let writes = json!([{ "at": dir, "write": true }]);
    assert_eq!(open("/etc/passwd", json!([]), &[]).0, BAD_DESCRIPTOR, "there is no directory at all");
    assert_eq!(open("open", reads.clone(), &[]), (0, "hello\n".into()));
    for path in ["../secret", "/etc/passwd", "link", "absolute", "./../secret", "open/../../secret", ".."] {
        let (code, said) = open(path, reads.clone(), &[]);
        assert!(code != 0 && said.is_empty(), "{path}: {code} {said}");
        let (code, _) = open(path, writes.clone(), &["write"]);
        assert!(code != 0, "{path}: {code}");
    }
    let (code, _) = open("new", reads, &["write"]);
    assert!(NOT_PERMITTED.contains(&code), "{code}");
    assert!(!dir.join("new").exists());
    assert_eq!(open("new", writes, &["write"]).0, 0);
    assert_eq!(std::fs::read_to_string(dir.join("new")).unwrap(), "out\n");
    assert_eq!(open("x", json!([{ "at": dir.join("nowhere"), "write": false }]), &[]).0, ORDER);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn an_order_that_is_none_is_told_apart() {
    let good = wat::parse_str(main("")).unwrap();
    for changes in [
        json!({ "protocol": 2 }),
        json!({ "module_bytes": 99_999 }),
        json!({ "more": 1 }),
        json!({ "args": 1 }),
    ] {
        let output = ran(changes.clone(), &good, b"");
        assert_eq!(output.status.code(), Some(ORDER), "{changes}");
    }
}

#[test]
fn what_costs_no_fuel_is_left_to_the_clocks_of_the_cage() {
    for (module, changes) in [
        (file("sleep.wat"), json!({})),
        (wat::parse_str(main("(loop $l (br $l))")).unwrap(), json!({ "fuel_max": null })),
    ] {
        let mut child = start(&order(changes), &module, b"");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            assert!(child.try_wait().unwrap().is_none(), "{:?}", child.wait_with_output());
            std::thread::sleep(Duration::from_millis(50));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
