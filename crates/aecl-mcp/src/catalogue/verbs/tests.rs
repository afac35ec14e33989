#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use super::*;
use serde_json::{Value, json};

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
        "search_and_nuke",
        "get_all_then_xyz",
        "get_and_wire_funds",
        "get_shred",
        "get_del",
        "get_eval",
        "read_eval",
        "get_shell",
        "get_rid_of_it",
        "get_d\u{200b}elete",
        "get_ｄｅｌｅｔｅ",
        "get_dél\u{e8}te",
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
        "get_users_and_groups",
        "search_and_list",
        "getTermsAndConditions",
        "list_merge_requests",
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
        "Gets messages. Deletion happens afterwards.",
        "Gets messages and performs removal",
        "Reads messages, deleting them",
        "Frees space by dropping what is old",
        "Gets and d\u{200b}eletes messages",
        "Gets and del\u{ad}etes messages",
        "Gets and ｄｅｌｅｔｅｓ messages",
        "Gets and d\u{435}letes messages",
        "Gets and nukes messages",
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
        "Returns the date of creation, modification and deletion",
        "Useful for creating and updating pages",
        "⚠\u{fe0f} Lists at most 50 items",
        "",
    ] {
        assert_eq!(text_changes(text), None, "{text}");
    }
    assert!(text_changes(&"a ".repeat(40_000)).is_some());
    for title in ["Get and delete", "GetAndDelete", "Delete messages", "get_and_delete"] {
        assert!(title_changes(title).is_some(), "{title}");
    }
    for title in ["Get messages", "GetMessages", "List deleted files", "Pull request", "Print environment"] {
        assert_eq!(title_changes(title), None, "{title}");
    }
}

#[test]
fn an_argument_that_chooses_a_change_makes_one() {
    let flag = json!({"type": "boolean"});
    let choice = json!({"enum": ["list", "delete"]});
    let of = |properties: Value| json!({ "type": "object", "properties": properties });
    for schema in [
        of(json!({"delete_after": flag})),
        of(json!({"delete": {"type": "string"}})),
        of(json!({"delete_ids": {"type": "array", "items": {"type": "string"}}})),
        of(json!({"message_delete": flag})),
        of(json!({"auto_close": flag})),
        of(json!({"mark_as_read": flag})),
        of(json!({"deleteafter": flag})),
        of(json!({"d\u{200b}elete": flag})),
        of(json!({"delete_after": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}})),
        of(json!({"operation": {"enum": ["get", "set", "delete"]}})),
        of(json!({"http_method": {"enum": ["GET", "POST"]}})),
        of(json!({"operation": {"oneOf": [{"const": "list"}, {"const": "delete"}]}})),
        of(json!({"operation": {"const": "delete"}})),
        of(json!({"mode": {"type": "string", "default": "overwrite"}})),
        of(json!({"mode": {"type": "string", "examples": ["read", "delete"]}})),
        of(json!({"whatever": {"type": "string", "pattern": "^(read|delete)$"}})),
        of(json!({"operations": {"type": "array", "items": choice}})),
        of(json!({"operations": {"type": "array", "prefixItems": [choice]}})),
        of(json!({"whatever": choice})),
        of(json!({"whatever": {"enum": ["keep", "read_and_delete"]}})),
        of(json!({"operation": {"type": "string"}})),
        of(json!({"command": {}})),
        of(json!({"commands": {"type": "array", "items": {"type": "string"}}})),
        of(json!({"options": of(json!({"delete_after": flag}))})),
        of(json!({"x": {"type": "array", "items": of(json!({"delete_after": flag}))}})),
        of(json!({"x": {"additionalProperties": choice}})),
        of(json!({"x": flag, "y": {"title": "Delete after reading"}})),
        of(json!({"x": {"type": "boolean", "description": "Deletes the message after reading"}})),
        of(json!({"x": {"type": "boolean", "description": "If true, marks messages as read"}})),
        of(json!({"x": {"type": "boolean", "description": "When set, the message is deleted"}})),
        of(json!({"x": {"type": "boolean", "description": "Whether to remove it from the queue"}})),
        json!({"patternProperties": {"^delete$": flag}}),
        json!({"required": ["delete_after"], "additionalProperties": true}),
        json!({"propertyNames": {"enum": ["id", "delete"]}}),
        json!({"title": "DeleteMessagesArgs"}),
        json!({"description": "deletes the message"}),
        json!({"allOf": [of(json!({"delete_after": flag}))]}),
        json!({"if": {}, "then": of(json!({"delete_after": flag}))}),
        json!({"dependentSchemas": {"id": of(json!({"delete_after": flag}))}}),
        json!({"properties": {"x": {"$ref": "#/$defs/o"}}, "$defs": {"o": of(json!({"delete_after": flag}))}}),
        json!({"$defs": {"default": of(json!({"delete_after": flag}))}}),
        json!({"properties": {"op": {"$ref": "#/$defs/o"}}, "$defs": {"o": {"enum": ["post", "pull"]}}}),
        json!({"properties": {"op": {"$ref": "#/$defs/o"}}, "$defs": {"o": {"$ref": "#/$defs/o"}}}),
        (0..80).fold(json!({}), |inner, _| json!({ "items": inner })),
        json!({"prefixItems": vec![json!({}); 20_000]}),
    ] {
        let found = argument_changes(&schema);
        assert!(found.is_some(), "{}", schema.to_string().chars().take(200).collect::<String>());
    }
    for schema in [
        of(json!({"createdAfter": flag})),
        of(json!({"operation": {"enum": ["sum", "mean"]}})),
        of(json!({"operation": {"type": "integer"}})),
        of(json!({"include_deleted": flag})),
        of(json!({"permission": {"enum": ["read", "write", "admin"]}})),
        of(json!({"event_types": {"type": "array", "items": {"enum": ["create", "update"]}}})),
        of(json!({"state": {"enum": ["open", "closed"], "default": "open"}})),
        of(json!({"merge_request_iid": {"type": "integer"}, "with_merge_requests_enabled": flag})),
        of(json!({"assignee_id": {"type": "string"}})),
        of(json!({"stage_id": {"type": "string", "title": "Stage Id"}})),
        of(json!({"update_time": {"type": "string", "description": "Update time, such as 2026-01-01"}})),
        of(json!({"label": {"type": "string", "description": "Label to filter by"}})),
        of(json!({"closed": {"type": "boolean", "description": "Whether the issue is closed"}})),
        of(json!({"wide": {"type": "boolean", "description": "Enable verbose output, and hide details"}})),
        of(json!({"title": {"type": "string", "title": "Title", "description": "The title"}})),
    ] {
        assert_eq!(argument_changes(&schema), None, "{schema}");
    }
}

#[test]
fn a_description_that_begins_with_a_verb_that_nobody_knows_is_no_reads() {
    for text in [
        "Casts the vote.",
        "Corrects the file in place.",
        "Pulls the latest code and checks it out over the working tree",
        "Zeroes all counters.",
        "Evaluates an expression in the browser",
        "Obtains the consent of the customer",
        "Tool to cast a vote",
        "A tool that casts the vote",
        "This tool deposits a check",
        "Lists the item for sale",
        "Searches for flights and holds the seat",
        "Gets the vote, then casts it",
        "Finds the card and charges the customer",
        "Query the counters then zero them",
        "Fetches mail, archives it",
        "Gets everything back to zero",
        "Get rid of it",
        "Check out a book",
        "Check a guest in",
        "Vote | Casts it",
        "The list that is shortened by this",
        "Execute an SQL statement",
        "Execute a plan",
        "Run a select few deletions",
        "Stimmt ab.",
        "...",
    ] {
        assert!(!text_reads(text), "{text}");
    }
    for text in [
        "",
        "Gets the weather.",
        "Notion | Retrieve a user",
        "This tool retrieves the list of artifacts",
        "Tool to look up a word",
        "Allows you to search the web",
        "Use this to get a list of users and their roles",
        "Recursively search for files",
        "The current weather of a city.",
        "A list of users",
        "Queries the database and returns the rows",
        "Lists pages, comments and the labels of each",
        "Execute a SELECT query on the SQLite database",
        "Run a read-only SQL query",
    ] {
        assert!(text_reads(text), "{text}");
    }
    for name in ["get_quote_accept", "check_out", "get_and_cast"] {
        assert!(!name_reads(name), "{name}");
    }
}

/// Definitions of fourteen published servers, listed with them, each judged by hand: server, name without the
/// server's own, what it is, and its description. The lists of words were written before these were looked at; then
/// `retrieve` and `explain` were added, and the words that descriptions say to the model.
#[test]
fn no_change_of_published_servers_is_taken_for_a_read() {
    let all: Vec<[String; 4]> = serde_json::from_str(include_str!("tools.json")).unwrap();
    let (mut begins, mut behind, mut asks) = (0, 0, Vec::new());
    for [server, name, is, description] in &all {
        let reads = says_it_reads(name, description, false) && text_changes(description).is_none();
        if is == "change" {
            assert!(!reads, "`{name}` of `{server}` changes something");
        } else if !name_reads(name) {
            behind += usize::from(reads);
        } else {
            begins += 1;
            if !reads {
                asks.push(name.as_str());
            }
        }
    }
    assert!(all.len() > 300 && begins > 110, "{} definitions, {begins} begin as reads", all.len());
    // What asks although it only reads: a nuisance that is known by name.
    assert!(asks.len() * 16 <= begins, "{} of {begins}: {asks:?}", asks.len());
    // Those with the word of reading behind others.
    assert!(behind >= 3, "{behind}");
}

#[test]
fn what_executes_a_reading_of_data_reads() {
    assert_eq!(text_changes("Execute a SELECT query on the SQLite database"), None);
    assert_eq!(text_changes("Executes a read-only query"), None);
    let asks = |about: &str| {
        argument_changes(&json!({"properties": {"query": {"type": "string", "description": about}}}))
    };
    assert_eq!(asks("SELECT SQL query to execute"), None);
    for text in [
        "Execute an UPDATE query on the database",
        "Execute a query",
        "Execute a SELECT query and drop the table",
    ] {
        assert!(text_changes(text).is_some(), "{text}");
    }
}
