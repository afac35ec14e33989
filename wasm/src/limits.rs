//! How much a module may have, over all its memories and tables.

use wasmtime::{ResourceLimiter, Result};

/// How many of each a store may hold. Each memory reserves addresses, so they are few.
const INSTANCES_MAX: usize = 1_000;
const TABLES_MAX: usize = 1_000;
const MEMORIES_MAX: usize = 32;

/// What was refused first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// So many bytes of memory, altogether.
    Memory(usize),
    /// So many elements of tables, altogether.
    Table(usize),
}

/// Counts, and refuses.
#[derive(Debug)]
pub struct Limits {
    memory_max_bytes: usize,
    table_elements_max: usize,
    memory_bytes: usize,
    table_elements: usize,
    refused: Option<Refused>,
}

impl Limits {
    /// Nothing used yet.
    pub fn new(memory_max_bytes: u64, table_elements_max: u64) -> Self {
        let size = |most| usize::try_from(most).unwrap_or(usize::MAX);
        Self {
            memory_max_bytes: size(memory_max_bytes),
            table_elements_max: size(table_elements_max),
            memory_bytes: 0,
            table_elements: 0,
            refused: None,
        }
    }

    /// What was refused, if anything was. A module may go on without.
    pub fn refused(&self) -> Option<Refused> {
        self.refused
    }
}

/// What would be used after one of them grew; `None` if that is too much.
fn grown(used: usize, current: usize, desired: usize, most: usize) -> Result<usize, usize> {
    let wanted = used.saturating_sub(current).saturating_add(desired);
    if wanted <= most { Ok(wanted) } else { Err(wanted) }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        // Beyond its own maximum it cannot grow anyway, and that is no matter of ours.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        match grown(self.memory_bytes, current, desired, self.memory_max_bytes) {
            Ok(bytes) => self.memory_bytes = bytes,
            Err(wanted) => {
                self.refused.get_or_insert(Refused::Memory(wanted));
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        match grown(self.table_elements, current, desired, self.table_elements_max) {
            Ok(elements) => self.table_elements = elements,
            Err(wanted) => {
                self.refused.get_or_insert(Refused::Table(wanted));
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut limits = Limits::new(100, 10);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(0, 40, None).unwrap());
        assert!(!limits.memory_growing(60, 61, None).unwrap());
        assert_eq!(limits.refused(), Some(Refused::Memory(101)));
        assert!(limits.table_growing(0, 10, None).unwrap());
        assert!(!limits.table_growing(10, usize::MAX, None).unwrap());
        assert_eq!(limits.refused(), Some(Refused::Memory(101)), "the first is told");
        assert!(!Limits::new(100, 10).memory_growing(0, 2, Some(1)).unwrap());
    }
}
