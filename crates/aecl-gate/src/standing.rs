//! What the wall clock does is said: in the log, on record, to whoever asks. An operator may accept a jump.

use crate::clock::ClockStanding;
use crate::error::GateError;
use crate::gate::Gate;
use crate::identity::Identity;
use std::time::Duration;

/// A clock that changes its mind all the time is put on record once in so many seconds.
const SAID_EACH_S: u64 = 60;

/// What was said last about the wall clock, and how many seconds ago.
#[derive(Default)]
pub(crate) struct Said {
    code: Option<&'static str>,
    ago_s: u64,
}

impl Gate {
    /// How the wall clock stands to the time.
    pub fn clock_standing(&self) -> ClockStanding {
        self.0.clock.standing()
    }

    /// Takes over a jump ahead of the wall clock that is not believed yet. Gives by how much.
    pub async fn accept_clock(&self, by: &Identity) -> Result<Option<Duration>, GateError> {
        self.operator(by, "accept the clock")?;
        self.for_every_tenant(by, "accept the clock")?;
        let before = self.now();
        let Some(jumped) = self.0.clock.accept() else { return Ok(None) };
        let message = format!(
            "{} has accepted the wall clock, which is {} s ahead of {before}",
            by.name(),
            jumped.as_secs()
        );
        self.0.ledger.fault("clock_accepted", message, self.now()).await?;
        Ok(Some(jumped))
    }

    /// Puts on record what the wall clock does, once; called each second.
    pub(crate) async fn note_clock(&self, said: &mut Said) -> Result<(), GateError> {
        said.ago_s = said.ago_s.saturating_add(1);
        let (standing, now) = (self.clock_standing(), self.now());
        let (code, message) = match standing {
            ClockStanding::Right => {
                ("clock_right", format!("the wall clock and the time that is recorded agree again at {now}"))
            }
            ClockStanding::Behind { by } => (
                "clock_backward",
                format!(
                    "the wall clock is {} s behind {now}, which is on record; time goes on without it",
                    by.as_secs()
                ),
            ),
            ClockStanding::Ahead { by, believed_in } => (
                "clock_ahead",
                format!(
                    "the wall clock has jumped {} s ahead of {now}; it is believed when it stays so for {} s more, \
                     or when an operator accepts it (`aecl clock accept`)",
                    by.as_secs(),
                    believed_in.as_secs()
                ),
            ),
        };
        let is_news = match said.code {
            None => standing != ClockStanding::Right,
            Some(before) => before != code && said.ago_s >= SAID_EACH_S,
        };
        if !is_news {
            return Ok(());
        }
        if standing == ClockStanding::Right {
            tracing::info!("{message}");
        } else {
            tracing::error!(code, "{message}");
        }
        self.0.ledger.fault(code, message, now).await?;
        *said = Said { code: Some(code), ago_s: 0 };
        Ok(())
    }
}
