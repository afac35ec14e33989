//! The time by which everything is judged, and how the wall clock stands to it.

use super::App;
use super::auth::Known;
use super::problem::{Problem, ProblemDetails};
use aecl_gate::Gate;
use aecl_gate::clock::ClockStanding;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// How the wall clock stands to the time.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClockState {
    /// The time by which everything is judged.
    pub now: String,
    /// `right`; `behind`: the wall clock is, and time goes on without it; `ahead`: it has jumped, and is not believed
    /// yet.
    pub standing: &'static str,
    /// By how many seconds the wall clock is behind or ahead.
    pub by_s: u64,
    /// In how many seconds a jump ahead is believed, if it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub believed_in_s: Option<u64>,
    /// How many seconds were taken over just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_s: Option<u64>,
}

impl ClockState {
    /// As it is now.
    pub fn of(gate: &Gate) -> Self {
        let (standing, by_s, believed_in_s) = match gate.clock_standing() {
            ClockStanding::Right => ("right", 0, None),
            ClockStanding::Behind { by } => ("behind", by.as_secs(), None),
            ClockStanding::Ahead { by, believed_in } => ("ahead", by.as_secs(), Some(believed_in.as_secs())),
        };
        Self { now: gate.now().to_string(), standing, by_s, believed_in_s, accepted_s: None }
    }
}

/// The time, and how the wall clock of the machine stands to it.
#[utoipa::path(get, path = "/v1/clock", operation_id = "show_clock", tag = "operations",
    responses((status = 200, body = ClockState), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn show(State(app): State<App>, _by: Known) -> Json<ClockState> {
    Json(ClockState::of(&app.gate))
}

/// Take over a jump ahead of the wall clock that is not believed yet. Recorded. For operators.
#[utoipa::path(post, path = "/v1/clock/accept", operation_id = "accept_clock", tag = "operations",
    responses((status = 200, body = ClockState), (status = "4XX", body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn accept(State(app): State<App>, Known(by): Known) -> Result<Json<ClockState>, Problem> {
    let accepted = app.gate.accept_clock(&by).await?;
    Ok(Json(ClockState { accepted_s: accepted.map(|by| by.as_secs()), ..ClockState::of(&app.gate) }))
}
