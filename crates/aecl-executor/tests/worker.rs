//! Calls at the desk, and workers that take them: who gets what, once, and what is left open.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_executor::connectors::worker::WorkerConnector;
use aecl_executor::connectors::worker::words::{
    Notice, Registration, WorkEnded, WorkFunction, WorkGone, WorkReport, WorkerId,
};
use aecl_executor::{Call, CallPlan, CallResult, Connector as _, DryRun, Reconciled, fake};
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::worker::WorkerSpec;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

const ALL: [WorkFunction; 4] =
    [WorkFunction::Perform, WorkFunction::Compensate, WorkFunction::Lookup, WorkFunction::DryRun];

/// A worker that is connected, and its line.
struct Peer {
    at: Arc<WorkerConnector>,
    id: WorkerId,
    line: u64,
    notices: UnboundedReceiver<Notice>,
}

fn connect(at: &Arc<WorkerConnector>, name: &str, slots: usize, functions: &[WorkFunction]) -> Peer {
    let id = WorkerId { worker: name.into(), instance: format!("instance-of-{name}") };
    let serves = [("pay".to_owned(), functions.iter().copied().collect())].into();
    let (line, notices) = at.desk.connect(&id, Registration { serves, slots }).unwrap();
    Peer { at: at.clone(), id, line, notices }
}

impl Peer {
    async fn offer(&mut self) -> (String, WorkFunction) {
        match self.notices.recv().await.unwrap() {
            Notice::Offer { delivery, action, function, .. } => {
                assert_eq!(action, "pay");
                (delivery, function)
            }
            Notice::Cancel { delivery } => panic!("{delivery} is cancelled"),
        }
    }

    async fn take(&mut self) -> String {
        let (delivery, _) = self.offer().await;
        self.at.desk.accept(&self.id, &delivery).unwrap();
        delivery
    }

    fn says(&self, delivery: &str, ended: WorkEnded, output: &str) -> Result<(), WorkGone> {
        let report = WorkReport { ended, message: "said".into(), output: Some(output.into()) };
        self.at.desk.report(&self.id, delivery, report)
    }

    fn leaves(&self) {
        self.at.desk.disconnect(&self.id, self.line);
    }
}

fn spec() -> WorkerSpec {
    WorkerSpec { compensates: None, queue_ms: 60_000, queue_max: 8, lease_ms: 60_000, concurrency_max: 8 }
}

fn call_of(action: &str, spec: WorkerSpec) -> Call {
    let mut call = fake::call(action, r#"{"amount":"5"}"#);
    call.connector = ConnectorSpec::Worker(spec);
    call.timeout_ms = 60_000;
    call
}

fn at() -> Arc<WorkerConnector> {
    Arc::new(WorkerConnector::default())
}

type Underway<T> = tokio::task::JoinHandle<T>;

fn perform(at: &Arc<WorkerConnector>, call: &Call) -> Underway<CallResult> {
    let (at, call) = (at.clone(), call.clone());
    tokio::spawn(async move { at.perform(&call).await })
}

fn code(result: &CallResult) -> (&'static str, &'static str) {
    match result {
        CallResult::Done { .. } => ("done", ""),
        CallResult::Failed { code, may_have_acted: false, .. } => ("failed", code),
        CallResult::Failed { code, .. } => ("perhaps", code),
        CallResult::Unknown { code, .. } => ("unknown", code),
    }
}

#[tokio::test]
async fn a_call_is_handed_to_the_worker_that_accepts_and_its_output_comes_back() {
    let at = at();
    let mut peer = connect(&at, "one", 1, &ALL);
    let underway = perform(&at, &call_of("pay", spec()));
    let (delivery, function) = peer.offer().await;
    assert_eq!(function, WorkFunction::Perform);
    let named = BTreeSet::from([delivery.clone()]);
    assert_eq!(at.desk.heartbeat(&peer.id, &named), (vec![], vec![]), "an acceptance may be on its way");
    let work = at.desk.accept(&peer.id, &delivery).unwrap();
    assert_eq!(&*work.arguments, br#"{"amount":"5"}"#);
    peer.says(&delivery, WorkEnded::Done, r#"{"id":1}"#).unwrap();
    assert_eq!(underway.await.unwrap(), CallResult::Done { output: br#"{"id":1}"#.to_vec() });
    assert_eq!(peer.says(&delivery, WorkEnded::Done, "{}"), Err(WorkGone), "it is over");
}

#[tokio::test]
async fn what_nobody_accepts_was_not_executed() {
    let at = at();
    let call = call_of("pay", WorkerSpec { queue_ms: 20, ..spec() });
    assert_eq!(code(&at.perform(&call).await), ("failed", "worker_unavailable"));
    // Nor where one is connected that does not answer, or has another function, or another action.
    let mut idle = connect(&at, "idle", 1, &[WorkFunction::Perform]);
    let _other = connect(&at, "other", 1, &[WorkFunction::Lookup]);
    assert_eq!(code(&at.perform(&call).await), ("failed", "worker_unavailable"));
    let (delivery, _) = idle.offer().await;
    assert!(at.desk.accept(&idle.id, &delivery).is_err(), "it came too late");
}

#[tokio::test]
async fn an_offer_is_for_one_worker() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    let two = connect(&at, "two", 1, &[WorkFunction::Lookup]);
    let underway = perform(&at, &call_of("pay", spec()));
    let (delivery, _) = one.offer().await;
    assert_eq!(at.desk.accept(&two.id, &delivery).unwrap_err(), WorkGone);
    at.desk.accept(&one.id, &delivery).unwrap();
    assert_eq!(at.desk.accept(&two.id, &delivery).unwrap_err(), WorkGone, "also not after");
    assert!(at.desk.accept(&one.id, &delivery).is_ok(), "an answer that was lost is given again");
    assert_eq!(two.says(&delivery, WorkEnded::Done, "1"), Err(WorkGone));
    one.says(&delivery, WorkEnded::Done, "2").unwrap();
    assert_eq!(code(&underway.await.unwrap()), ("done", ""));
}

#[tokio::test]
async fn what_was_never_accepted_goes_to_another() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    let underway = perform(&at, &call_of("pay", spec()));
    let (first, _) = one.offer().await;
    let mut two = connect(&at, "two", 1, &ALL);
    one.leaves();
    assert_eq!(
        at.desk.accept(&one.id, &first).unwrap_err(),
        WorkGone,
        "at once, and not when its time is over"
    );
    let second = two.take().await;
    assert_ne!(first, second);
    assert_eq!(at.desk.accept(&one.id, &first).unwrap_err(), WorkGone);
    two.says(&second, WorkEnded::Done, "{}").unwrap();
    assert_eq!(code(&underway.await.unwrap()), ("done", ""));
}

#[tokio::test]
async fn what_was_accepted_stays_with_its_worker_when_the_line_ends() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    let underway = perform(&at, &call_of("pay", spec()));
    let delivery = one.take().await;
    let mut two = connect(&at, "two", 1, &ALL);
    one.leaves();
    assert!(two.notices.try_recv().is_err(), "nobody else is asked");
    one.says(&delivery, WorkEnded::Done, "{}").unwrap();
    assert_eq!(code(&underway.await.unwrap()), ("done", ""));
    assert_eq!(at.desk.workers().len(), 1, "who has left and has nothing is forgotten");
}

#[tokio::test]
async fn silence_after_the_lease_is_unknown_and_a_heartbeat_prolongs_it() {
    let at = at();
    let mut one = connect(&at, "one", 2, &ALL);
    let silent = perform(&at, &call_of("pay", WorkerSpec { lease_ms: 20, ..spec() }));
    let delivery = one.take().await;
    assert_eq!(code(&silent.await.unwrap()), ("unknown", "worker_lost"));
    assert_eq!(
        one.says(&delivery, WorkEnded::Done, "{}"),
        Err(WorkGone),
        "what comes late is another matter"
    );
    let named = BTreeSet::from([delivery.clone()]);
    assert_eq!(at.desk.heartbeat(&one.id, &named), (vec![delivery.clone()], vec![]));
    assert_eq!(one.notices.recv().await, Some(Notice::Cancel { delivery }), "and it may stop");

    // Of two with the same lease, the one that is heard of outlives the other.
    let short = WorkerSpec { lease_ms: 1_500, ..spec() };
    let heard = perform(&at, &call_of("pay", short.clone()));
    let delivery = one.take().await;
    let named = BTreeSet::from([delivery.clone()]);
    let silent = perform(&at, &call_of("pay", short));
    one.take().await;
    while !silent.is_finished() {
        assert_eq!(at.desk.heartbeat(&one.id, &named), (vec![], vec![]));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(code(&silent.await.unwrap()), ("unknown", "worker_lost"));
    assert_eq!(at.desk.heartbeat(&one.id, &named), (vec![], vec![]));
    one.says(&delivery, WorkEnded::Done, "{}").unwrap();
    assert_eq!(code(&heard.await.unwrap()), ("done", ""));
}

#[tokio::test]
async fn a_worker_that_says_otherwise_than_before_is_not_heard() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    // On one thread nobody takes the first report away between the two.
    let underway = perform(&at, &call_of("pay", spec()));
    let delivery = one.take().await;
    one.says(&delivery, WorkEnded::Failed, "1").unwrap();
    one.says(&delivery, WorkEnded::Failed, "1").unwrap();
    assert_eq!(one.says(&delivery, WorkEnded::Done, "1"), Err(WorkGone));
    assert_eq!(code(&underway.await.unwrap()), ("failed", "worker_failed"));
}

#[tokio::test]
async fn what_a_worker_says_is_what_it_means() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    for (ended, expected) in [
        (WorkEnded::Done, ("done", "")),
        (WorkEnded::Failed, ("failed", "worker_failed")),
        (WorkEnded::Refused, ("failed", "worker_refused")),
        (WorkEnded::Unknown, ("unknown", "worker_unknown")),
    ] {
        let underway = perform(&at, &call_of("pay", spec()));
        let delivery = one.take().await;
        one.says(&delivery, ended, "{}").unwrap();
        assert_eq!(code(&underway.await.unwrap()), expected);
    }
    let mut small = call_of("pay", spec());
    small.max_output_bytes = 4;
    let underway = perform(&at, &small);
    let delivery = one.take().await;
    one.says(&delivery, WorkEnded::Done, r#""longer than that""#).unwrap();
    assert_eq!(underway.await.unwrap(), CallResult::Done { output: br#"{"truncated":true}"#.to_vec() });
}

#[tokio::test]
async fn the_queue_has_an_end_and_so_has_what_runs_at_once() {
    let at = at();
    let narrow = WorkerSpec { queue_max: 1, concurrency_max: 1, ..spec() };
    let waits = perform(&at, &call_of("pay", narrow.clone()));
    while at.desk.waiting().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(code(&at.perform(&call_of("pay", narrow.clone())).await), ("failed", "worker_queue_full"));
    // Two workers with room, and one call at once.
    let (mut one, mut two) = (connect(&at, "one", 4, &ALL), connect(&at, "two", 4, &ALL));
    let first = one.take().await;
    let second = perform(&at, &call_of("pay", narrow));
    while at.desk.waiting().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(one.notices.try_recv().is_err() && two.notices.try_recv().is_err());
    one.says(&first, WorkEnded::Done, "{}").unwrap();
    assert_eq!(code(&waits.await.unwrap()), ("done", ""));
    let delivery = one.take().await;
    one.says(&delivery, WorkEnded::Done, "{}").unwrap();
    assert_eq!(code(&second.await.unwrap()), ("done", ""));
}

#[tokio::test]
async fn a_worker_gets_no_more_than_it_has_room_for_and_nothing_while_it_drains() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    let first = perform(&at, &call_of("pay", spec()));
    let delivery = one.take().await;
    let second = perform(&at, &call_of("pay", spec()));
    while at.desk.waiting().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(one.notices.try_recv().is_err());
    at.desk.drain(&one.id);
    one.says(&delivery, WorkEnded::Done, "{}").unwrap();
    assert_eq!(code(&first.await.unwrap()), ("done", ""), "what it has it may end");
    assert!(one.notices.try_recv().is_err(), "and it gets nothing new");
    let mut two = connect(&at, "two", 1, &ALL);
    let delivery = two.take().await;
    two.says(&delivery, WorkEnded::Done, "{}").unwrap();
    assert_eq!(code(&second.await.unwrap()), ("done", ""));
}

#[tokio::test]
async fn a_cancelled_call_is_taken_back_or_its_worker_is_told() {
    let at = at();
    let call = call_of("pay", spec());
    let waits = perform(&at, &call);
    call.cancel.cancel();
    assert_eq!(code(&waits.await.unwrap()), ("failed", "worker_cancelled"));

    let mut one = connect(&at, "one", 1, &ALL);
    let call = call_of("pay", spec());
    let underway = perform(&at, &call);
    let delivery = one.take().await;
    call.cancel.cancel();
    assert_eq!(one.notices.recv().await, Some(Notice::Cancel { delivery: delivery.clone() }));
    assert_eq!(at.desk.heartbeat(&one.id, &[delivery.clone()].into()), (vec![], vec![delivery.clone()]));
    one.says(&delivery, WorkEnded::Failed, "null").unwrap();
    assert_eq!(code(&underway.await.unwrap()), ("failed", "worker_failed"), "it has stopped, and says so");

    let mut call = call_of("pay", spec());
    call.timeout_ms = 10;
    let underway = perform(&at, &call);
    one.take().await;
    assert_eq!(code(&underway.await.unwrap()), ("unknown", "worker_timeout"));
}

#[tokio::test]
async fn a_server_that_goes_down_leaves_open_only_what_somebody_has() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    let (first, second) = (perform(&at, &call_of("pay", spec())), perform(&at, &call_of("pay", spec())));
    one.take().await;
    at.desk.close();
    let mut ends = [code(&first.await.unwrap()), code(&second.await.unwrap())];
    ends.sort_unstable();
    assert_eq!(ends, [("failed", "worker_unavailable"), ("unknown", "interrupted")]);
    let serves = [("pay".to_owned(), BTreeSet::from(ALL))].into();
    at.desk.connect(&one.id, Registration { serves, slots: 1 }).unwrap_err();
}

#[tokio::test]
async fn what_is_stopped_before_it_is_accepted_is_not_executed() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    let underway = perform(&at, &call_of("pay", spec()));
    let (delivery, _) = one.offer().await;
    at.desk.stop(&one.id, &delivery, "a person has stopped this".into());
    assert_eq!(at.desk.accept(&one.id, &delivery).unwrap_err(), WorkGone);
    assert_eq!(code(&underway.await.unwrap()), ("failed", "worker_stopped"));
}

#[tokio::test]
async fn the_same_process_on_a_new_line_keeps_what_it_has_and_is_offered_the_rest_anew() {
    let at = at();
    let mut one = connect(&at, "one", 2, &ALL);
    let (held, offered) = (perform(&at, &call_of("pay", spec())), perform(&at, &call_of("pay", spec())));
    let kept = one.take().await;
    let (lost, _) = one.offer().await;
    let mut again = connect(&at, "one", 2, &ALL);
    one.leaves();
    assert_eq!(at.desk.workers().len(), 1, "the end of the old line is not that of the new one");
    assert_eq!(at.desk.accept(&one.id, &lost).unwrap_err(), WorkGone);
    again.says(&kept, WorkEnded::Done, "{}").unwrap();
    let delivery = again.take().await;
    again.says(&delivery, WorkEnded::Done, "{}").unwrap();
    assert_eq!((code(&held.await.unwrap()), code(&offered.await.unwrap())), (("done", ""), ("done", "")));
}

#[tokio::test]
async fn a_compensation_goes_to_the_function_that_undoes() {
    let at = at();
    let mut one = connect(&at, "one", 1, &ALL);
    let undo = WorkerSpec { compensates: Some("pay".into()), ..spec() };
    let underway = perform(&at, &call_of("unpay", undo.clone()));
    let (delivery, function) = one.offer().await;
    assert_eq!(function, WorkFunction::Compensate);
    assert_eq!(at.desk.accept(&one.id, &delivery).unwrap().action, "unpay");
    one.says(&delivery, WorkEnded::Done, "null").unwrap();
    assert_eq!(code(&underway.await.unwrap()), ("done", ""));
    let CallPlan::Would(would) = at.plan(&call_of("unpay", undo)) else { panic!() };
    assert_eq!((&would["worker"], &would["function"]), (&"pay".into(), &"compensate".into()));
}

#[tokio::test]
async fn a_look_up_and_a_dry_run_go_to_whoever_has_them_and_wait_for_nobody() {
    let at = at();
    let call = call_of("pay", spec());
    let none = at.reconcile(&call).await;
    assert!(matches!(none, Reconciled::StillUnknown { .. }), "{none:?}");
    assert!(matches!(at.dry_run(&call).await, DryRun::Unsupported { .. }));
    let mut one = connect(&at, "one", 1, &[WorkFunction::Lookup, WorkFunction::DryRun]);
    for (ended, expected) in [
        (WorkEnded::Done, Reconciled::Done { output: b"7".to_vec() }),
        (WorkEnded::Failed, Reconciled::NotDone),
    ] {
        let (desk, call) = (at.clone(), call.clone());
        let asked = tokio::spawn(async move { desk.reconcile(&call).await });
        let delivery = one.take().await;
        one.says(&delivery, ended, "7").unwrap();
        assert_eq!(asked.await.unwrap(), expected);
    }
    let (desk, asking) = (at.clone(), call.clone());
    let asked = tokio::spawn(async move { desk.dry_run(&asking).await });
    let delivery = one.take().await;
    one.says(&delivery, WorkEnded::Done, r#"{"rows":3}"#).unwrap();
    assert_eq!(asked.await.unwrap(), DryRun::Would { output: br#"{"rows":3}"#.to_vec(), rows: None });
}
