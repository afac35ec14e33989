//! What things are called: to the client, on the server, in the catalogue.

use aecl_kernel::base::id::ActionName;

/// Between server and tool, where one endpoint stands in front of several servers. Server names have no
/// double underscore, so the first one ends the server's name.
const BETWEEN: &str = "__";

/// The entries that AECL makes itself for each server: they read, by other methods than tools are called with.
pub(super) const OWN: [&str; 3] = ["resources/read", "prompts/get", "completion/complete"];

/// The tool of ours by which an agent proposes a plan.
pub(crate) const PLAN_TOOL: &str = "aecl_propose_plan";

/// Whether a tool of this name would stand in the place of an entry or a tool of ours.
#[must_use]
pub fn is_own(tool: &str) -> bool {
    OWN.contains(&tool) || tool == PLAN_TOOL
}

/// The name in the catalogue of a tool, or of `resources/read` and `prompts/get`, of a server.
#[must_use]
pub fn action(server: &str, tool: &str) -> String {
    format!("{server}.{tool}")
}

/// The same, if a catalogue can hold it.
#[must_use]
pub fn action_name(server: &str, tool: &str) -> Option<ActionName> {
    ActionName::new(&action(server, tool)).ok()
}

/// What the client is shown. With exactly one server behind the endpoint these are the original names.
pub(crate) fn shown(servers: &[String], server: &str, name: &str) -> String {
    match servers {
        [_] => name.to_owned(),
        _ => format!("{server}{BETWEEN}{name}"),
    }
}

/// The server and the name on it, of what the client calls by a shown name.
pub(crate) fn meant<'a>(servers: &'a [String], shown: &'a str) -> Option<(&'a str, &'a str)> {
    if let [server] = servers {
        return Some((server, shown));
    }
    let (server, name) = shown.split_once(BETWEEN)?;
    servers.iter().any(|known| known == server).then_some((server, name))
}

/// A name for the server that a command starts, such as `filesystem` for `npx -y
/// @modelcontextprotocol/server-filesystem@1.2 DIR`.
#[must_use]
pub fn of_command(command: &[String]) -> Option<String> {
    const RUNNERS: [&str; 14] = [
        "npx", "bunx", "pnpx", "pnpm", "yarn", "dlx", "uvx", "uv", "pipx", "run", "node", "python",
        "python3", "deno",
    ];
    let meaningful = command.iter().filter(|word| !word.starts_with('-') && !word.contains('='));
    let mut words = meaningful.map(|word| word.trim_end_matches('/'));
    let word = words.find(|word| {
        let base = word.rsplit('/').next().unwrap_or(word);
        !RUNNERS.contains(&base) && !base.is_empty()
    })?;
    let scoped =
        word.strip_prefix('@').map_or(word, |rest| rest.split_once('/').map_or(rest, |(_, name)| name));
    // The last part of a path that says something: `…/server-filesystem/dist/index.js` is `filesystem`.
    let parts = || scoped.rsplit('/').map(bare);
    let mut name = parts().find(|part| !GENERIC.contains(&part.as_str())).or_else(|| parts().next())?;
    for affix in ["mcp-server-", "server-mcp-", "mcp_server_", "server-", "mcp-", "mcp_"] {
        if let Some(rest) = name.strip_prefix(affix).filter(|rest| !rest.is_empty()) {
            name = rest.to_owned();
            break;
        }
    }
    for affix in ["-mcp-server", "-server-mcp", "_mcp_server", "-mcp", "_mcp", "-server", "_server"] {
        if let Some(rest) = name.strip_suffix(affix).filter(|rest| !rest.is_empty()) {
            name = rest.to_owned();
            break;
        }
    }
    clean(&name)
}

/// What files and folders of programs are called, whatever the program.
const GENERIC: [&str; 14] = [
    "", ".", "..", "index", "main", "server", "cli", "app", "dist", "build", "src", "bin", "lib", "__main__",
];

/// A part of a path without its version and ending.
fn bare(part: &str) -> String {
    let part = part.split('@').next().unwrap_or(part);
    let endings = [".js", ".mjs", ".cjs", ".ts", ".py"];
    endings.iter().find_map(|e| part.strip_suffix(e)).unwrap_or(part).to_ascii_lowercase()
}

/// A name for the server at a URL: its host without what all hosts have.
#[must_use]
pub fn of_url(url: &url::Url) -> Option<String> {
    let host = url.host_str()?;
    if host.parse::<std::net::IpAddr>().is_ok() || host == "localhost" {
        return clean(&format!("http-{}", url.port_or_known_default()?));
    }
    let mut labels: Vec<&str> = host.split('.').filter(|l| !matches!(*l, "www" | "mcp" | "api")).collect();
    if labels.len() > 1 {
        labels.pop();
    }
    clean(labels.last()?)
}

/// A server name: letters, digits, `-` and single `_`.
fn clean(text: &str) -> Option<String> {
    let mut name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    while name.contains(BETWEEN) {
        name = name.replace(BETWEEN, "_");
    }
    let name = name.trim_matches(['-', '_']).to_owned();
    (!name.is_empty()).then_some(name)
}

/// Whether this is a name that a server may have.
#[must_use]
pub fn is_server(name: &str) -> bool {
    clean(name).as_deref() == Some(name) && name.len() <= 64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_server_is_named_after_its_command() {
        for (command, name) in [
            ("npx -y @modelcontextprotocol/server-filesystem /tmp", "filesystem"),
            ("npx -y @modelcontextprotocol/server-filesystem@2025.1.1 /tmp", "filesystem"),
            ("uvx mcp-server-git --repository .", "git"),
            ("/usr/bin/python3 -u /opt/tools/orders.py", "orders"),
            ("node ./dist/github-mcp-server.js", "github"),
            ("node /x/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js /tmp", "filesystem"),
            ("python3 -m mcp_server_git", "git"),
            ("node index.js", "index"),
            ("/usr/local/bin/mcp-server-sqlite --db x", "sqlite"),
            ("env A=b some__odd..name", "env"),
        ] {
            assert_eq!(of_command(&words(command)).as_deref(), Some(name), "{command}");
        }
        assert_eq!(of_command(&words("npx -y")), None);
    }

    #[test]
    fn a_server_is_named_after_its_host() {
        for (url, name) in [
            ("https://mcp.linear.app/mcp", "linear"),
            ("http://127.0.0.1:9000/mcp", "http-9000"),
            ("https://api.githubcopilot.com/mcp/", "githubcopilot"),
        ] {
            assert_eq!(of_url(&url.parse().unwrap()).as_deref(), Some(name), "{url}");
        }
    }

    #[test]
    fn the_tool_of_ours_is_no_tool_of_a_server() {
        assert!(is_own(PLAN_TOOL) && is_own("resources/read") && !is_own("propose_plan"));
        // In front of several servers each of theirs has two underscores behind the name of its server.
        assert_eq!(meant(&words("aecl files"), PLAN_TOOL), None);
    }

    #[test]
    fn names_are_told_apart_where_there_are_several() {
        let one = words("files");
        let two = words("files mail");
        assert_eq!(shown(&one, "files", "a__b"), "a__b");
        assert_eq!(meant(&one, "a__b"), Some(("files", "a__b")));
        assert_eq!(shown(&two, "mail", "a__b"), "mail__a__b");
        assert_eq!(meant(&two, "mail__a__b"), Some(("mail", "a__b")));
        assert_eq!(meant(&two, "a__b"), None);
    }
}
