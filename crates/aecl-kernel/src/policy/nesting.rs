//! Rules are read by a parser that calls itself for what stands inside: a text that nests deep enough would end the
//! process. So how deep it goes is looked at before.

/// Most brackets around one place.
const DEPTH_MAX: usize = 24;
/// Most `.` after one place, and most `if` in a rule.
const CHAIN_MAX: usize = 100;
/// Most operators in one rule: each stands inside of the next.
const OPERATORS_MAX: usize = 1_000;

/// Why this text is not read, if it is not.
pub(super) fn look(text: &str) -> Result<(), String> {
    look_for(text, OPERATORS_MAX)
}

/// The same, with as many operators at most.
pub(super) fn look_for(text: &str, operators_max: usize) -> Result<(), String> {
    let (mut depth, mut choices, mut dots, mut operators) = (0usize, 0usize, 0usize, 0usize);
    let mut chars = text.chars().peekable();
    let mut word = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    if c == '\\' {
                        chars.next();
                    }
                }
            }
            '/' if chars.peek() == Some(&'/') => while chars.next().is_some_and(|c| c != '\n') {},
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => (depth, choices, operators) = (0, 0, 0),
            '&' | '|' | '+' | '-' | '*' => operators += 1,
            _ => {}
        }
        dots = match c {
            '.' => dots + 1,
            c if c.is_whitespace() || c.is_alphanumeric() || "_()".contains(c) => dots,
            _ => 0,
        };
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            choices += usize::from(word == "if");
            word.clear();
        }
        if depth > DEPTH_MAX || choices.max(dots) > CHAIN_MAX {
            return Err(format!(
                "it nests deeper than {DEPTH_MAX} brackets, or {CHAIN_MAX} times `.` or `if`; write it as several rules"
            ));
        }
        // Most operators are two letters.
        if operators > 2 * operators_max {
            return Err(format!("a rule has more than {operators_max} operators; write it as several rules"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::PolicySet;

    fn rule(condition: &str) -> String {
        format!("forbid(principal, action, resource) when {{ {condition} }};")
    }

    /// Texts that grow with `n` and nest as deep.
    fn deep(n: usize) -> Vec<String> {
        vec![
            rule(&format!("{}true{}", "(".repeat(n), ")".repeat(n))),
            rule(&format!("{}[]{} == []", "[".repeat(n), "]".repeat(n))),
            rule(&format!("{}1{} has a", "{a: ".repeat(n), "}".repeat(n))),
        ]
    }

    fn chained(n: usize) -> Vec<String> {
        vec![
            rule(&format!("context{} == 1", ".a".repeat(n))),
            rule(&format!("context{}", ".contains(1)".repeat(n))),
            rule(&format!("{}true", "if true then true else ".repeat(n))),
        ]
    }

    fn long(n: usize) -> Vec<String> {
        vec![
            rule(&format!("true{}", " && true".repeat(n))),
            rule(&format!("true{}", " || true".repeat(n))),
            rule(&format!("1{} == 1", " + 1".repeat(n))),
            rule(&format!("1{} == 1", " - 1".repeat(n))),
        ]
    }

    #[test]
    fn what_is_looked_at_and_let_through_is_read_without_ending_the_process() {
        for text in deep(22).into_iter().chain(chained(100)).chain(long(900)) {
            look(&text).unwrap();
            // Cedar may refuse it, too; it comes back.
            let _ = text.parse::<PolicySet>();
        }
        // What stands before a value more often than four times, Cedar refuses by itself.
        for sign in ["!", "-", "! "] {
            let text = rule(&format!("{}true", sign.repeat(100_000)));
            assert!(text.parse::<PolicySet>().is_err());
        }
    }

    #[test]
    fn what_nests_too_deep_is_refused_before_anybody_reads_it() {
        for text in deep(30).into_iter().chain(deep(100_000)).chain(chained(101)).chain(long(5_000)) {
            let why = look(&text).unwrap_err();
            assert!(why.contains("write it as several rules"), "{why}");
        }
        let many = rule("context.a == \"((((\" && true // ((((").repeat(3_000);
        look(&many).unwrap();
    }
}
