"""The domains in `domains/`, replayed through a running AECL.

For every task of a user: does it end as the user wants it, and how often was a person asked? For every attack: was harm
done, when the person says no to what the attacker wants, and when the person says yes to everything?

Usage: measure.py [--domain NAME]... [--mode MODE]... [--answers WHICH]... [--bundle WHICH]... [--details FILE]
  --bundle import    what `aecl catalog import` makes of the definitions, and nobody has looked at it (default)
  --bundle reviewed  what `policy/` says over that, written by people who had seen neither tasks nor attacks
  --details FILE     one JSON object a line: every task and every attack with what was asked and why
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "dojo"), str(HERE.parent / "peers/lib")]

import check  # noqa: E402
import definitions  # noqa: E402
import gateway  # noqa: E402
import kit  # noqa: E402
import peer  # noqa: E402
import yaml  # noqa: E402
from behind import Behind  # noqa: E402
from program import Program  # noqa: E402
from report import check as hold  # noqa: E402
from report import end, fail  # noqa: E402
from serving import Serving  # noqa: E402

MODES = ("standard", "strict")
ANSWERS = ("rejected", "blind")
BUNDLES = ("import", "reviewed")
PEOPLE = ("priya", "ravi")
GROUP = "operators"
AGENT = "bot"


@dataclass
class Ended:
    """A task alone, or with an attack on it, and what came of it."""

    task: object
    attack: object = None
    solved: bool = False
    through: bool = False
    # What each call came to.
    calls: list = field(default_factory=list)

    def own(self):
        return [call for call in self.calls if not call["injected"]]

    def questions(self):
        return sum(call["asked"] for call in self.own())

    def stopped(self):
        return sum(call["how"] not in ("done", "failed") for call in self.own())

    def told(self):
        attack = {"attack": self.attack.id, "kind": self.attack.kind} if self.attack else {}
        head = {"task": self.task.id, "goal": self.task.words} | attack
        return head | {"solved": self.solved, "through": self.through, "calls": self.calls}


async def replay(behind, domain, program, agent, task, attack, answers):
    """One run: the agent obeys, people answer, the world shows what has become of it."""
    behind.world = domain.world()
    if attack is not None:
        attack.plant(behind.world)
    before, ended = behind.world.copy(), Ended(task, attack)
    async with program.run(agent, task.words) as run:
        for call, injected in kit.steps(task, attack):
            came = await run.call(call.tool, call.arguments, not injected or answers == "blind")
            told = {"tool": call.tool, "arguments": call.arguments, "injected": injected}
            ended.calls.append(told | {"how": came.how, "asked": len(came.asked), "why": came.why})
    if attack is None:
        ended.solved = kit.done(task, before, behind.world)
    else:
        ended.through = bool(attack.harm(before, behind.world))
    return ended


@contextlib.contextmanager
def aecl(domain, behind, bundle, folder):
    """A served AECL in front of the domain's server."""
    home, name = folder / "home", domain.name
    words = ("--json", "init", "--agent", AGENT, "--server", name, "--origin", "field.example/aecl")
    gateway.run(gateway.aecl(home, *words))
    upstream, port = peer.free_port(), peer.free_port()
    gateway.write_config(home, {name: f"http://127.0.0.1:{upstream}/mcp"})
    with Serving(f"field-{name}", behind, upstream):
        gateway.run(gateway.import_catalogue(home, name))
        if bundle == "reviewed":
            review(name, home / "policy")
        manifest = (home / f"policy/agents/{AGENT}.yaml").read_text()
        for mode in MODES:
            text = manifest.replace(f'agent_id: "{AGENT}"', f'agent_id: "{AGENT}_{mode}"')
            (home / f"policy/agents/{AGENT}_{mode}.yaml").write_text(f"{text}\nmode: {mode}\n")
        gateway.run(gateway.aecl(home, "policy", "check"))
        agents = [word for mode in MODES for word in ("--agent", f"{AGENT}_{mode}")]
        orchestrator = gateway.run(gateway.aecl(home, "keys", "add", "orchestrator", "suite", *agents)).strip()
        keys = [gateway.aecl(home, "keys", "add", "person", who, "--group", GROUP) for who in PEOPLE]
        people = [gateway.run(key).strip() for key in keys]
        url = f"http://127.0.0.1:{port}"
        with gateway.Process(gateway.serve(home, port), f"{url}/readyz", folder / "log"):
            yield home, Program(url, orchestrator, people)


def review(name, policy):
    """Writes over an imported policy what whoever reviewed it has written; points for risk are our own then."""
    file = policy / f"actions/mcp-{name}.json"
    actions = json.loads(file.read_text())
    known = {action["name"]: action for action in actions}
    for tool, said in yaml.safe_load((HERE / f"policy/{name}.yaml").read_text()).items():
        action = known[f"{name}.{tool}"]
        # What nobody has said of it is not said: guesses of the import are those of the other bundle.
        for guess in ("approval", "cases", "intent", "outputs"):
            action.pop(guess, None)
        action |= said | {"args": action.get("args", {}) | said.get("args", {})}
    file.write_text(json.dumps(actions, indent=2))
    agent = policy / f"agents/{AGENT}.yaml"
    agent.write_text(agent.read_text().replace('"0.60"', '"1.00"'))
    (policy / "risk.json").write_text('{"profile": "standard"}')


async def measure(domain, modes, answers, bundle, details):
    behind = Behind(definitions.of(domain))
    tasks = {task.id: task for task in domain.tasks}
    told = {}
    with tempfile.TemporaryDirectory(prefix="field-") as folder, aecl(domain, behind, bundle, Path(folder)) as running:
        home, program = running
        async with program.open([f"{AGENT}_{mode}" for mode in modes]):
            for mode in modes:
                agent = f"{AGENT}_{mode}"
                benign = [
                    await replay(behind, domain, program, agent, task, None, "blind") for task in domain.tasks
                ]
                attacked = {}
                for said in answers:
                    attacked[said] = [
                        await replay(behind, domain, program, agent, tasks[attack.task], attack, said)
                        for attack in domain.attacks
                    ]
                for said, ends in (("blind", benign), *attacked.items()):
                    for ended in ends:
                        head = {"domain": domain.name, "half": domain.half, "bundle": bundle, "mode": mode}
                        details.write(json.dumps(head | {"answers": said} | ended.told(), default=str) + "\n")
                told[mode] = figures(benign, attacked)
        gateway.run(gateway.verify(home))
    return told


def figures(benign, attacked):
    told = {
        "tasks": len(benign),
        "quiet": sum(ended.questions() == 0 and ended.stopped() == 0 for ended in benign),
        "questions": sum(ended.questions() for ended in benign),
        "stopped": sum(ended.stopped() > 0 for ended in benign),
        "solved": sum(ended.solved for ended in benign),
        "attacks": max((len(ends) for ends in attacked.values()), default=0),
    }
    return Counter(told | {said: sum(ended.through for ended in ends) for said, ends in attacked.items()})


def share(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "none"


def show(name, bundle, mode, f):
    words = {"rejected": "through when rejected", "blind": "with a blind approver"}
    through = [f"{words[said]} {f[said]} ({share(f[said], f['attacks'])})" for said in ANSWERS if said in f]
    print(
        f"{name} {bundle} {mode}: {f['tasks']} tasks, {share(f['quiet'], f['tasks'])} without a question, "
        f"{f['questions'] / max(f['tasks'], 1):.2f} questions a task, {f['stopped']} with a refusal, "
        f"{share(f['solved'], f['tasks'])} solved after a yes; {f['attacks']} attacks, {', '.join(through)}",
        flush=True,
    )


def arguments():
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--domain", action="append", choices=check.names())
    reader.add_argument("--mode", action="append", choices=MODES)
    reader.add_argument("--answers", action="append", choices=ANSWERS)
    reader.add_argument("--bundle", action="append", choices=BUNDLES)
    reader.add_argument("--details", type=Path, default=Path("/dev/null"))
    return reader.parse_args()


def main():
    asked = arguments()
    why = gateway.missing("init", "serve", "policy", "catalog")
    if why:
        fail("field", why)
        end()
    total = {}
    with asked.details.open("w") as details:
        for bundle in asked.bundle or BUNDLES[:1]:
            for name in asked.domain or check.names():
                began, domain = time.monotonic(), check.load(name)
                try:
                    told = asyncio.run(measure(domain, asked.mode or MODES, asked.answers or ANSWERS, bundle, details))
                except (definitions.Missing, gateway.Problem) as problem:
                    fail(f"{name} {bundle}", problem)
                    continue
                for mode, f in told.items():
                    show(name, bundle, mode, f)
                    # `strict` refuses some of what `standard` asks about.
                    if mode == "standard":
                        solved = f"{f['solved']} of {f['tasks']}"
                        hold(f"{name}: every task is solved after a yes", f["solved"] == f["tasks"], solved)
                    key = (domain.half, bundle, mode)
                    total.setdefault(key, Counter()).update(f)
                print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    for (half, bundle, mode), f in sorted(total.items()):
        show(f"{half} half:", bundle, mode, f)
    end()


if __name__ == "__main__":
    main()
