#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use super::*;
use serde_json::json;

#[test]
fn a_word_of_change_anywhere_in_a_name_is_no_read() {
    for name in [
        "get_and_delete_all",
        "getAndDelete",
        "get-and-delete",
        "GetHTTPAndDelete",
        "get2delete",
        "getanddelete",
        "fetch_then_remove",
        "read_or_create",
        "find_or_insert",
        "search_and_replace",
        "list_and_close",
        "get_or_post",
        "check_out",
        "check_in_guest",
        "log_workout",
        "fetch_purge_queue",
        "query_update",
        "show_recreate",
    ] {
        assert!(!name_reads(name), "{name}");
    }
    for name in [
        "get",
        "list_pull_requests",
        "get_release",
        "list_deleted",
        "getUpdatedRecords",
        "list_open_issues",
        "get_attachments",
        "search_assignable_users",
        "check_status",
        "log",
        "diff_staged",
        "status",
        "get_creator",
        "list_commits",
        "retrieve-a-block",
    ] {
        assert!(name_reads(name), "{name}: {:?}", name_changes(name));
    }
}

#[test]
fn a_description_that_says_so_makes_a_change() {
    for text in [
        "Deletes the message.",
        "Gets the next message and deletes it.",
        "Returns the queue, then clears it",
        "Fetches mail. It also marks them as read",
        "Reads a job; the job is removed afterwards",
        "Get or create a user",
        "List everything\n- Removes what is old",
        "Will overwrite the file",
        "This tool can update the record",
        "Used to modify settings",
        "Reads the counter & increments it",
        "Read the flag, and this will automatically reset it",
        "Create/update an entry",
    ] {
        assert!(text_changes(text).is_some(), "{text}");
    }
    for text in [
        "Lists deleted files.",
        "Returns files that were removed.",
        "Read a file. Does not modify anything.",
        "Gets metadata including creation time, last modified time and permissions",
        "Call this before you create a page",
        "Get the combined status of all status checks for a pull request",
        "Search for issues, comments, and labels",
        "Use this when you need to write a query",
        "Never deletes anything",
        "",
    ] {
        assert_eq!(text_changes(text), None, "{text}");
    }
}

#[test]
fn an_argument_that_chooses_a_change_makes_one() {
    let of = |properties| argument_changes(&json!({ "type": "object", "properties": properties }));
    for properties in [
        json!({"delete_after": {"type": "boolean"}}),
        json!({"operation": {"enum": ["get", "set", "delete"]}}),
        json!({"http_method": {"enum": ["GET", "POST"]}}),
    ] {
        assert!(of(properties.clone()).is_some(), "{properties}");
    }
    for properties in [
        json!({"createdAfter": {"type": "boolean"}}),
        json!({"delete": {"type": "string"}}),
        json!({"operation": {"enum": ["sum", "mean"]}}),
        json!({"include_deleted": {"type": "boolean"}}),
    ] {
        assert_eq!(of(properties.clone()), None, "{properties}");
    }
}

/// Definitions of fourteen published servers, listed with them, each judged by hand: server, name without the
/// server's own, what it is, and its description. The lists of words were written before these were looked at; then
/// `retrieve` and `explain` were added, and the words that descriptions say to the model.
#[test]
fn no_change_of_published_servers_is_taken_for_a_read() {
    let all: Vec<[String; 4]> = serde_json::from_str(include_str!("tools.json")).unwrap();
    let (mut begins, mut asks) = (0, Vec::new());
    for [server, name, is, description] in &all {
        let reads = name_reads(name) && text_changes(description).is_none();
        if is == "change" {
            assert!(!reads, "`{name}` of `{server}` changes something");
        } else if name_reads(name) {
            begins += 1;
            if !reads {
                asks.push(name.as_str());
            }
        }
    }
    assert!(all.len() > 300 && begins > 110, "{} definitions, {begins} begin as reads", all.len());
    // What asks although it only reads: a nuisance that is known by name.
    assert!(asks.len() * 20 <= begins, "{} of {begins}: {asks:?}", asks.len());
}

#[test]
fn what_executes_a_reading_of_data_reads() {
    assert_eq!(text_changes("Execute a SELECT query on the SQLite database"), None);
    assert_eq!(text_changes("Executes a read-only query"), None);
    for text in [
        "Execute an UPDATE query on the database",
        "Execute a query",
        "Execute a SELECT query and drop the table",
    ] {
        assert!(text_changes(text).is_some(), "{text}");
    }
}
