//! The tables, and every statement on them.

/// `AECL` in ASCII: tells our file from any other SQLite file.
pub(super) const APPLICATION_ID: i64 = 0x4145_434c;
/// The only schema version so far.
pub(super) const VERSION: i64 = 1;

/// The schema. Small rows that are found by their key only have no rowid; rows with large values have one,
/// because a tree without rowid keeps its values in the inner pages.
pub(super) const CREATE: &str = "
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL CHECK (size >= 0),
    checkpoint TEXT
) STRICT;
INSERT INTO head VALUES (1, 0, NULL);

CREATE TABLE entries (position INTEGER PRIMARY KEY, bytes BLOB NOT NULL, run TEXT, action TEXT) STRICT;
CREATE INDEX entries_by_run ON entries (run, position) WHERE run IS NOT NULL;
CREATE INDEX entries_by_action ON entries (action, position) WHERE action IS NOT NULL;

CREATE TABLE facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE payloads (
    commitment BLOB PRIMARY KEY NOT NULL CHECK (length(commitment) = 32),
    salt BLOB NOT NULL CHECK (length(salt) = 32),
    content BLOB NOT NULL,
    subject TEXT NOT NULL
) STRICT;

CREATE TABLE nodes (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER nodes_stay BEFORE UPDATE ON nodes BEGIN SELECT RAISE(ABORT, 'nodes are append-only'); END;
CREATE TRIGGER nodes_remain BEFORE DELETE ON nodes BEGIN SELECT RAISE(ABORT, 'nodes are append-only'); END;
";

pub(super) const HEAD: &str = "SELECT size, checkpoint FROM head WHERE id = 1";
/// The swap is the safety: it changes a row only if the ledger ends where the batch starts.
pub(super) const MOVE_HEAD: &str =
    "UPDATE head SET size = ?2, checkpoint = coalesce(?3, checkpoint) WHERE id = 1 AND size = ?1";
pub(super) const ENDS: &str =
    "SELECT (SELECT min(position) FROM entries), (SELECT max(position) FROM entries)";

pub(super) const FACT: &str = "SELECT value FROM facts WHERE key = ?1";
pub(super) const FACTS_FROM: &str = "SELECT key, value FROM facts WHERE key >= ?1 ORDER BY key LIMIT ?2";
pub(super) const FACTS_AFTER: &str = "SELECT key, value FROM facts WHERE key > ?1 ORDER BY key LIMIT ?2";
pub(super) const SET_FACT: &str =
    "INSERT INTO facts VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
pub(super) const DELETE_FACT: &str = "DELETE FROM facts WHERE key = ?1";

pub(super) const ENTRIES: &str =
    "SELECT position, bytes FROM entries WHERE position >= ?1 ORDER BY position LIMIT ?2";
pub(super) const ENTRIES_OF_RUN: &str =
    "SELECT position, bytes FROM entries WHERE run = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
pub(super) const ENTRIES_OF_ACTION: &str =
    "SELECT position, bytes FROM entries WHERE action = ?1 ORDER BY position";
pub(super) const FOUND_BY: &str =
    "SELECT position, run, action FROM entries WHERE position >= ?1 ORDER BY position LIMIT ?2";
/// Where the trigger is not there that keeps entries as they are.
pub(super) const FIND_BY: &str = "UPDATE entries SET run = ?2, action = ?3 WHERE position = ?1";
pub(super) const ADD_ENTRY: &str = "INSERT INTO entries VALUES (?1, ?2, ?3, ?4)";

pub(super) const PAYLOAD: &str = "SELECT salt, content, subject FROM payloads WHERE commitment = ?1";
pub(super) const COMMITMENTS: &str = "SELECT commitment FROM payloads ORDER BY commitment";
pub(super) const ADD_PAYLOAD: &str =
    "INSERT INTO payloads VALUES (?1, ?2, ?3, ?4) ON CONFLICT (commitment) DO NOTHING";

pub(super) const NODE: &str = "SELECT hash FROM nodes WHERE level = ?1 AND position = ?2";
pub(super) const NODES: &str = "SELECT position, hash FROM nodes WHERE level = ?1 AND position >= ?2 AND position < ?3 \
     ORDER BY position";
/// Nodes that no tree of this size has. Each part of it follows the key, so it takes the same time at any size.
pub(super) const NODES_BEYOND: &str = "
WITH RECURSIVE
    tree(size) AS (SELECT size FROM head WHERE id = 1),
    levels(level) AS (SELECT 0 UNION ALL SELECT level + 1 FROM levels WHERE level < 62)
SELECT nodes.level, nodes.position, tree.size FROM tree CROSS JOIN levels CROSS JOIN nodes
    WHERE nodes.level = levels.level AND nodes.position >= (tree.size >> levels.level)
UNION ALL SELECT nodes.level, nodes.position, tree.size FROM tree CROSS JOIN levels CROSS JOIN nodes
    WHERE nodes.level = levels.level AND nodes.position < 0
UNION ALL SELECT nodes.level, nodes.position, tree.size FROM tree CROSS JOIN nodes WHERE nodes.level > 62
UNION ALL SELECT nodes.level, nodes.position, tree.size FROM tree CROSS JOIN nodes WHERE nodes.level < 0";
/// Where the trigger is not there that keeps nodes as they are.
pub(super) const DELETE_NODE: &str = "DELETE FROM nodes WHERE level = ?1 AND position = ?2";
pub(super) const ADD_NODE: &str = "INSERT INTO nodes VALUES (?1, ?2, ?3)";
/// Where the trigger is not there that keeps nodes as they are.
pub(super) const RENEW_NODE: &str = "INSERT INTO nodes VALUES (?1, ?2, ?3) \
     ON CONFLICT (level, position) DO UPDATE SET hash = excluded.hash";

/// Every statement that runs while a ledger is in use.
#[cfg(test)]
pub(super) const ALL: [&str; 17] = [
    HEAD,
    MOVE_HEAD,
    ENDS,
    FACT,
    FACTS_FROM,
    FACTS_AFTER,
    SET_FACT,
    DELETE_FACT,
    ENTRIES,
    ENTRIES_OF_RUN,
    ENTRIES_OF_ACTION,
    FOUND_BY,
    ADD_ENTRY,
    PAYLOAD,
    ADD_PAYLOAD,
    NODE,
    NODES,
];
