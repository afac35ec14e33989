//! What a text in SQL would do: its statements, the tables they touch, and whether a change is bounded.
//!
//! The reading is for the strict side. A statement is a read only if everything in it is known to read; a
//! change is bounded only if its WHERE provably is (see `bound`). What is not understood, too long or too
//! deep, or means different things to different databases, is unread, and that is the worst.

mod bound;
mod functions;
mod guard;
mod kind;
mod types;

use crate::define::catalogue::dialect::Dialect;
use serde::{Deserialize, Serialize};
use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, Statement, TableFactor, Visit,
    Visitor,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Longest text that is read, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;

/// Effect of a statement at the worst. Later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlEffect {
    /// It reads rows.
    Read,
    /// It adds or changes rows.
    Write,
    /// It removes rows.
    Delete,
    /// It changes tables and other structure.
    Ddl,
    /// It changes who may do what.
    Grant,
    /// It runs what is not to be seen here: a procedure, a function with effects, a file, a setting.
    Exec,
}

impl SqlEffect {
    /// The name in policy and records.
    pub fn name(self) -> &'static str {
        match self {
            SqlEffect::Read => "read",
            SqlEffect::Write => "write",
            SqlEffect::Delete => "delete",
            SqlEffect::Ddl => "ddl",
            SqlEffect::Grant => "grant",
            SqlEffect::Exec => "exec",
        }
    }
}

/// One statement, also one inside another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlStatement {
    /// What it does.
    pub effect: SqlEffect,
    /// It changes only some rows, by a condition that is proven to leave others out. Reads are.
    pub bounded: bool,
    /// At most so many rows, where the text says so.
    pub rows: Option<u64>,
    /// In words, such as ``deletes rows of `users` where last_login < 2023``.
    pub words: String,
}

/// A text in SQL, understood as far as it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// Its statements; those inside others follow them.
    pub statements: Vec<SqlStatement>,
    /// How many statements stand side by side.
    pub side_by_side: usize,
    /// Every table that it names, in lower case, with and without its schema.
    pub tables: BTreeSet<String>,
    /// Why it was not read, if it was not. Then the rest is empty and the effect is the worst.
    pub unread: Option<String>,
}

impl Sql {
    /// The worst of its statements.
    pub fn effect(&self) -> SqlEffect {
        match &self.unread {
            Some(_) => SqlEffect::Exec,
            None => self.statements.iter().map(|s| s.effect).max().unwrap_or(SqlEffect::Exec),
        }
    }

    /// Whether every change in it is bounded.
    pub fn bounded(&self) -> bool {
        self.unread.is_none() && self.statements.iter().all(|s| s.bounded)
    }

    /// Most rows that it changes; `None` if the text does not say.
    pub fn rows(&self) -> Option<u64> {
        if self.unread.is_some() {
            return None;
        }
        let changes = self.statements.iter().filter(|s| s.effect != SqlEffect::Read);
        changes.map(|s| s.rows).try_fold(0u64, |sum, rows| Some(sum.saturating_add(rows?)))
    }

    /// In words, one line for each statement.
    pub fn words(&self) -> Vec<String> {
        match &self.unread {
            Some(why) => vec![format!("SQL that was not understood: {why}")],
            None => self.statements.iter().map(|s| s.words.clone()).collect(),
        }
    }

    pub(super) fn unread(why: impl Into<String>) -> Self {
        Self { statements: Vec::new(), side_by_side: 0, tables: BTreeSet::new(), unread: Some(why.into()) }
    }
}

/// Reads a text in SQL. Takes time linear in at most [`BYTES_MAX`] bytes.
pub fn read(text: &str, dialect: Dialect) -> Sql {
    let tokens = match guard::tokens(text, dialect) {
        Ok(tokens) => tokens,
        Err(why) => return Sql::unread(why),
    };
    let mut parser = Parser::new(dialect.rules()).with_recursion_limit(guard::DEPTH_MAX).with_tokens(tokens);
    let statements = match parser.parse_statements() {
        Ok(statements) if statements.is_empty() => return Sql::unread("there is no statement in it"),
        Ok(statements) => statements,
        Err(e) => return Sql::unread(plain(&e.to_string())),
    };
    // At a bare END the parser is content with what it has.
    let rest = parser.next_token();
    if rest.token != Token::EOF {
        return Sql::unread(format!(
            "nothing is known that begins with `{}` there",
            plain(&rest.to_string())
        ));
    }
    let mut seen = Seen { dialect, statements: Vec::new(), tables: BTreeSet::new() };
    for statement in &statements {
        if let ControlFlow::Break(why) = seen.walk(statement) {
            return Sql::unread(why);
        }
    }
    let Seen { statements: mut found, tables, .. } = seen;
    found.dedup();
    Sql { statements: found, side_by_side: statements.len(), tables, unread: None }
}

/// What was seen on the way through a text.
struct Seen {
    dialect: Dialect,
    statements: Vec<SqlStatement>,
    tables: BTreeSet<String>,
}

impl Seen {
    fn walk(&mut self, statement: &Statement) -> ControlFlow<String> {
        let before = self.statements.len();
        statement.visit(self)?;
        if kind::only_explains(statement) {
            // Nothing of it is carried out but what a planner calls to estimate.
            let within = self.statements.split_off(before);
            self.statements.push(kind::read("says how a statement would be carried out"));
            self.statements.extend(within.into_iter().skip(1).filter(|s| s.effect == SqlEffect::Exec));
        }
        ControlFlow::Continue(())
    }

    /// A text as the name of a column: where nobody knows which database reads it, it may be a value of some type.
    fn text_as_name(&self, item: &SelectItem) -> ControlFlow<String> {
        match item {
            SelectItem::ExprWithAlias { alias, .. }
                if alias.quote_style == Some('\'') && self.dialect == Dialect::Generic =>
            {
                let why = format!("the text '{}' stands where one database has a name", alias.value);
                ControlFlow::Break(why)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn call(&mut self, name: &str) {
        if !functions::only_computes(name) {
            let words = format!("calls `{}`, which may do anything", plain(name));
            self.statements.push(SqlStatement { effect: SqlEffect::Exec, bounded: false, rows: None, words });
        }
    }

    /// A table by its name, whatever it is quoted with: SQLite takes all of `"x"`, `[x]`, `` `x` `` and `'x'` for one.
    fn table(&mut self, name: &ObjectName) {
        let parts = name.0.iter().map(|part| match part {
            ObjectNamePart::Identifier(identifier) => identifier.value.to_lowercase(),
            ObjectNamePart::Function(function) => function.to_string().to_lowercase(),
        });
        let parts: Vec<String> = parts.collect();
        let is_sqlite = matches!(self.dialect, Dialect::Sqlite | Dialect::Generic);
        if let Some(name) = parts.last().filter(|name| is_sqlite && functions::is_behind_a_table(name)) {
            self.call(name);
        }
        self.tables.extend(parts.last().cloned());
        self.tables.insert(parts.join("."));
    }
}

impl Visitor for Seen {
    type Break = String;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<String> {
        self.statements.push(kind::of(statement));
        for name in kind::named(statement) {
            self.table(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        // PostgreSQL's `ONLY x` is the table `x`, and not `only` by another name.
        if let [ObjectNamePart::Identifier(name)] = relation.0.as_slice()
            && name.quote_style.is_none()
            && ["only", "lateral"].iter().any(|word| name.value.eq_ignore_ascii_case(word))
        {
            return ControlFlow::Break(format!("`{name}` is no name of a table there"));
        }
        self.table(relation);
        ControlFlow::Continue(())
    }

    /// A name that is a word of the language: one reader took it for a name, a database may take it for the word, as
    /// in `SELECT a LIKE FROM t`, and then everything around it means something else.
    fn pre_visit_ident(&mut self, name: &Ident) -> ControlFlow<String> {
        // To PostgreSQL `t 'x'` makes a value of the type `t`.
        if name.quote_style == Some('\'') && self.dialect == Dialect::Postgres {
            return ControlFlow::Break(format!("the text '{}' stands in the place of a name", name.value));
        }
        if name.quote_style.is_none() && guard::is_reserved(&name.value) {
            return ControlFlow::Break(format!("`{}` stands in the place of a name", name.value));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return ControlFlow::Break("it has clauses of a database that is not known here".into());
        }
        if !query.locks.is_empty() {
            self.statements.push(SqlStatement {
                effect: SqlEffect::Write,
                bounded: true,
                rows: None,
                words: "locks the rows that it reads".into(),
            });
        }
        let mut parts = vec![&*query.body];
        while let Some(part) = parts.pop() {
            match part {
                SetExpr::Select(select) => {
                    select.projection.iter().try_for_each(|item| self.text_as_name(item))?;
                    if let Some(into) = &select.into {
                        // A table that is made, a variable that is set: a change either way.
                        self.statements.push(kind::structure(format!(
                            "puts what it reads {}",
                            plain(&into.to_string())
                        )));
                    }
                }
                SetExpr::SetOperation { left, right, .. } => parts.extend([&**left, &**right]),
                SetExpr::Table(table) => {
                    let parts = [&table.schema_name, &table.table_name].into_iter().flatten();
                    let parts: Vec<Ident> = parts.map(Ident::new).collect();
                    parts.iter().try_for_each(|part| self.pre_visit_ident(part))?;
                    self.pre_visit_relation(&ObjectName::from(parts))?;
                }
                // Visited by themselves.
                SetExpr::Query(_)
                | SetExpr::Values(_)
                | SetExpr::Insert(_)
                | SetExpr::Update(_)
                | SetExpr::Delete(_)
                | SetExpr::Merge(_) => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.call(&name.to_string());
            }
            TableFactor::Table { args: None, .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. } => {}
            // Rare forms, each of some other database.
            _ => return ControlFlow::Break("it reads from something that is not known here".into()),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        // To SQLite a type is a word, and runs nothing.
        if let Some(name) = types::of_others(expr, self.dialect).filter(|_| self.dialect != Dialect::Sqlite) {
            let words = format!("makes a value of the type `{name}`, which may do anything");
            self.statements.push(SqlStatement { effect: SqlEffect::Exec, bounded: false, rows: None, words });
        }
        match expr {
            Expr::Function(function) => self.call(&function.name.to_string()),
            Expr::BinaryOp { op, .. } if kind::assigns(op) => {
                self.statements.push(SqlStatement {
                    effect: SqlEffect::Exec,
                    bounded: false,
                    rows: None,
                    words: format!("uses the operator `{}`, which may do anything", plain(&op.to_string())),
                });
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Text from outside, as a sentence may show it: one line, nothing invisible, at most 160 characters.
fn plain(text: &str) -> String {
    super::plain(text, 160)
}

#[cfg(test)]
mod tests;
