//! Machines by Firecracker, configured over its socket. Of the rules for its use in production we keep: a user
//! of its own for every machine, Firecracker's own filter of system calls, no serial line, a log of its own
//! for nothing but errors, nothing on its standard input, an end that does not depend on it.

use std::io;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::api;
use super::line::Line;
use super::monitor::{Parts, Place, Size, by_number, command_line};
use crate::machine::Firecracker;
use crate::protocol::frame;
use crate::protocol::nonsense;

const API: &str = "api";
const VSOCK: &str = "vsock";
const LOG: &str = "log";

/// The number of the machine on its socket to us. There is one machine for each monitor.
const GUEST: u32 = 3;

/// The command.
pub(super) fn command(firecracker: &Firecracker, place: &Place) -> Vec<String> {
    let path = |name: &str| place.path(name).to_string_lossy().into_owned();
    let mut command = vec![firecracker.program.to_string_lossy().into_owned()];
    for (name, value) in [("--api-sock", path(API)), ("--log-path", path(LOG)), ("--level", "Error".into())] {
        command.extend([name.to_owned(), value]);
    }
    command
}

/// What is asked of the monitor, in this order.
fn requests(
    firecracker: &Firecracker,
    place: &Place,
    size: Size,
    shows: bool,
) -> Vec<(&'static str, serde_json::Value)> {
    let boot_args = command_line(&firecracker.machine, shows, "vsock", "pci=off i8042.dumbkbd");
    let mut requests = vec![
        (
            "/machine-config",
            json!({"vcpu_count": size.processors, "mem_size_mib": size.memory_mib, "smt": false}),
        ),
        (
            "/boot-source",
            json!({
                "kernel_image_path": by_number(Parts::KERNEL),
                "initrd_path": by_number(Parts::ARCHIVE),
                "boot_args": boot_args,
            }),
        ),
        ("/drives/root", disk("root", Parts::ROOT)),
    ];
    if shows {
        requests.push(("/drives/shown", disk("shown", Parts::SHOWN)));
    }
    requests.push(("/vsock", json!({"guest_cid": GUEST, "uds_path": place.path(VSOCK)})));
    requests.push(("/actions", json!({"action_type": "InstanceStart"})));
    requests
}

/// A disk that is read and never written, by the number of its file.
fn disk(name: &str, number: u32) -> serde_json::Value {
    json!({
        "drive_id": name,
        "path_on_host": by_number(number),
        "is_root_device": false,
        "is_read_only": true,
    })
}

/// Starts the machine and opens the line to its agent, as soon as that listens. The caller gives up in time.
pub(super) async fn open(
    firecracker: &Firecracker,
    place: &Place,
    size: Size,
    shows: bool,
) -> io::Result<Line> {
    for (path, document) in requests(firecracker, place, size, shows) {
        api::put(&place.path(API), path, &document.to_string()).await?;
    }
    loop {
        let mut stream = api::connect(&place.path(VSOCK)).await?;
        if is_through(&mut stream).await? {
            let (from, to) = stream.into_split();
            return Ok(Line::new(Box::new(from), Box::new(to)));
        }
        sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Asks to be put through to the agent. Firecracker hangs up while nobody listens inside.
async fn is_through(stream: &mut UnixStream) -> io::Result<bool> {
    const ANSWER_MAX_BYTES: usize = 32;
    let asked = stream.write_all(format!("CONNECT {}\n", frame::VSOCK_PORT).as_bytes()).await;
    if asked.is_err() {
        return Ok(false);
    }
    let mut answer = Vec::new();
    // Byte by byte: what comes after the line's end is the agent's.
    loop {
        match stream.read_u8().await {
            Ok(b'\n') => break,
            Ok(_) if answer.len() >= ANSWER_MAX_BYTES => return Err(nonsense("no answer to CONNECT")),
            Ok(byte) => answer.push(byte),
            Err(_) => return Ok(false),
        }
    }
    let number = answer.strip_prefix(b"OK ").and_then(|number| std::str::from_utf8(number).ok());
    match number.map(str::parse::<u32>) {
        Some(Ok(_)) => Ok(true),
        _ => Err(nonsense("no answer to CONNECT")),
    }
}
