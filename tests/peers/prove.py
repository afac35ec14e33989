"""`aecl policy prove` with the real solver: each kind of claim where it holds, and where it is made false.

A proof that nothing can break proves nothing, so every claim is shown to fail on a bundle in which one line is
changed. `aecl-prove` is built from `prove/`, as a user would; cvc5 is the system's.
"""

import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from report import check, end  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
AECL = os.environ["AECL_BIN"]
WORK = pathlib.Path(tempfile.mkdtemp())


def build():
    target = pathlib.Path(os.environ.get("AECL_PROVE_TARGET", ROOT / "target" / "prove"))
    command = ["cargo", "build", "--quiet", "--locked", "--manifest-path", str(ROOT / "prove/Cargo.toml")]
    subprocess.run(command, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return target / "debug" / "aecl-prove"


PROVE = str(build())


def aecl(*args, **env):
    ran = subprocess.run(
        [AECL, "--dir", str(WORK / "home"), *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, "AECL_PROVE": PROVE, **{k: str(v) for k, v in env.items()}},
        timeout=300,
    )
    return ran


count = 0


def bundle(base, *changes, properties=None, rules=None):
    """A copy of a bundle with lines changed: (file, from, to)."""
    global count
    count += 1
    made = WORK / f"bundle{count}"
    shutil.copytree(base, made)
    shutil.rmtree(made / "examples", ignore_errors=True)
    for file, old, new in changes:
        text = (made / file).read_text()
        assert old in text, f"{file} has no {old!r}"
        (made / file).write_text(text.replace(old, new))
    if properties is not None:
        shutil.rmtree(made / "properties", ignore_errors=True)
        (made / "properties").mkdir()
        (made / "properties/own.json").write_text(json.dumps(properties))
    if rules is not None:
        for file in (made / "rules").iterdir():
            file.unlink()
        (made / "rules/own.cedar").write_text(rules)
    return made


def prove(made, *args, **env):
    ran = aecl("policy", "prove", made, "--json", *args, **env)
    try:
        return ran.returncode, json.loads(ran.stdout)
    except ValueError:
        return ran.returncode, {"raw": ran.stdout + ran.stderr}


def outcome(name, made, wanted, of=None, code=None):
    """Every property of that name comes out so, for one action or for all."""
    ended, told = prove(made)
    found = told.get("findings", {}).get("properties", [])
    found = [p for p in found if of is None or p["action"] == of]
    seen = {p["outcome"] for p in found}
    right = seen == {wanted} and (code is None or ended == code)
    check(name, right, f"{seen}, exit {ended}: {json.dumps(told)[:1500]}")
    return found


FINANCE = ROOT / "examples/finance/policy"
aecl("init", "--example", "finance")
INIT = WORK / "home/policy"

# What is shipped is proven, all of it.
for name, shipped in [("finance", FINANCE), ("init", INIT)]:
    ran = aecl("policy", "prove", shipped)
    check(f"the bundle of `{name}` is proven", ran.returncode == 0 and "refuted" not in ran.stdout, ran.stdout + ran.stderr)

# One line less, and finance pays alone.
free = (
    ("actions/payments.yaml", "approval: { always: true, approvers: [finance_leads], expires_s: 3600 }", ""),
    ("agents/finance_agent_v2.yaml", "  - read_inbox\n", "  - read_inbox\n  - transfer_funds\n"),
    ("agents/finance_agent_v2.yaml", "  transfer_funds: requires_human_approval\n", ""),
)
# The score would still ask for much money; here it does not.
careless = ("agents/finance_agent_v2.yaml", 'auto_approve_threshold: "0.60"', 'auto_approve_threshold: "1.00"')
alone = [{"name": "alone", "never": {"agent": "finance_agent_v2", "action": "transfer_funds", "without": "approval"}}]
outcome("finance never pays without approval", bundle(FINANCE, properties=alone), "proven", code=0)
found = outcome("without the line that asks, it is refuted", bundle(FINANCE, *free, careless, properties=alone), "refuted", code=1)
if found:
    case = found[0]["case"]
    whole = case["verdict"] == "allow" and case["arguments"]["vendor_id"] and case["environment"]
    check("the counterexample is a whole request that all checks let through", whole, json.dumps(case))
words = aecl("policy", "prove", bundle(FINANCE, *free, careless, properties=alone)).stdout
check("and it is told in words", "allowed, and nobody is asked" in words and "vendor_id" in words, words)

# A rule that asks only above a limit leaves a hole below it.
limit = """@id("much") forbid(principal, action == Action::"transfer_funds", resource)
when { context.amount.greaterThan(decimal("100.0")) } unless { context.approval.granted };"""
above = [{"name": "a", "never": {"action": "transfer_funds", "without": "approval",
                                 "when": 'context.amount.greaterThan(decimal("100.0"))'}}]
below = json.loads(json.dumps(above).replace("100.0", "50.0"))
outcome("above the limit of a rule somebody is asked", bundle(FINANCE, *free, properties=above, rules=limit), "proven")
found = outcome("below it nobody is", bundle(FINANCE, *free, properties=below, rules=limit), "refuted")
if found:
    amount = float(found[0]["case"]["arguments"]["amount"])
    check("and the amount lies in the hole", 50 < amount <= 100, str(amount))

# Who agrees, and how many.
two = ("rules/payments.cedar", '@count("2")', '@count("1")')
outcome("much money needs two people", FINANCE, "proven")
ended, told = prove(bundle(FINANCE, two))
short = {p["property"] for p in told["findings"]["properties"] if p["outcome"] == "refuted"}
check("with one person less it is refuted", short == {"much money needs two of them"}, str(short))
other = [{"name": "leads", "never": {"action": "transfer_funds", "without": "approval", "of": "operators"}}]
outcome("finance leads are no operators", bundle(FINANCE, properties=other), "refuted")

# Not even with a yes.
gone = [{"name": "gone", "never": {"action": "delete_record"}}]
outcome("records are never deleted", bundle(FINANCE, properties=gone), "proven")
outcome(
    "without the block they are, once somebody agrees",
    bundle(FINANCE, ("agents/finance_agent_v2.yaml", "  - delete_record\n", ""),
           ("agents/finance_agent_v2.yaml", "  - read_inbox\n", "  - read_inbox\n  - delete_record\n"), properties=gone),
    "refuted",
)

# What other checks say about every request takes part: what cannot be undone, environments, budgets, schemas.
may = ("agents/finance_agent_v2.yaml", "  - read_inbox\n", "  - read_inbox\n  - delete_record\n")
unblocked = ("agents/finance_agent_v2.yaml", "blocked_actions:\n  - delete_record\n", "blocked_actions:\n")
final = [{"name": "final", "never": {"action": "delete_record", "without": "approval"}}]
outcome("what cannot be undone asks", bundle(FINANCE, may, unblocked, properties=final), "proven")
undone = ("actions/company.yaml", "reversibility: irreversible\n  arguments:\n    type: object\n    properties: { invoice_id",
          "reversibility: reversible\n  arguments:\n    type: object\n    properties: { invoice_id")
outcome("what can be undone does not", bundle(FINANCE, may, unblocked, undone, properties=final), "refuted")
much = [{"name": "much", "never": {"action": "transfer_funds",
                                   "when": 'context.amount.greaterThan(decimal("150000.0")) && !context.compensating'}}]
outcome("a day's budget is never exceeded by one call", bundle(FINANCE, properties=much), "proven")
outcome("with a larger budget it is",
        bundle(FINANCE, ("agents/finance_agent_v2.yaml", '"150000"', '"150001"'), properties=much), "refuted")
unit = [{"name": "unit", "never": {"action": "transfer_funds", "when": 'context.unit != "INR"'}}]
outcome("an enum of the schema is known", bundle(FINANCE, properties=unit), "proven")
outcome("another currency is found",
        bundle(FINANCE, ("actions/payments.yaml", "enum: [INR]", "enum: [INR, EUR]"),
               ("agents/finance_agent_v2.yaml", "  - { unit: INR", "  - { unit: EUR, limit: \"5\", per: day, of: agent }\n  - { unit: INR"),
               properties=unit), "refuted")

# A check that depends on more than the request proves nothing, and is named.
low = ("agents/finance_agent_v2.yaml", 'auto_approve_threshold: "0.60"', 'auto_approve_threshold: "0.00"')
found = outcome("what only the score stops is neither proven nor refuted", bundle(FINANCE, *free, low, properties=alone), "unproven", code=1)
if found:
    check("and the score is named", found[0]["case"]["code"] == "risk_above_threshold", json.dumps(found))

# Always.
reads = [{"name": "reads", "always": {"action": "read_vendor_profile"}}]
outcome("reading asks nobody", bundle(FINANCE, properties=reads), "proven")
night = '@id("night") forbid(principal, action == Action::"read_vendor_profile", resource) when { context.run.private };'
outcome("a rule that stops it is found", bundle(FINANCE, properties=reads, rules=night), "refuted")


def fault(name, rules, wanted, *changes, args=()):
    ended, told = prove(bundle(FINANCE, *changes, properties=[], rules=rules), *args)
    faults = {r["rule"].split("#")[1]: (r.get("fault") or {}).get("fault") for r in told.get("findings", {}).get("rules", [])}
    check(name, faults == wanted and ended == (1 if any(wanted.values()) else 0), f"exit {ended}, {faults} {str(told)[:800]}")


HEAD = 'forbid(principal, action == Action::"transfer_funds", resource)'
ASKS = "unless { context.approval.granted }"
fault("a rule about a currency that cannot be is dead", f'@id("d") {HEAD} when {{ context.unit == "USD" }};', {"d": "dead"})
fault("one about a currency that can be matters", f'@id("d") {HEAD} when {{ context.unit == "INR" && context.args has invoice_id }};', {"d": None})
fault("a narrower rule behind a wider one is shadowed",
      f'@id("w") {HEAD} when {{ context.amount.greaterThan(decimal("10.0")) }};'
      f'@id("n") {HEAD} when {{ context.amount.greaterThan(decimal("20.0")) }};', {"w": None, "n": "shadowed"})
fault("a rule that asks more people than the wider one is not",
      f'@id("w") {HEAD} when {{ context.amount.greaterThan(decimal("10.0")) }} {ASKS};'
      f'@id("n") @count("2") {HEAD} when {{ context.amount.greaterThan(decimal("20.0")) }} {ASKS};', {"w": None, "n": None}, *free)
fault("of two that say the same one may go",
      f'@id("a") {HEAD} when {{ context.run.private }};@id("b") {HEAD} when {{ context.run.private }};',
      {"a": "shadowed", "b": None})
fault("a condition that every request meets says nothing",
      f'@id("a") {HEAD} when {{ context.amount.greaterThanOrEqual(decimal("0.0")) }};', {"a": "always"})
# The time that it takes grows with the square of the operators.
fault("a rule of hundreds of levels of JSON is read whole",
      f'@id("d") {HEAD} when {{ context.run.private{" && context.run.private" * 150} }};', {"d": None},
      args=("--question-ms", "60000"))
fault("arithmetic that overflows may fail",
      '@id("o") forbid(principal, action, resource) when { context.run.calls * 9223372036854775807 > 7 };', {"o": "may_fail"})

# At most as permissive as another.
ended, told = prove(bundle(FINANCE, *free, careless), "--than", FINANCE)
loosened = {c["action"] for c in told["findings"]["than"]["changes"] if c["outcome"] == "refuted"}
check("a bundle that asks less than the one before is found out", ended == 1 and loosened == {"transfer_funds"}, json.dumps(told)[:1200])
stricter = bundle(FINANCE, rules=(FINANCE / "rules/payments.cedar").read_text() + night)
ended, told = prove(stricter, "--than", FINANCE)
check("a stricter bundle allows nothing new", ended == 0 and told["refuted"] == 0, json.dumps(told)[:800])
ended, told = prove(FINANCE, "--than", stricter)
loosened = [c for c in told["findings"]["than"]["changes"] if c["outcome"] == "refuted"]
check("the other way round it does, and says what",
      ended == 1 and {c["action"] for c in loosened} == {"read_vendor_profile"}, json.dumps(told)[:1200])
ended, told = prove(bundle(FINANCE, low), "--than", bundle(FINANCE))
left = told["findings"]["than"]["left_out"]
check("what is not compared is named", left == ["finance_agent_v2: auto_approve_threshold"], str(left))

# Nobody who could answer.
ran = aecl("policy", "prove", FINANCE, CVC5="/nowhere/cvc5")
check("without cvc5 it says how to get it", ran.returncode == 6 and "apt-get install cvc5" in ran.stderr, ran.stderr)
ran = aecl("policy", "prove", FINANCE, AECL_PROVE="/nowhere/aecl-prove")
check("without aecl-prove it says how to get it", ran.returncode == 6 and "--path prove" in ran.stderr, ran.stderr)


def fake(script):
    path = WORK / f"fake{time.monotonic_ns()}"
    path.write_text(f"#!/bin/sh\nif [ \"$1\" = --version ]; then echo This is cvc5 version 0; exit; fi\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


for name, script in [
    ("a solver that never answers is no proof", "exec sleep 1000"),
    ("one that gives up is no proof", "while read line; do case $line in *check-sat*) echo unknown;; esac; done"),
    ("one that dies is no proof", "exit 1"),
    ("one that talks nonsense is no proof", "while read line; do case $line in *check-sat*) echo maybe;; esac; done"),
]:
    began = time.monotonic()
    ended, told = prove(bundle(FINANCE, *free, properties=alone, rules=""), "--question-ms", "500", "--timeout", "20", CVC5=fake(script))
    right = ended == 6 and told.get("proven") == 0 and told.get("unknown") == 1 and time.monotonic() - began < 60
    check(name, right, f"exit {ended}: {json.dumps(told)[:600]}")


# Rules about what an action acts on: every attribute may be anything, an age is the time less the moment.
loan = {
    "type": "Loan", "read": "loan.get", "arguments": {"id": {"from": "arguments", "at": "/loan"}},
    "attributes": {"holder": {"at": "/holder", "type": "text"}, "state": {"at": "/state", "type": "text"},
                   "due": {"at": "/due", "type": "time"}, "fee": {"at": "/fee", "type": "decimal"},
                   "asked": {"at": "/asked", "type": "time", "optional": True}},
}
takes = {"type": "object", "required": ["loan"], "properties": {"loan": {"type": "string"}}}
shelf = {"kind": "mcp", "server": "shelf", "tool": "any"}
library = WORK / "library"
for folder in ("actions", "agents", "rules"):
    (library / folder).mkdir(parents=True)
(library / "actions/loans.json").write_text(json.dumps([
    {"name": "loan.get", "effect": "read", "connector": shelf,
     "arguments": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}},
    {"name": "loan.extend", "effect": "write", "reversibility": "reversible", "severity": 1, "connector": shelf,
     "arguments": takes, "resource": loan},
]))
(library / "agents/clerk.json").write_text(json.dumps({"agent_id": "clerk", "allowed_actions": ["loan.extend"], "auto_approve_threshold": "1.00"}))
(library / "rules/loans.cedar").write_text("""
@id("lent") forbid (principal, action, resource is Loan) unless { resource.state == "lent" };
@id("twice") forbid (principal, action, resource is Loan) when { resource has asked_age_s && resource.asked_age_s < 60 };
@id("late") forbid (principal, action, resource is Loan) when { resource.due_age_s > 86400 };
""")


def claims(when):
    return [{"name": "own", "never": {"action": "loan.extend", "when": when}}]


outcome("only what is lent is extended", bundle(library, properties=claims('resource.state == "lost"')), "proven", code=0)
outcome("what is a day late is not extended", bundle(library, properties=claims("context.now - 90000 > resource.due && resource.due > 0 && context.now < 4000000000")), "proven", code=0)
outcome("nobody asks twice in a minute", bundle(library, properties=claims("resource has asked && resource.asked > 0 && context.now < 4000000000 && context.now - 30 < resource.asked")), "proven", code=0)
found = outcome("a fee stops nobody", bundle(library, properties=claims('resource.fee.greaterThan(decimal("5.0"))')), "refuted", code=1)
thing = found[0].get("case", {}).get("resources", {}).get("resource", {}) if found else {}
check("what speaks against it is shown with its thing", thing.get("state") == "lent" and float(thing.get("fee", 0)) > 5, json.dumps(found))

shutil.rmtree(WORK, ignore_errors=True)
end()
