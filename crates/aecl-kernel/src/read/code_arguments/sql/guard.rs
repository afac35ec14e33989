//! What is not even parsed: texts that are too long or too deep for a recursive reader, and texts that one
//! database reads otherwise than another.

use super::BYTES_MAX;
use crate::define::catalogue::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

/// Deepest nesting of expressions and queries.
pub(super) const DEPTH_MAX: usize = 40;
/// Deepest nesting of brackets: the parser tries each bracket as a query and as a value.
const BRACKETS_MAX: usize = 12;
/// Deepest nesting of queries, each of which takes as much stack as many brackets.
const QUERIES_MAX: usize = 6;
/// Most tokens, so that a long list of values is read and an endless one is not.
const TOKENS_MAX: usize = 16_384;
/// Most operators: each makes the tree one level deeper.
const OPERATORS_MAX: usize = 400;

/// The tokens of a text that is safe to parse, or why it is not.
pub(super) fn tokens(text: &str, dialect: Dialect) -> Result<Vec<Token>, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it is longer than {} KiB", BYTES_MAX / 1024));
    }
    if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(format!("it has the control character U+{:04X}", u32::from(c)));
    }
    if text.chars().any(crate::base::text::is_invisible) {
        return Err("it has invisible characters".into());
    }
    // A comment for everybody else that MySQL carries out.
    if text.contains("/*!") || text.contains("/*M!") {
        return Err("it has a comment that MySQL carries out".into());
    }
    if dialect == Dialect::Generic {
        ambiguous(text)?;
    }
    if dialect != Dialect::Postgres && dollar_quoted(text) {
        return Err("it has `$…$`, which one database reads as a text and another as a name".into());
    }
    // The tokenizer takes it for `<<|`.
    let is_misread = |(at, _)| !text.get(..at).is_some_and(|before: &str| before.ends_with(['<', '&']));
    if dialect == Dialect::Postgres && text.match_indices("<|").any(is_misread) {
        return Err(one_operator("<|"));
    }
    comments(text)?;
    let tokens =
        Tokenizer::new(dialect.rules(), text).tokenize().map_err(|e| super::plain(&e.to_string()))?;
    count(&tokens)?;
    glued(&tokens)?;
    if matches!(dialect, Dialect::Generic | Dialect::Postgres) {
        operators(&tokens, dialect == Dialect::Postgres)?;
    }
    Ok(tokens)
}

/// Words that begin a part of a statement, or join two, in every database: none of them takes one for a name without
/// quotes.
const RESERVED: [&str; 35] = [
    "all",
    "alter",
    "and",
    "as",
    "between",
    "by",
    "case",
    "create",
    "delete",
    "distinct",
    "drop",
    "else",
    "end",
    "except",
    "from",
    "group",
    "having",
    "in",
    "insert",
    "intersect",
    "into",
    "is",
    "join",
    "like",
    "limit",
    "not",
    "or",
    "order",
    "select",
    "table",
    "then",
    "union",
    "update",
    "when",
    "where",
];

/// Whether a name without quotes is such a word.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.binary_search(&name.to_ascii_lowercase().as_str()).is_ok()
}

/// What stands side by side without a space, or with nothing but one, ends where each database thinks it does: `1from t`,
/// `$1from t`, and two texts of which the second goes on like the first.
fn glued(tokens: &[Token]) -> Result<(), String> {
    for pair in tokens.windows(2) {
        let is_glued = match pair {
            [
                Token::Number(..) | Token::HexStringLiteral(_),
                Token::Word(_) | Token::Period | Token::Number(..),
            ] => true,
            [Token::Word(word), _] => {
                word.quote_style.is_none()
                    && word.value.starts_with(|c: char| matches!(c, '.' | '$') || c.is_ascii_digit())
            }
            [Token::Placeholder(name), after] => is_odd(name) || matches!(after, Token::Word(_)),
            _ => false,
        };
        if is_glued {
            return Err("a word follows a number without a space, which databases read differently".into());
        }
    }
    let seen: Vec<&Token> = tokens.iter().filter(|t| !matches!(t, Token::Whitespace(_))).collect();
    match seen.windows(2).any(|pair| pair.iter().all(|token| is_text(token))) {
        true => Err("two texts stand side by side, which databases read differently".into()),
        false => Ok(()),
    }
}

/// What operators are made of.
const SIGNS: [char; 16] = ['+', '-', '*', '/', '<', '>', '=', '~', '!', '@', '#', '%', '^', '&', '|', '?'];
/// One of these in it makes a row of signs one operator of PostgreSQL, whatever it ends with.
const BINDING: [char; 9] = ['~', '!', '@', '#', '%', '^', '&', '|', '?'];
/// Operators that PostgreSQL brings along, of which none calls what somebody has defined unless it is defined anew.
#[rustfmt::skip]
const BUILT_IN: [&str; 75] = [
    "!!", "!=", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>", "%", "&", "&&", "&<", "&<|", "&>", "*",
    "*<", "*<=", "*<>", "*=", "*>", "*>=", "+", "-", "->", "->>", "-|-", "/", "<", "<->", "<<", "<<=", "<<|", "<=",
    "<>", "<@", "<^", "=", "=>", ">", ">=", ">>", ">>=", ">^", "?", "?#", "?&", "?-", "?-|", "?|", "?||", "@", "@-@",
    "@>", "@?", "@@", "^", "^@", "|", "|&>", "|/", "|>>", "||", "||/", "~", "~*", "~<=~", "~<~", "~=", "~>=~", "~>~",
    "~~", "~~*",
];

/// PostgreSQL takes the longest row of signs for one operator, which somebody may have defined: `@@@` is no `@@` before a
/// `@`. Where nobody knows the database, a row that others take for several is not read; there a `?` is a place for a value.
fn operators(tokens: &[Token], is_postgres: bool) -> Result<(), String> {
    let mut row = String::new();
    let mut parts = 0;
    for token in tokens.iter().chain([&Token::EOF]) {
        match token {
            Token::Word(word) if word.quote_style.is_none() && word.value.starts_with('@') => {
                let name = word.value.strip_prefix('@').unwrap_or_default();
                let name = name.strip_prefix('@').unwrap_or(name);
                if name.starts_with(SIGNS) || name.is_empty() {
                    return Err(one_operator(&word.value));
                }
            }
            // Neither a name nor a comment is made of signs, whatever stands in it.
            Token::Word(_) | Token::Whitespace(_) => {}
            token => {
                let text = token.to_string();
                let is_place = matches!(token, Token::Placeholder(_)) && !is_postgres;
                if !text.is_empty() && !is_place && text.chars().all(|c| SIGNS.contains(&c)) {
                    row.push_str(&text);
                    parts += 1;
                    continue;
                }
            }
        }
        let is_odd = match is_postgres {
            true => !is_built_in(&row),
            false => parts > 1 && row.contains(BINDING),
        };
        if is_odd {
            return Err(one_operator(&row));
        }
        (row, parts) = (String::new(), 0);
    }
    Ok(())
}

/// Whether a row of signs, as PostgreSQL divides it, is nothing but what it brings along.
fn is_built_in(row: &str) -> bool {
    let end = match row.contains(BINDING) {
        true => row.len(),
        // What ends with a sign of a number ends before it, and is not nothing.
        false => row.trim_end_matches(['+', '-']).len().max(1),
    };
    row.is_empty() || row.get(..end).is_some_and(|operator| BUILT_IN.contains(&operator))
}

fn one_operator(signs: &str) -> String {
    format!(
        "`{signs}` is an operator that somebody may have defined; put spaces between signs that are several"
    )
}

/// A placeholder that begins with a number and goes on otherwise.
fn is_odd(placeholder: &str) -> bool {
    let name = placeholder.get(1..).unwrap_or_default();
    name.starts_with(|c: char| c.is_ascii_digit()) && !name.chars().all(|c| c.is_ascii_digit())
}

fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
    )
}

/// What ends a string in one database and does not in another hides statements from one of them.
fn ambiguous(text: &str) -> Result<(), String> {
    let say = |what: &str| Err(format!("databases read {what} differently; say which `dialect` it is"));
    if text.contains('\\') {
        return say("a backslash");
    }
    if text.contains('#') {
        return say("`#`");
    }
    if text.contains("$$") {
        return say("`$$`");
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("--") {
        if !after.is_empty() && !after.starts_with([' ', '\t', '\n', '\r']) {
            return say("`--` without a space after it");
        }
        rest = after;
    }
    Ok(())
}

/// Whether something stands between dollars like a quote of PostgreSQL.
fn dollar_quoted(text: &str) -> bool {
    let names = text.split('$').skip(1);
    let followed = text.matches('$').count().saturating_sub(1);
    names.take(followed).any(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

/// Some databases nest comments, others end them at the first `*/`, so that one carries out what another skips.
fn comments(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("/*") {
        let Some((inside, behind)) = after.split_once("*/") else {
            return Err("it has a comment without an end".into());
        };
        if inside.contains("/*") {
            return Err("it has nested comments, which databases read differently".into());
        }
        rest = behind;
    }
    Ok(())
}

fn count(tokens: &[Token]) -> Result<(), String> {
    if tokens.len() > TOKENS_MAX {
        return Err(format!("it has more than {TOKENS_MAX} words and signs"));
    }
    // For each open bracket, whether a query stands in it.
    let mut open = vec![false];
    let mut operators = 0usize;
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => open.push(false),
            Token::RParen | Token::RBracket | Token::RBrace if open.len() > 1 => drop(open.pop()),
            Token::Word(word) if word.keyword == Keyword::SELECT => {
                operators += 1;
                if let Some(here) = open.last_mut() {
                    *here = true;
                }
            }
            Token::Word(word) if !joins(word.keyword) => {}
            Token::Whitespace(_)
            | Token::Comma
            | Token::Period
            | Token::SemiColon
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::Placeholder(_)
            | Token::EOF => {}
            // Words that join, and every sign that is not harmless.
            _ => operators += 1,
        }
        if open.len() > BRACKETS_MAX + 1 {
            return Err(format!("its brackets are nested deeper than {BRACKETS_MAX}"));
        }
        if open.iter().filter(|query| **query).count() > QUERIES_MAX {
            return Err(format!("its queries are nested deeper than {QUERIES_MAX}"));
        }
        if operators > OPERATORS_MAX {
            return Err(format!("it has more than {OPERATORS_MAX} operators"));
        }
    }
    Ok(())
}

/// Words that make a tree deeper.
fn joins(word: Keyword) -> bool {
    matches!(
        word,
        Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::BETWEEN
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::MINUS
            | Keyword::INTERSECT
            | Keyword::JOIN
            | Keyword::CASE
            | Keyword::WHEN
            | Keyword::COLLATE
            | Keyword::INTERVAL
            | Keyword::EXPLAIN
            | Keyword::DIV
            | Keyword::REGEXP
            | Keyword::RLIKE
            | Keyword::SIMILAR
            | Keyword::AT
            | Keyword::PRIOR
            | Keyword::ANALYZE
            | Keyword::PREPARE
    )
}
