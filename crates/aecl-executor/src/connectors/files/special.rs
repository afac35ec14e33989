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
    git(&parts).or_else(|| others(&parts)).or_else(|| {
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
            .or_else(|| FAMILIES.iter().find_map(|family| of_family(name, family)))
    })
}

fn of_family(name: &str, (first, ends, what): &(&str, &[&str], &'static str)) -> Option<&'static str> {
    let rest = name.strip_prefix('.').unwrap_or(name).strip_prefix(first)?;
    let between = ends.iter().find_map(|end| rest.strip_suffix(end))?;
    (between.is_empty() || between.starts_with(['.', '-', '_'])).then_some(*what)
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
const DIRECTORIES: [(&str, &str); 74] = [
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
    (".agent", AGENT),
    (".agents", AGENT),
    (".amp", AGENT),
    (".antigravity", AGENT),
    (".augment", AGENT),
    (".clinerules", AGENT),
    (".crush", AGENT),
    (".factory", AGENT),
    (".goose", AGENT),
    (".junie", AGENT),
    (".kilocode", AGENT),
    (".qwen", AGENT),
    (".serena", AGENT),
    (".trae", AGENT),
    (".warp", AGENT),
    (".helix", EDITOR),
    (".metals", EDITOR),
    (".nova", EDITOR),
    (".nvim", EDITOR),
    (".run", EDITOR),
    (".theia", EDITOR),
    (".vscode-server", EDITOR),
    (".cursor-server", EDITOR),
    (".azure-pipelines", CI),
    (".builds", CI),
    (".earthly", CI),
    (".harness", CI),
    (".semaphore", CI),
    (".sourcehut", CI),
    (".tekton", CI),
    (".bundle", TOOL),
    (".config", TOOL),
    (".devbox", TOOL),
    (".devenv", TOOL),
    (".moon", TOOL),
    (".mvn", TOOL),
    (".proto", TOOL),
    (".rtx", TOOL),
    (".idx", EDITOR),
    (".codesandbox", EDITOR),
    (".ropeproject", EDITOR),
    ("zuul.d", CI),
    (".zuul.d", CI),
];

/// Everything at and below these names in a row.
const PLACES: [(&[&str], &str); 20] = [
    (&[".github", "workflows"], CI),
    (&[".github", "actions"], CI),
    (&[".github", "copilot-instructions.md"], AGENT),
    (&[".github", "instructions"], AGENT),
    (&[".github", "agents"], AGENT),
    (&[".gitea", "workflows"], CI),
    (&[".forgejo", "workflows"], CI),
    (&[".gitlab", "ci"], CI),
    (&["library", "launchagents"], DESKTOP),
    (&[".yarn", "releases"], TOOL),
    (&[".yarn", "plugins"], TOOL),
    (&[".yarn", "sdks"], TOOL),
    (&[".gradle", "init.d"], TOOL),
    (&[".gradle", "init.gradle"], TOOL),
    (&[".gradle", "gradle.properties"], TOOL),
    (&[".local", "bin"], SHELL),
    (&[".local", "share", "applications"], DESKTOP),
    (&[".github", "hooks"], AGENT),
    (&[".github", "dependabot.yml"], CI),
    (&[".github", "dependabot.yaml"], CI),
];

/// Files of this name, wherever they are.
const FILES: [(&str, &str); 160] = [
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
    (".pre-commit-config.yaml", HOOKS),
    (".mcp.json", AGENT),
    ("mcp.json", AGENT),
    (".claude.json", AGENT),
    (".cursorrules", AGENT),
    (".windsurfrules", AGENT),
    ("agent.md", AGENT),
    ("qwen.md", AGENT),
    ("crush.md", AGENT),
    ("warp.md", AGENT),
    ("opencode.json", AGENT),
    ("opencode.jsonc", AGENT),
    ("crush.json", AGENT),
    (".crush.json", AGENT),
    (".aider.conf.yml", AGENT),
    (".augment-guidelines", AGENT),
    (".continuerules", AGENT),
    (".goosehints", AGENT),
    (".kilocodemodes", AGENT),
    (".roomodes", AGENT),
    (".roorules", AGENT),
    (".rules", AGENT),
    ("_vimrc", EDITOR),
    ("_exrc", EDITOR),
    ("_gvimrc", EDITOR),
    (".gvimrc", EDITOR),
    (".lvimrc", EDITOR),
    (".local.vimrc", EDITOR),
    (".kakrc", EDITOR),
    (".dir-locals-2.el", EDITOR),
    (".projectile", EDITOR),
    (".gitpod.yml", EDITOR),
    (".cirrus.yml", CI),
    (".cirrus.star", CI),
    (".build.yml", CI),
    (".drone.star", CI),
    (".onedev-buildspec.yml", CI),
    (".travis.yaml", CI),
    (".concourse.yml", CI),
    ("appveyor.yaml", CI),
    ("azure-pipelines.yaml", CI),
    ("buildspec.yml", CI),
    ("buildspec.yaml", CI),
    ("cloudbuild.yml", CI),
    ("cloudbuild.json", CI),
    ("codefresh.yml", CI),
    ("netlify.toml", CI),
    ("vercel.json", CI),
    ("wercker.yml", CI),
    (".tool-versions", TOOL),
    (".asdfrc", TOOL),
    (".rtx.toml", TOOL),
    (".watchmanconfig", TOOL),
    (".terraformrc", TOOL),
    (".curlrc", TOOL),
    (".wgetrc", TOOL),
    (".pdbrc", TOOL),
    (".perldb", TOOL),
    (".rdbgrc", TOOL),
    (".guile", TOOL),
    (".pythonstartup", TOOL),
    (".bazeliskrc", TOOL),
    (".xonshrc", SHELL),
    (".direnvrc", SHELL),
    (".pam_environment", SHELL),
    (".hgsub", HOOKS),
    (".pre-commit-config.yml", HOOKS),
    ("codemagic.yml", CI),
    ("codemagic.yaml", CI),
    ("bitrise.yml", CI),
    ("bitrise.yaml", CI),
    ("screwdriver.yml", CI),
    ("screwdriver.yaml", CI),
    ("zuul.yml", CI),
    ("zuul.yaml", CI),
    (".zuul.yml", CI),
    (".zuul.yaml", CI),
    ("buddy.yml", CI),
    ("buddy.yaml", CI),
    ("semaphore.yml", CI),
    ("semaphore.yaml", CI),
    ("appspec.yml", CI),
    ("appspec.yaml", CI),
    (".overcommit.yml", HOOKS),
    ("hk.pkl", HOOKS),
    ("prek.toml", HOOKS),
    ("grumphp.yml", HOOKS),
    ("grumphp.yaml", HOOKS),
    ("grumphp.yml.dist", HOOKS),
    ("captainhook.json", HOOKS),
    (".ghci", TOOL),
    (".iex.exs", TOOL),
    (".ocamlinit", TOOL),
    (".renviron", TOOL),
    (".latexmkrc", TOOL),
    ("latexmkrc", TOOL),
    (".replit", EDITOR),
    (".pylintrc", EDITOR),
    ("pylintrc", EDITOR),
];

/// Files whose names end so.
const ENDINGS: [(&str, &str); 4] = [
    (".code-workspace", EDITOR),
    (".sublime-project", EDITOR),
    (".desktop", DESKTOP),
    (".pth", "Python runs lines of it"),
];

/// Files of this name with this ending, also with words between: `CLAUDE.local.md`, `lefthook-local.yml`.
const FAMILIES: [(&str, &[&str], &str); 11] = [
    ("claude", &[".md"], AGENT),
    ("agents", &[".md"], AGENT),
    ("gemini", &[".md"], AGENT),
    ("lefthook", &[".yml", ".yaml", ".toml", ".json", ".jsonc"], HOOKS),
    ("mise", &[".toml"], TOOL),
    ("jenkinsfile", &[""], CI),
    ("huskyrc", &[""], HOOKS),
    ("lintstagedrc", &[""], HOOKS),
    ("lint-staged.config", &[".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"], HOOKS),
    ("eslintrc", &[".js", ".cjs"], EDITOR),
    ("eslint.config", &[".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"], EDITOR),
];

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

/// What other keepers of versions run, or read in order to know what to run.
fn others(parts: &[&str]) -> Option<&'static str> {
    let (name, above) = parts.split_last()?;
    let is_one = |part: &&str| matches!(*part, ".hg" | ".sl" | ".jj" | ".bzr" | "_darcs" | ".pijul");
    // The directory itself may come as a link.
    let settings = ["hgrc", "hgrc-not-shared", "sharedpath", "config", "config.toml", "branch.conf", "prefs"];
    let acts = is_one(name)
        || (above.iter().any(is_one)
            && (settings.contains(name) || above.iter().any(|part| matches!(*part, "hooks" | "prefs"))));
    (acts || *name == ".hgrc").then_some("a version control runs what it says")
}

/// A name as the most forgiving file system reads it: without case, without what is not seen, without dots and
/// spaces at its end.
pub(super) fn folded(name: &str) -> String {
    let seen = name.chars().filter(|c| !is_ignored(*c));
    let folded: String = seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    folded.trim_end_matches(['.', ' ']).to_owned()
}

/// The same of each name on a path.
pub(super) fn folded_path(path: &str) -> String {
    path.split('/').map(folded).collect::<Vec<_>>().join("/")
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
            ".hg/hgrc",
            "sub/.hg/hgrc-not-shared",
            ".sl/config",
            "CLAUDE.local.md",
            "AGENTS.override.md",
            "docs/QWEN.md",
            ".lefthook-local.yaml",
            "mise.ci.toml",
            "Jenkinsfile.deploy",
            ".aider.conf.yml",
            ".clinerules",
            ".agents/skills/x/SKILL.md",
            ".qwen/settings.json",
            "opencode.json",
            ".cirrus.yml",
            "buildspec.yml",
            ".builds/x.yml",
            ".semaphore/semaphore.yml",
            "x.sublime-project",
            ".dir-locals-2.el",
            "_vimrc",
            ".helix/languages.toml",
            ".config/nextest.toml",
            "codemagic.yaml",
            "bitrise.yml",
            "screwdriver.yaml",
            "zuul.yaml",
            "zuul.d/jobs.yaml",
            "buddy.yml",
            "semaphore.yml",
            ".cirrus.star",
            "appspec.yml",
            ".github/dependabot.yml",
            ".overcommit.yml",
            "hk.pkl",
            "prek.toml",
            "grumphp.yml",
            "captainhook.json",
            ".huskyrc",
            ".huskyrc.json",
            ".lintstagedrc",
            ".lintstagedrc.mjs",
            ".ghci",
            ".iex.exs",
            ".ocamlinit",
            ".Renviron",
            ".latexmkrc",
            "latexmkrc",
            ".idx/dev.nix",
            ".codesandbox/tasks.json",
            ".replit",
            ".ropeproject/config.py",
            ".eslintrc.js",
            ".eslintrc.cjs",
            "eslint.config.mjs",
            "eslint.config.js",
            ".pylintrc",
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
            ".gitignore",
            "docs/semaphore.md",
            "src/eslintrc.ts",
            "hooks/useState.ts",
            "config",
            "docs/envrc.md",
            "github/workflows/x",
            ".hg/store/data/x.i",
            "src/agents.rs",
            "agentsmith.md",
            "docs/claudette.md",
            "mise.toml.md",
        ] {
            assert_eq!(special(path), None, "{path}");
        }
    }
}
