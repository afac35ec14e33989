//! Which clients there are, and where each keeps its list of servers.

use std::path::{Path, PathBuf};

/// A program that speaks MCP and starts servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Client {
    /// Claude Code: `.mcp.json` of the project, and `~/.claude.json`.
    Claude,
    /// Codex: `~/.codex/config.toml`.
    Codex,
    /// Gemini CLI: `.gemini/settings.json` of the project, and the same in the user's directory.
    Gemini,
    /// GitHub Copilot CLI: `~/.copilot/mcp-config.json`, and `.mcp.json` of the project.
    Copilot,
    /// Cursor: `.cursor/mcp.json` of the project, and the same in the user's directory.
    Cursor,
    /// VS Code: `.vscode/mcp.json` of the project.
    Vscode,
}

/// A file, and the objects in it with servers by their names.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub file: PathBuf,
    pub lists: Vec<Vec<String>>,
}

impl Client {
    /// The name as on the command line.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
        }
    }

    /// Whether it asks a hook before it uses a tool of its own.
    pub(in crate::cli) fn has_hooks(self) -> bool {
        self != Self::Vscode
    }

    /// Where its servers are, those of the project first. The first one is made if there is none.
    pub(super) fn places(self, project: &Path, user: Option<&Path>) -> Vec<Place> {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let usual = || vec![list(&["mcpServers"])];
        let of_user = |path: &str| user.map(|user| user.join(path));
        let place = |file: Option<PathBuf>, lists| file.map(|file| Place { file, lists });
        let here = |path: &str| Some(project.join(path));
        let places = match self {
            Self::Claude => {
                let of_project =
                    ["projects", &project.display().to_string(), "mcpServers"].map(str::to_owned).to_vec();
                let lists = [vec![of_project], usual()].concat();
                vec![place(here(".mcp.json"), usual()), place(of_user(".claude.json"), lists)]
            }
            Self::Codex => {
                // Its own variable says where its files are.
                let named = std::env::var_os("CODEX_HOME").map(|dir| PathBuf::from(dir).join("config.toml"));
                vec![place(named.or_else(|| of_user(".codex/config.toml")), vec![list(&["mcp_servers"])])]
            }
            Self::Gemini => {
                let file = ".gemini/settings.json";
                vec![place(here(file), usual()), place(of_user(file), usual())]
            }
            Self::Copilot => {
                let own = copilot_home(user).map(|dir| dir.join("mcp-config.json"));
                vec![place(own, usual()), place(here(".mcp.json"), usual())]
            }
            Self::Cursor => {
                vec![place(here(".cursor/mcp.json"), usual()), place(of_user(".cursor/mcp.json"), usual())]
            }
            Self::Vscode => vec![place(here(".vscode/mcp.json"), vec![list(&["servers"])])],
        };
        places.into_iter().flatten().collect()
    }
}

/// Where Copilot keeps what is the user's.
pub(super) fn copilot_home(user: Option<&Path>) -> Option<PathBuf> {
    // Its own variable says where that is.
    let named = std::env::var_os("COPILOT_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    named.or_else(|| user.map(|user| user.join(".copilot")))
}
