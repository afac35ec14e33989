//! What builds cages and holds them, one file for each kind.

pub(crate) mod docker;
pub(crate) mod native;
pub(crate) mod oci;
pub(crate) mod vm;

use crate::tier::Backend;

impl Backend {
    /// Whether a cage of it can have the files of an [`Image`](crate::Image). A machine gets them as it gets views.
    #[must_use]
    pub fn shows_images(&self) -> bool {
        self.machine().is_none() || vm::shows().is_ok()
    }
}
