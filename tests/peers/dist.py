"""What is handed out, installed into an empty environment by an ordinary user, and the five minutes from there to a call
that a person has let through.

`cargo xtask dist` packs the program that cargo has built for the tests, without its symbols; the programs that are handed out are
built otherwise and packed the same.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from report import check, end, skip  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aecl-dist-", dir="/tmp"))
OUT = WORK / "out"
HOME = WORK / "home"


def run(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **more)


def dist(*words):
    return run("cargo", "xtask", "dist", *words, cwd=ROOT)


def said(ran):
    return f"{ran.stdout[-1500:]}\n{ran.stderr[-1500:]}"


program = WORK / "aecl"
stripped = run("strip", "-o", program, os.environ["AECL_BIN"])
if not check("the program without its symbols", stripped.returncode == 0, said(stripped)):
    end()
made = dist("--program", program, "--out", OUT)
if not check("packages are made", made.returncode == 0, said(made)):
    end()

sums = dict(reversed(line.split("  ")) for line in (OUT / "SHA256SUMS").read_text().splitlines())
names = {path.name for path in OUT.iterdir()} - {"SHA256SUMS"}
check("each package has its sum, and no other", set(sums) == names, f"{sorted(sums)} {sorted(names)}")
for name, digest in sorted(sums.items()):
    check(f"sum of {name}", hashlib.sha256((OUT / name).read_bytes()).hexdigest() == digest)

archive = next(OUT.glob("aecl-*-linux-*.tar.gz"))
with tarfile.open(archive) as tar:
    members = {pathlib.PurePath(member.name).name: member for member in tar.getmembers() if member.isfile()}
    check("archive: program, licence, readme", {"aecl", "LICENSE", "README.md"} <= set(members), sorted(members))
    check("archive: the program may be started, by anybody", members["aecl"].mode == 0o755, oct(members["aecl"].mode))
    owners = {(member.uid, member.gid, member.mtime) for member in tar.getmembers()}
    check("archive: nobody's files, of one time", len(owners) == 1 and next(iter(owners))[:2] == (0, 0), owners)
wheel = next(OUT.glob("*.whl"))
listed = zipfile.ZipFile(wheel).namelist()
check("wheel: the library and the command", {"aecl/py.typed", "aecl/__init__.py"} <= set(listed)
      and sum(name.endswith(".data/scripts/aecl") for name in listed) == 1, listed)
check("wheel: no tests", not any("test" in name for name in listed), listed)

# Twice the same, from the same commit: what is packed depends on what goes in.
again = dist("--program", program, "--out", WORK / "again")
same = {line for line in (WORK / "again/SHA256SUMS").read_text().splitlines()} if again.returncode == 0 else set()
check("packages are the same when they are made again", same == set((OUT / "SHA256SUMS").read_text().splitlines()), same)

# Bad words.
for words, wanted in [
    (["--program", ROOT / "README.md", "--out", WORK / "bad"], "is no program that runs here"),
    (["--program", program, "--target", "x86_64-unknown-linux-gnu"], "say one of them"),
    (["--target", "sparc-sun-solaris"], "there is no package for `sparc-sun-solaris`"),
    (["--program", program, "--out", ROOT / "docs"], "holds something else"),
    (["--sign"], "does not know `--sign`"),
]:
    ran = dist(*words)
    check(f"dist says what is wrong: {wanted}", ran.returncode == 2 and wanted in ran.stderr, said(ran))
check("nothing was emptied", (ROOT / "docs/start.md").exists())

# An ordinary user in an empty place, with a Python that such a one may start.
as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
clean = {"HOME": str(HOME), "PATH": "/usr/local/bin:/usr/bin:/bin", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
HOME.mkdir()
for path in (WORK, HOME):
    path.chmod(0o755)
if as_user:
    os.chown(HOME, NOBODY, NOBODY)
shutil.copy(wheel, HOME)


def user(*command, **more):
    return run(*as_user, *command, cwd=HOME, env=clean, **more)


def can(python):
    return user(python, "-c", "import ensurepip, venv").returncode == 0


pythons = [path for path in ("/usr/bin/python3", "/usr/local/bin/python3", shutil.which("python3")) if path]
python = next((path for path in pythons if os.path.exists(path) and can(path)), None)
if python is None:
    skip("packages installed by an ordinary user", "no Python with `venv` is there that one may start; root installs them")
    as_user, python = [], sys.executable

venv = user(python, "-m", "venv", "env")
check("an empty environment", venv.returncode == 0, said(venv))
installed = user("env/bin/pip", "install", "--quiet", HOME / wheel.name)
check("pip installs the wheel", installed.returncode == 0, said(installed))
version = user("env/bin/aecl", "--version")
check("the command is there", version.returncode == 0 and version.stdout.startswith("aecl "), said(version))
begun = user("env/bin/aecl", "init", "--example", "finance")
check("`aecl init`", begun.returncode == 0, said(begun))

# The user's own lines are those of the library's README.
text = (ROOT / "sdk/python/README.md").read_text()
code = text.split("```python\n", 1)[1].split("```", 1)[0]
lines = [line for line in code.splitlines() if line.strip()]
check("at most ten lines of code", len(lines) <= 10, len(lines))
(HOME / "agent.py").write_text(code)
held = user("env/bin/python", "agent.py")
check("the call is held", held.returncode == 0 and "nothing was executed" in held.stdout, said(held))


def approve():
    asked = user("env/bin/aecl", "approvals", "list", "--json")
    listed = json.loads(asked.stdout or "{}").get("approvals", [])
    waiting = [one for one in listed if one["state"] == "pending"]
    check("one question", len(waiting) == 1, said(asked))
    approval = waiting[0]["id"] if waiting else "apr_none"
    return user("env/bin/aecl", "approvals", "approve", approval, "--reason", "checked", "--confirm", "or-7")


answered = approve()
check("a person says yes", answered.returncode == 0, said(answered))

# The yes is for that run. Where the agent keeps its ticket, the same step happens after it, in another process.
tool, run_of_it = code.split("with aecl.open_run", 1)
(HOME / "tool.py").write_text(tool)
(HOME / "asks.py").write_text("""import json, aecl, tool
run = aecl.open_run(agent="assistant", goal="Pay the invoices that are due.")
try:
    run.guard(tool.transfer_funds)("vendor-7", "950.00")
except aecl.Pending:
    print(json.dumps({"run": run.id, "token": run.token}))
""")
(HOME / "goes_on.py").write_text("""import json, aecl, tool
ticket = json.load(open("ticket.json"))
with aecl.resume(ticket["run"], ticket["token"]):
    print(tool.transfer_funds("vendor-7", "950.00"))
""")
asks = user("env/bin/python", "asks.py")
check("the agent keeps a ticket", asks.returncode == 0, said(asks))
ticket = HOME / "ticket.json"
ticket.write_text(asks.stdout)
early = user("env/bin/python", "goes_on.py")
check("nothing happens before the yes", early.returncode != 0 and "Pending" in early.stderr, said(early))
answered = approve()
check("a person says yes to that", answered.returncode == 0, said(answered))
done = user("env/bin/python", "goes_on.py")
check("what was agreed to happens, in another process", done.stdout == "{'id': 'tr-1'}\n", said(done))
record = user("env/bin/aecl", "log", "verify")
check("the record holds", record.returncode == 0, said(record))

# The same for npm: two files, no network, another empty place.
node = shutil.which(os.environ.get("NODE", "node"))
BIN, PROJECT = WORK / "bin", WORK / "home/project"
for folder in (BIN, PROJECT):
    folder.mkdir()
shutil.copy(node, BIN / "node")
packages = sorted(OUT.glob("*.tgz"))
check("npm: the library and the program", [path.name.rsplit("-", 1)[0] for path in packages][1:] == ["aecl-sdk"], packages)
for path in packages:
    shutil.copy(path, PROJECT)
(PROJECT / "package.json").write_text('{"type": "module", "private": true}')
text = (ROOT / "sdk/typescript/README.md").read_text()
code = text.split("```ts\n", 1)[1].split("```", 1)[0]
check("at most ten lines of TypeScript", len([line for line in code.splitlines() if line.strip()]) <= 10, code)
(PROJECT / "agent.ts").write_text(code)
if as_user:
    run("chown", "-R", f"{NOBODY}:{NOBODY}", PROJECT)
clean["PATH"] = f"{BIN}:{clean['PATH']}"


def npm(*command, **more):
    return run(*as_user, *command, cwd=PROJECT, env=clean, **more)


files = [f"./{path.name}" for path in packages]
installed = npm("npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", *files)
check("npm installs both without a network", installed.returncode == 0, said(installed))
aecl = "node_modules/.bin/aecl"
version = npm(aecl, "--version")
check("npm: the command is there", version.stdout.startswith("aecl "), said(version))
unknown = npm(aecl, "explode")
check("npm: the command ends as the program does", unknown.returncode == 2 and "explode" in unknown.stderr, said(unknown))
begun = npm(aecl, "init", "--example", "finance")
check("npm: `aecl init`", begun.returncode == 0, said(begun))
modules = pathlib.Path(os.environ["PEERS"]) / "typescript/node_modules"
compiled = run(node, modules / "typescript/bin/tsc", "--module", "nodenext", "--target", "es2022", "--strict",
               "--types", "node", "--typeRoots", modules / "@types", "agent.ts", cwd=PROJECT)
check("npm: the types are found", compiled.returncode == 0, said(compiled))
held = npm("node", "agent.js")
check("npm: the call is held", held.returncode == 0 and "always requires approval" in held.stdout, said(held))
waits = subprocess.Popen([*as_user, aecl, "approvals", "watch"], cwd=PROJECT, env=clean, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
began = waits.stderr.readline()
waits.terminate()
waits.communicate(timeout=60)
check("npm: a signal ends the program", began and waits.returncode in (-15, 143), f"{began} {waits.returncode}")
program_package = PROJECT / "node_modules/@aecl" / packages[0].name.rsplit("-", 1)[0].removeprefix("aecl-")
shutil.rmtree(program_package)
alone = npm(aecl, "--version")
check("npm: without the program it says what to do", alone.returncode == 127 and "hint: " in alone.stderr, said(alone))
shutil.rmtree(WORK, ignore_errors=True)
end()
