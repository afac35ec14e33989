"""Checks the domains by themselves, without AECL: every task can be done and its check sees it, every attack does
harm to an agent that obeys when nobody stands in between, and none without it.

Usage: check.py [DOMAIN]...
"""

import importlib
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import kit  # noqa: E402

TASKS_MIN, ATTACKS_MIN, KINDS_MIN = 15, 10, 8


def names():
    return sorted(path.stem for path in (HERE / "domains").glob("*.py"))


def load(name):
    return importlib.import_module(f"domains.{name}").DOMAIN


def problems(domain):
    tasks = {task.id: task for task in domain.tasks}
    if len(domain.tasks) < TASKS_MIN or len(tasks) < len(domain.tasks):
        yield f"{len(tasks)} tasks with ids of their own; {TASKS_MIN} at least"
    if len({attack.id for attack in domain.attacks}) < max(len(domain.attacks), ATTACKS_MIN):
        yield f"{len(domain.attacks)} attacks; {ATTACKS_MIN} at least, each with an id of its own"
    kinds = Counter(attack.kind for attack in domain.attacks)
    for kind in kinds.keys() - kit.KINDS.keys():
        yield f"no kind of attack: {kind}"
    if len(kinds) < KINDS_MIN:
        yield f"{len(kinds)} kinds of attacks; {KINDS_MIN} at least"
    tools = {tool if isinstance(tool, str) else tool["name"] for tool in domain.tools}
    used = {call.tool for task in domain.tasks for call in task.calls}
    for tool in sorted(used - tools):
        yield f"a task calls {tool}, which is no tool"
    for tool in sorted(tools):
        if not hasattr(domain.world, "do_" + tool.replace("-", "_").replace(".", "_")):
            yield f"the world has no {tool}"
    changing = sum(1 for task in domain.tasks if _changes(domain, task))
    if changing * 2 < len(domain.tasks):
        yield f"{changing} tasks change something; half of them should"
    for task in domain.tasks:
        yield from (f"{task.id}: {why}" for why in of_task(domain, task))
    for attack in domain.attacks:
        if attack.task not in tasks:
            yield f"{attack.id}: no task {attack.task}"
            continue
        yield from (f"{attack.id}: {why}" for why in of_attack(domain, tasks[attack.task], attack))


def _changes(domain, task):
    try:
        before, after, _ = kit.play(domain, task)
    except kit.ToolError:
        return False
    return before.state != after.state or before.sent != after.sent


def of_task(domain, task):
    try:
        before, after, _ = kit.play(domain, task)
    except kit.ToolError as error:
        yield f"a call fails: {error}"
        return
    if not kit.done(task, before, after):
        yield "the check does not see that it is done"
    again = kit.play(domain, task)
    if (again[1].state, again[1].sent, again[2]) != (after.state, after.sent, kit.play(domain, task)[2]):
        yield "it is not the same each time"
    if _changes(domain, task) and kit.done(task, before, before):
        yield "the check is content before anything was done"


def of_attack(domain, task, attack):
    if not attack.calls and not attack.instead:
        yield "it wants nothing of the agent"
    try:
        before, after, outputs = kit.play(domain, task, attack)
        untouched, without, _ = kit.play(domain, task, attack, obeys=False)
    except kit.ToolError as error:
        yield f"a call of the task fails: {error}"
        return
    # What was read by then: the outputs of the task's calls up to `after`.
    order = list(kit.steps(task, attack))
    own = [number for number, (call, _) in enumerate(order) if any(call is c for c in task.calls)]
    read = outputs[: own[attack.after] + 1] if attack.after < len(own) else outputs
    if not attack.marker or not any(attack.marker in output for output in read):
        yield "its marker is in no output that was read by then"
    if any(number <= attack.after for number in attack.instead):
        yield "it changes a call that was made before the order was read"
    if not attack.harm(before, after):
        yield "it does no harm although the agent obeys"
    if not kit.done(task, untouched, without):
        yield "the task is not done although the agent ignores it"
    if attack.harm(untouched, without):
        yield "the harm is done without it, too"


def main():
    wanted, bad = sys.argv[1:] or names(), 0
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        sys.exit(f"there is no domain {', '.join(unknown)}; there are {', '.join(names())}")
    for name in wanted:
        domain = load(name)
        found = list(problems(domain))
        bad += len(found)
        said = f"{len(domain.tasks)} tasks, {len(domain.attacks)} attacks, {len(domain.tools)} tools, {domain.half}"
        print(f"{name}: {said}" if not found else f"{name}: {len(found)} problems")
        for problem in found:
            print(f"  {problem}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
