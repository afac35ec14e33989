//! Giving up every right, for good.

use crate::{Fault, Step, sys};

/// After this no program, whatever its owner or file capabilities, has a capability in here.
pub fn give_up_rights() -> Result<(), Fault> {
    sys::empty_bounding_set().step("emptying the bounding set")?;
    sys::lock_securebits().step("locking the secure bits")?;
    sys::drop_capabilities().step("dropping capabilities")?;
    sys::no_new_privileges().step("giving up new privileges")?;
    sys::hide_from_ptrace().step("hiding from ptrace")
}
