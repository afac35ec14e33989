//! A bundle is loaded: compiled, its claims checked and its examples run. What comes out wrong does not load.

use crate::{examples, prove};
use aecl_kernel::policy::bundle::{Assembled, Bundle};
use aecl_kernel::policy::problem::{BundleProblem, Source};
use std::ops::Deref;

/// A bundle whose claims were checked and whose examples come out right. The gate takes no other.
///
/// Only [`VettedBundle::load`] makes one:
///
/// ```compile_fail
/// use aecl_analysis::load::VettedBundle;
/// use aecl_kernel::policy::bundle::Bundle;
/// fn passed_by(bundle: Bundle) -> VettedBundle {
///     VettedBundle(bundle)
/// }
/// ```
#[derive(Debug)]
pub struct VettedBundle(Bundle);

impl VettedBundle {
    /// Compiles sources, runs their examples, and gives the bundle or everything that is wrong.
    pub fn load(sources: Vec<Source>) -> Result<Self, Vec<BundleProblem>> {
        let Assembled { bundle, properties, examples, mut problems } = Bundle::assemble(sources)?;
        for (path, property) in &properties {
            prove::check(&bundle, path, property, &mut problems);
        }
        for (path, example) in &examples {
            if let Err(message) = examples::check(example, &bundle) {
                problems.push(BundleProblem::error(path, message));
            }
        }
        match problems.iter().any(|p| p.fatal) {
            true => Err(problems),
            false => Ok(Self(bundle.with_warnings(problems))),
        }
    }

    /// The bundle alone, as `decide` takes it.
    pub fn into_bundle(self) -> Bundle {
        self.0
    }
}

impl Deref for VettedBundle {
    type Target = Bundle;

    fn deref(&self) -> &Bundle {
        &self.0
    }
}
