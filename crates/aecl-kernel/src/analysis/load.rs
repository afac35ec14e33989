//! A bundle is loaded: compiled, its claims checked and its examples run. What comes out wrong does not load.

use crate::analysis::prove;
use crate::policy::bundle::{Assembled, Bundle};
use crate::policy::problem::{Problem, Source};

impl Bundle {
    /// Compiles sources, runs their examples, and gives the bundle or everything that is wrong.
    pub fn compile(sources: Vec<Source>) -> Result<Self, Vec<Problem>> {
        let Assembled { bundle, properties, examples, mut problems } = Self::assemble(sources)?;
        for (path, property) in &properties {
            prove::check(&bundle, path, property, &mut problems);
        }
        for (path, example) in &examples {
            if let Err(message) = example.check(&bundle) {
                problems.push(Problem::error(path, message));
            }
        }
        match problems.iter().any(|p| p.fatal) {
            true => Err(problems),
            false => Ok(bundle.with_warnings(problems)),
        }
    }
}
