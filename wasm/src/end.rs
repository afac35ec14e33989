//! How a module ended.

/// The largest exit code that a module may choose.
const OWN_MAX: i32 = 125;

/// How a module ended. The numbers stand in `crates/aecl-executor/src/connectors/process/wasm.rs`, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exited(u8),
    /// It did not begin: our order is none, or the host lacks something.
    Order(String),
    /// It did not begin: these bytes are no module or component that can be run.
    Invalid(String),
    /// It did not begin: it wants something that nobody has for it.
    Import(String),
    /// It was refused memory, and did not go on without.
    Memory(String),
    /// It was refused room in a table, and did not go on without.
    Table(String),
    /// Its fuel was used up.
    Fuel,
    /// Its stack was.
    Stack,
    /// It did what no module may, or gave up.
    Trap(String),
}

impl End {
    /// By itself.
    pub fn exited(code: i32) -> Self {
        match u8::try_from(code) {
            Ok(own) if code <= OWN_MAX => Self::Exited(own),
            _ => Self::Trap(format!("it exited with {code}; codes go from 0 to {OWN_MAX}")),
        }
    }

    /// Our exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Exited(code) => *code,
            Self::Order(_) => 200,
            Self::Invalid(_) => 201,
            Self::Import(_) => 202,
            Self::Memory(_) => 203,
            Self::Table(_) => 204,
            Self::Fuel => 205,
            Self::Stack => 206,
            Self::Trap(_) => 207,
        }
    }

    /// What to say of it.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Exited(_) => None,
            Self::Order(why)
            | Self::Invalid(why)
            | Self::Import(why)
            | Self::Memory(why)
            | Self::Table(why)
            | Self::Trap(why) => Some(why),
            Self::Fuel => Some("its fuel was used up"),
            Self::Stack => Some("its stack was used up"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_of_a_module_is_one_of_ours() {
        for code in [-1, 0, 1, 125, 126, 137, 200, 207, 255, 256, i32::MAX] {
            let end = End::exited(code);
            let own = (0..=125).contains(&code);
            assert_eq!(matches!(end, End::Exited(_)), own, "{code}");
            assert_eq!(i32::from(end.code()), if own { code } else { 207 }, "{code}");
        }
    }
}
