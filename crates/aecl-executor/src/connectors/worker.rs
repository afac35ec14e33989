//! Work for programs of the operator's: they hold the functions and their credentials, and connect to us.
//!
//! A call waits at the desk until a connected worker accepts it; then that worker alone has it, for as long as it shows
//! that it lives. What nobody has accepted was surely not executed. What was accepted and not reported is unknown.

pub mod desk;
pub mod words;

use async_trait::async_trait;
use std::time::Duration;
use tokio::time::Instant;

use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
use aecl_kernel::define::connector::ConnectorSpec;
use desk::{Desk, Progress};
use words::{WorkEnded, WorkFunction, WorkOrder, WorkReport};

/// How long a worker may take to answer that it was cancelled.
const CANCELLED: Duration = Duration::from_secs(2);

/// Acts through workers.
#[derive(Debug, Default)]
pub struct WorkerConnector {
    /// Where calls and workers meet.
    pub desk: Desk,
}

/// End of the wait for a worker.
enum Waited {
    Reported(WorkReport),
    /// Surely not executed.
    Not(&'static str, String),
    /// Somebody had it.
    Unknown(&'static str, String),
}

impl WorkerConnector {
    async fn ask(&self, call: &Call, work: WorkOrder) -> Waited {
        let (action, function) = (work.action.clone(), work.function.name());
        let queue = Duration::from_millis(work.limits.queue_ms);
        let most = work.limits.queue_max;
        let Some(ticket) = self.desk.enqueue(work) else {
            return Waited::Not(
                "worker_queue_full",
                format!("`{action}` was not executed: {most} calls of it wait for a worker already"),
            );
        };
        let begun = Instant::now();
        let mut given_up: Option<(Instant, &'static str, String)> = None;
        loop {
            let rings = ticket.bell.notified();
            let now = Instant::now();
            let until = match self.desk.progress(&ticket) {
                Progress::Ended(report) => return Waited::Reported(report),
                Progress::Withdrawn(why) => {
                    return Waited::Not("worker_stopped", format!("`{action}` was not executed: {why}"));
                }
                Progress::Closed => {
                    return Waited::Not(
                        "worker_unavailable",
                        format!(
                            "`{action}` was not executed: the server went down before a worker had accepted it"
                        ),
                    );
                }
                Progress::Waiting(offer) => {
                    let given_up = call.cancel.is_cancelled();
                    // Taken back and accepted exclude each other: if a worker was faster, it has it.
                    if (given_up || now >= begun + queue) && self.desk.withdraw(&ticket) {
                        return if given_up {
                            Waited::Not(
                                "worker_cancelled",
                                format!("`{action}` was cancelled before a worker had accepted it"),
                            )
                        } else {
                            self.nobody(&ticket, &action, function, queue)
                        };
                    }
                    offer.map_or(begun + queue, |offer| offer.min(begun + queue))
                }
                Progress::Held { by, since, until } => {
                    let who = &by.worker;
                    let limit = since + call.timeout();
                    if self.desk.is_closed() {
                        return Waited::Unknown(
                            "interrupted",
                            format!(
                                "the server went down while worker `{who}` had `{action}`; its report is taken by the next start"
                            ),
                        );
                    }
                    if now >= until {
                        return Waited::Unknown(
                            "worker_lost",
                            format!("worker `{who}` had accepted `{action}` and has gone silent"),
                        );
                    }
                    if given_up.is_none() && call.cancel.is_cancelled() {
                        let said = format!("`{action}` was cancelled while worker `{who}` had it");
                        given_up = Some((now + CANCELLED, "worker_cancelled", said));
                    }
                    if given_up.is_none() && now >= limit {
                        let ms = call.timeout_ms;
                        let said = format!("worker `{who}` has not ended `{action}` within {ms} ms");
                        given_up = Some((now + CANCELLED, "worker_timeout", said));
                    }
                    match &given_up {
                        Some((end, code, said)) if now >= *end => return Waited::Unknown(code, said.clone()),
                        Some((end, ..)) => {
                            self.desk.cancel(&ticket);
                            until.min(*end)
                        }
                        None => until.min(limit),
                    }
                }
            };
            let is_cancelled = given_up.is_some() || call.cancel.is_cancelled();
            tokio::select! {
                () = rings => {}
                () = tokio::time::sleep_until(until) => {}
                () = call.cancel.cancelled(), if !is_cancelled => {}
            }
        }
    }

    fn nobody(&self, ticket: &desk::Ticket<'_>, action: &str, function: &str, queue: Duration) -> Waited {
        let ms = queue.as_millis();
        let why = match self.desk.asked(ticket) {
            0 => format!("no worker that has `{function}` for it was free within {ms} ms"),
            n => format!("{n} connected worker(s) were asked, and none had accepted it within {ms} ms"),
        };
        Waited::Not("worker_unavailable", format!("`{action}` was not executed: {why}"))
    }
}

#[async_trait]
impl Connector for WorkerConnector {
    async fn perform(&self, call: &Call) -> CallResult {
        let ConnectorSpec::Worker(spec) = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return CallResult::not_sent(code, message);
        };
        match self.ask(call, WorkOrder::of(call, spec, WorkFunction::Perform)).await {
            Waited::Reported(report) => reported(report, call.max_output_bytes),
            Waited::Not(code, message) => CallResult::not_sent(code, message),
            Waited::Unknown(code, message) => CallResult::unknown(code, message),
        }
    }

    fn plan(&self, call: &Call) -> CallPlan {
        let ConnectorSpec::Worker(spec) = &call.connector else {
            return CallPlan::Failed(call.connector_mismatch().1);
        };
        let work = WorkOrder::of(call, spec, WorkFunction::Perform);
        match serde_json::from_slice::<serde_json::Value>(&work.arguments) {
            Ok(arguments) => CallPlan::Would(serde_json::json!({
                "worker": work.serves, "function": work.function.name(), "arguments": arguments
            })),
            Err(error) => {
                CallPlan::Failed(format!("the arguments of `{}` do not read: {error}", call.action))
            }
        }
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        let ConnectorSpec::Worker(spec) = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return DryRun::Failed { code, message };
        };
        if !self.desk.has(&call.action, WorkFunction::DryRun) {
            let message = format!("no worker that is connected has a dry run of `{}`", call.action);
            return DryRun::Unsupported { message };
        }
        match self.ask(call, WorkOrder::of(call, spec, WorkFunction::DryRun)).await {
            Waited::Reported(WorkReport { ended: WorkEnded::Done, output: Some(output), .. })
                if output.len() <= call.max_output_bytes =>
            {
                DryRun::Would { output, rows: None }
            }
            Waited::Reported(report) => {
                let message = format!("the dry run of `{}` gave nothing: {}", call.action, report.message);
                DryRun::Failed { code: "worker_failed", message }
            }
            Waited::Not(code, message) | Waited::Unknown(code, message) => DryRun::Failed { code, message },
        }
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        let unknown = |message: String| Reconciled::StillUnknown { message };
        let ConnectorSpec::Worker(spec) = &call.connector else {
            return unknown(call.connector_mismatch().1);
        };
        // Nobody waits here for somebody to connect: it is asked again later.
        if spec.compensates.is_some() || !self.desk.has(&call.action, WorkFunction::Lookup) {
            return unknown(format!("no worker that is connected has a look-up for `{}`", call.action));
        }
        match self.ask(call, WorkOrder::of(call, spec, WorkFunction::Lookup)).await {
            Waited::Reported(report) => match report.ended {
                WorkEnded::Done => Reconciled::Done { output: output(report.output, call.max_output_bytes) },
                WorkEnded::Failed => Reconciled::NotDone,
                WorkEnded::Refused | WorkEnded::Unknown => {
                    unknown(format!("the look-up of `{}` did not find out: {}", call.action, report.message))
                }
            },
            Waited::Not(_, message) | Waited::Unknown(_, message) => {
                unknown(format!("the look-up was not answered: {message}"))
            }
        }
    }
}

/// What a report means.
fn reported(report: WorkReport, bytes_max: usize) -> CallResult {
    let WorkReport { ended, message, output: said } = report;
    match ended {
        WorkEnded::Done => CallResult::Done { output: output(said, bytes_max) },
        WorkEnded::Failed => CallResult::Failed {
            code: "worker_failed",
            message,
            output: said.filter(|said| said.len() <= bytes_max),
            may_have_acted: false,
        },
        WorkEnded::Refused => CallResult::not_sent("worker_refused", message),
        WorkEnded::Unknown => CallResult::Unknown {
            code: "worker_unknown",
            message,
            output: said.filter(|said| said.len() <= bytes_max),
        },
    }
}

/// An output, or what stands for one that is longer than is kept.
fn output(said: Option<Vec<u8>>, bytes_max: usize) -> Vec<u8> {
    let said = said.unwrap_or_else(|| b"null".to_vec());
    if said.len() > bytes_max { br#"{"truncated":true}"#.to_vec() } else { said }
}
