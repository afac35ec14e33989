//! Files that act by themselves: a tool runs them, or does what they say, without anybody asking for it.
//!
//! The one list for what is shown to people, for `--yes` and for what comes out of a cage. It is about the names
//! that tools look for, as a file system may read them: in any case, and with characters that it ignores.

/// What reads a file without being asked to, if something does.
#[must_use]
pub fn special(path: &str) -> Option<&'static str> {
    let folded: Vec<String> = path.split('/').map(folded).collect();
    let parts: Vec<&str> = folded.iter().map(String::as_str).collect();
    let (name, above) = parts.split_last()?;
    git(&parts).or_else(|| {
        let inside = |&(dir, what): &(&str, &'static str)| above.contains(&dir).then_some(what);
        let named = |&(file, what): &(&str, &'static str)| (*name == file).then_some(what);
        let below = |&(place, what): &(&[&str], &'static str)| {
            let has = above.windows(place.len()).any(|window| window == place) || parts.ends_with(place);
            has.then_some(what)
        };
        let ending = |&(end, what): &(&str, &'static str)| name.ends_with(end).then_some(what);
        // A directory of such a name may also come as one thing, as a link.
        let itself = |&(dir, what): &(&str, &'static str)| (*name == dir).then_some(what);
        DIRECTORIES
            .iter()
            .find_map(inside)
            .or_else(|| DIRECTORIES.iter().find_map(itself))
            .or_else(|| FILES.iter().find_map(named))
            .or_else(|| PLACES.iter().find_map(below))
            .or_else(|| ENDINGS.iter().find_map(ending))
    })
}

const SHELL: &str = "a shell runs it when it starts";
const CI: &str = "a build server runs what it says";
const EDITOR: &str = "an editor runs what it says";
const AGENT: &str = "an agent does what it says";
const TOOL: &str = "a tool runs what it says";
const HOOKS: &str = "git runs what it says";
const LOGIN: &str = "it says who may log in, or how";
const DESKTOP: &str = "it is run when somebody logs in";

/// Everything below a directory of this name.
const DIRECTORIES: [(&str, &str); 31] = [
    (".aecl", "AECL's own rules and keys may be there"),
    (".claude", AGENT),
    (".cursor", AGENT),
    (".codex", AGENT),
    (".gemini", AGENT),
    (".windsurf", AGENT),
    (".continue", AGENT),
    (".kiro", AGENT),
    (".roo", AGENT),
    (".opencode", AGENT),
    (".amazonq", AGENT),
    (".vscode", EDITOR),
    (".idea", EDITOR),
    (".zed", EDITOR),
    (".fleet", EDITOR),
    (".vs", EDITOR),
    (".devcontainer", EDITOR),
    (".emacs.d", EDITOR),
    (".vim", EDITOR),
    (".husky", HOOKS),
    (".githooks", HOOKS),
    (".circleci", CI),
    (".buildkite", CI),
    (".woodpecker", CI),
    (".teamcity", CI),
    (".ci", CI),
    (".cargo", TOOL),
    (".mise", TOOL),
    (".ssh", LOGIN),
    (".gnupg", LOGIN),
    (".direnv", SHELL),
];

/// Everything at and below these names in a row.
const PLACES: [(&[&str], &str); 15] = [
    (&[".github", "workflows"], CI),
    (&[".github", "actions"], CI),
    (&[".github", "copilot-instructions.md"], AGENT),
    (&[".github", "instructions"], AGENT),
    (&[".github", "agents"], AGENT),
    (&[".gitea", "workflows"], CI),
    (&[".forgejo", "workflows"], CI),
    (&[".gitlab", "ci"], CI),
    (&[".config", "fish"], SHELL),
    (&[".config", "autostart"], DESKTOP),
    (&[".config", "systemd"], DESKTOP),
    (&[".config", "git"], HOOKS),
    (&[".config", "nvim"], EDITOR),
    (&[".config", "mise"], TOOL),
    (&["library", "launchagents"], DESKTOP),
];

/// Files of this name, wherever they are.
const FILES: [(&str, &str); 74] = [
    (".aecl-run.yaml", "it says what AECL takes away from commands"),
    (".envrc", "direnv runs it when somebody enters the directory"),
    (".autoenv", SHELL),
    (".autoenv.zsh", SHELL),
    (".bashrc", SHELL),
    (".bash_profile", SHELL),
    (".bash_login", SHELL),
    (".bash_logout", SHELL),
    (".bash_aliases", SHELL),
    (".profile", SHELL),
    (".zshrc", SHELL),
    (".zshenv", SHELL),
    (".zprofile", SHELL),
    (".zlogin", SHELL),
    (".zlogout", SHELL),
    (".kshrc", SHELL),
    (".cshrc", SHELL),
    (".tcshrc", SHELL),
    (".login", SHELL),
    (".logout", SHELL),
    (".inputrc", SHELL),
    (".xprofile", DESKTOP),
    (".xinitrc", DESKTOP),
    (".xsession", DESKTOP),
    (".tmux.conf", TOOL),
    (".screenrc", TOOL),
    (".gdbinit", TOOL),
    (".lldbinit", TOOL),
    (".netrc", LOGIN),
    (".npmrc", TOOL),
    (".yarnrc", TOOL),
    (".yarnrc.yml", TOOL),
    (".pnpmfile.cjs", TOOL),
    (".bazelrc", TOOL),
    (".buckconfig", TOOL),
    (".pypirc", TOOL),
    (".rprofile", TOOL),
    (".irbrc", TOOL),
    (".pryrc", TOOL),
    (".psqlrc", TOOL),
    (".sqliterc", TOOL),
    ("mise.toml", TOOL),
    (".mise.toml", TOOL),
    ("sitecustomize.py", "Python runs it when it starts"),
    ("usercustomize.py", "Python runs it when it starts"),
    (".vimrc", EDITOR),
    (".exrc", EDITOR),
    (".nvimrc", EDITOR),
    (".nvim.lua", EDITOR),
    (".emacs", EDITOR),
    (".dir-locals.el", EDITOR),
    (".devcontainer.json", EDITOR),
    (".gitlab-ci.yml", CI),
    (".gitlab-ci.yaml", CI),
    (".travis.yml", CI),
    (".drone.yml", CI),
    (".woodpecker.yml", CI),
    (".woodpecker.yaml", CI),
    (".appveyor.yml", CI),
    ("appveyor.yml", CI),
    ("azure-pipelines.yml", CI),
    ("bitbucket-pipelines.yml", CI),
    ("cloudbuild.yaml", CI),
    ("jenkinsfile", CI),
    (".pre-commit-config.yaml", HOOKS),
    ("lefthook.yml", HOOKS),
    (".mcp.json", AGENT),
    ("mcp.json", AGENT),
    (".claude.json", AGENT),
    (".cursorrules", AGENT),
    (".windsurfrules", AGENT),
    ("claude.md", AGENT),
    ("agents.md", AGENT),
    ("gemini.md", AGENT),
];

/// Files whose names end so.
const ENDINGS: [(&str, &str); 2] = [(".code-workspace", EDITOR), (".pth", "Python runs lines of it")];

/// What git runs, or reads in order to know what to run. Its objects and branches are no such thing.
fn git(parts: &[&str]) -> Option<&'static str> {
    let name = parts.last()?;
    if matches!(*name, ".gitmodules" | ".gitconfig" | ".gitattributes") {
        return Some(HOOKS);
    }
    let at = parts.iter().position(|part| *part == ".git" || *part == "git~1" || part.ends_with(".git"))?;
    let inside = parts.get(at + 1..).unwrap_or_default();
    // `.git` itself may be a file or a link that names another directory.
    let acts = inside.is_empty()
        || inside.contains(&"hooks")
        || matches!(
            *name,
            "config" | "config.worktree" | "commondir" | "gitdir" | "alternates" | "attributes"
        );
    acts.then_some(HOOKS)
}

/// A name as the most forgiving file system reads it: without case, without what is not seen, without dots and
/// spaces at its end.
fn folded(name: &str) -> String {
    let seen = name.chars().filter(|c| !is_ignored(*c));
    let folded: String = seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    folded.trim_end_matches(['.', ' ']).to_owned()
}

/// Characters that some file systems leave out when they compare names, and that people do not see.
pub(super) fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_by_itself_is_known_under_each_of_its_names() {
        for path in [
            ".git/hooks/pre-commit",
            ".git/config",
            ".git/info/attributes",
            ".git/objects/info/alternates",
            ".git",
            "vendor/x/.git/modules/y/hooks/post-checkout",
            "bare.git/hooks/update",
            ".GIT/Hooks/pre-commit",
            ".g\u{200c}it/hooks/pre-commit",
            ".git /hooks/x",
            ".git./config",
            "git~1/config",
            ".envrc",
            "deep/down/.envrc",
            ".EnvRC",
            ".bashrc",
            ".github/workflows/ci.yml",
            ".github/workflows",
            ".vscode/tasks.json",
            ".vscode",
            ".mcp.json",
            ".claude/settings.json",
            "CLAUDE.md",
            ".aecl/policy/rules/own.cedar",
            ".config/fish/config.fish",
            "venv/lib/python3/site-packages/x.pth",
            ".\u{212a}iro/hooks.json",
            ".vſcode/tasks.json",
        ] {
            assert!(special(path).is_some(), "{path}");
        }
        for path in [
            "src/main.rs",
            ".git/objects/aa/bb",
            ".git/refs/heads/main",
            ".git/index",
            ".git/info/refs",
            ".git/objects/info/commit-graph",
            ".github/dependabot.yml",
            ".gitignore",
            "hooks/useState.ts",
            "config",
            "docs/envrc.md",
            "github/workflows/x",
        ] {
            assert_eq!(special(path), None, "{path}");
        }
    }
}
