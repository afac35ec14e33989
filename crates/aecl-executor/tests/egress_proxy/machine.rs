//! A program in a virtual machine, emulated: the broker serves it as it serves a cage on this host. Emulation satisfies
//! no tier, so no action is ever carried out in one; the test starts the machine itself.

#[path = "../../../aecl-sandbox/tests/common/machine.rs"]
#[allow(dead_code, reason = "the tests of the sandbox use the rest")]
mod emulated;

use std::sync::Arc;
use std::time::Duration;

use aecl_egress::egress::Names;
use aecl_executor::connectors::process::{egress_proxy, spec};
use aecl_kernel::define::connector::process::ProcessSpec;
use aecl_sandbox::{Cage, Clocks, Limits, Network, Program, Termination, start};
use serde_json::json;

use super::world::{OurNames, plain, target};
use super::{OK, rows};

fn cage(machine: aecl_sandbox::Machine) -> Cage {
    let time = Duration::from_secs(90);
    Cage {
        backend: emulated::emulated(machine),
        image: None,
        views: Vec::new(),
        network: Network::Listener { port: 3128 },
        limits: Limits {
            memory_max_bytes: Some(96 << 20),
            process_memory_max_bytes: None,
            cpu_max_millicores: Some(1_000),
            processes_max: 64,
            scratch_max_bytes: 16 << 20,
            scratch_files_max: 1_000,
            file_max_bytes: 16 << 20,
            open_files_max: 128,
            output_kept_max_bytes: 1 << 20,
            output_max_bytes: 8 << 20,
        },
        clocks: Clocks { call: time, task_left: time, lifetime_left: time },
    }
}

#[tokio::test]
async fn a_program_in_a_machine_reaches_whom_its_action_names_and_nobody_else() {
    let Some(machine) = emulated::machine() else { return };
    let web = target(OK);
    let names = Arc::new(OurNames::default());
    names.answers.lock().unwrap().insert("web.test".into(), vec![vec!["127.0.0.1".parse().unwrap()]]);
    let egress = json!([plain("web.test", web.port, &["GET"])]);
    let spec: ProcessSpec = serde_json::from_value(json!({ "argv": ["sh"], "egress": egress })).unwrap();
    let list = spec::check(&spec).unwrap();
    let script = format!(
        "busybox wget -q -O - http://web.test:{0}/x; echo; busybox wget -q -O - http://evil.test:{0}/ 2>&1; \
         busybox nc 127.0.0.1 {0} < /dev/null 2>&1; true",
        web.port
    );
    let program = Program {
        argv: vec!["sh".into(), "-c".into(), script],
        env: [("http_proxy".into(), "http://127.0.0.1:3128".into())].into(),
        cwd: None,
    };
    let mut running = start(program, cage(machine)).await.unwrap();
    let names: Arc<dyn Names> = names;
    let egress_proxy = egress_proxy(&mut running, &spec, list, &names, None).unwrap().unwrap();
    let ended = running.wait().await;
    let traffic = egress_proxy.close().await;
    let said = ended.stdout.for_display();
    assert_eq!(ended.outcome, Termination::Exited(0), "{said}");
    assert!(said.starts_with("hello\n") && said.contains("403") && said.contains("refused"), "{said}");
    let told = [
        format!("GET evil.test:{} x1 egress_denied", web.port),
        format!("GET web.test:{} x1 ended", web.port),
    ];
    assert_eq!(rows(&traffic), told);
}
