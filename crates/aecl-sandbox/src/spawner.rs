//! One thread that starts every program and lives as long as we do.
//!
//! A program's parent-death signal fires when the *thread* that forked it ends, not the process. Started
//! from a thread of the runtime's blocking pool, a server would die ten seconds after that thread went idle.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<std::io::Result<Child>>,
}

static SPAWNER: OnceLock<Option<Sender<Order>>> = OnceLock::new();

fn start() -> Option<Sender<Order>> {
    let (orders, inbox) = channel::<Order>();
    let thread = std::thread::Builder::new().name("aecl-spawner".into()).spawn(move || {
        for mut order in inbox {
            let _inside = order.runtime.enter();
            // A caller that gave up drops its end; the child is then dropped, and `kill_on_drop` ends it.
            let _ = order.answer.send(order.command.spawn());
        }
    });
    thread.ok().map(|_| orders)
}

/// Starts the command on the long-lived thread. `None` when that thread is gone.
pub(crate) async fn spawn_on_lasting_thread(command: Command) -> Option<std::io::Result<Child>> {
    let spawner = SPAWNER.get_or_init(start).as_ref()?;
    let (answer, started) = oneshot::channel();
    spawner.send(Order { command, runtime: Handle::current(), answer }).ok()?;
    started.await.ok()
}
