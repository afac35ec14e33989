"""The work that everybody is given: one rule set, in each one's own words, and the questions about it.

An agent, `support`, may refund and read. A refund is from 0 to 500,000 cents, and deleting is denied to everybody.
All further rules are limits of other agents: `agent7` may refund up to 8 cents.
"""

AGENT = "support"
ALLOWED = ["payments.refund", "crm.read0", "crm.read1"]
DENIED = "crm.delete"
LIMIT = 500_000
RECORD = b"\x07" * 1024


def refund(order="order-00000001", amount=1250):
    return {"order": order, "amount": amount, "reason": "the parcel never came", "notify": True}


# What everybody has to answer alike before anybody's time is taken.
QUESTIONS = [
    ("payments.refund", refund(), True),
    ("payments.refund", refund(amount=LIMIT + 1), False),
    ("payments.refund", refund(amount=-1), False),
    ("crm.read1", {"id": "c-1"}, True),
    ("crm.read2", {"id": "c-1"}, False),
    (DENIED, {"id": "c-1"}, False),
]


def others(rules):
    """Agents with a limit of their own, so that the whole is so many rules."""
    return [(f"agent{n}", n + 1) for n in range(rules - 3)]


def cedar(rules):
    """The whole as Cedar, for an engine that is given nothing else."""
    may = ", ".join(f'Action::"{name}"' for name in ALLOWED)
    own = [
        f'permit (principal == Agent::"{AGENT}", action in [{may}], resource);',
        'forbid (principal, action == Action::"payments.refund", resource)'
        f" when {{ context.amount < 0 || context.amount > {LIMIT} }};",
        f'forbid (principal, action == Action::"{DENIED}", resource);',
    ]
    more = [
        f'forbid (principal == Agent::"{agent}", action == Action::"payments.refund", resource)'
        f" when {{ context.amount > {limit} }};"
        for agent, limit in others(rules)
    ]
    return "\n".join(own + more)


def toolkit(rules):
    """Policies of the governance toolkit: one for the agent, one for each other agent."""
    names = ", ".join(f"'{name}'" for name in ALLOWED)
    own = [
        {"name": "may", "condition": f"action.type in [{names}]", "action": "allow"},
        {
            "name": "limit",
            "condition": f"action.type == 'payments.refund' and amount.value > {LIMIT}",
            "action": "deny",
        },
        {"name": "sign", "condition": "action.type == 'payments.refund' and amount.value < 0", "action": "deny"},
        {"name": "delete", "condition": f"action.type == '{DENIED}'", "action": "deny"},
    ]
    yield policy(AGENT, own)
    for agent, limit in others(rules):
        over = f"action.type == 'payments.refund' and amount.value > {limit}"
        yield policy(agent, [{"name": "limit", "condition": over, "action": "deny"}])


def policy(agent, rules):
    head = {"apiVersion": "governance.toolkit/v1", "name": agent, "default_action": "deny"}
    return {**head, "agents": [agent], "rules": rules}


def ctrlrun(rules):
    """Actions with their limit, and a grant for each agent."""
    within = {"amount_gte": 0, "amount_lte": LIMIT}
    actions = {name: {"decision": "allow"} for name in ALLOWED}
    actions["payments.refund"] = {"rules": [{"when": within, "decision": "allow"}, {"decision": "deny"}]}
    actions[DENIED] = {"decision": "deny"}
    grants = [{"id": AGENT, "subject": {"agent": AGENT}, "actions": ALLOWED}]
    for agent, limit in others(rules):
        within = {"amount_gte": 0, "amount_lte": limit}
        one = {"id": agent, "subject": {"agent": agent}, "actions": ["payments.refund"]}
        grants.append({**one, "constraints": within})
    return {"schema": "ctrlrun.policy/v3", "actions": actions, "authority": {"grants": grants}}


def aecl(rules):
    """A catalogue, a manifest, and limits as Cedar over the catalogue's types."""
    text, whole = {"type": "string"}, {"type": "number"}
    given = {"order": text, "amount": whole, "reason": text, "notify": {"type": "boolean"}}
    refund = {
        "name": "payments.refund",
        "effect": "pay",
        "reversibility": "reversible",
        "description": "Pays back an order",
        "arguments": {"type": "object", "required": ["order", "amount"], "properties": given},
        "fields": {"amount": {"value": "/amount", "unit": "EUR"}, "resource": "/order"},
        "output": {"untrusted": False, "private": False},
    }
    plain = {"arguments": {"type": "object", "properties": {"id": text}}}
    reads = [{"name": f"crm.read{n}", "effect": "read", **plain} for n in range(3)]
    delete = {"name": DENIED, "effect": "delete", "reversibility": "irreversible", **plain}
    manifest = {
        "agent_id": AGENT,
        "allowed_actions": ALLOWED,
        "blocked_actions": [DENIED],
        "auto_approve_threshold": "1.00",
        "token_ttl_seconds": 7200,
    }
    forbid = "forbid (principal{who}, action == Action::\"payments.refund\", resource) when {{ {when} }};"
    over = 'context.amount.greaterThan(decimal("{limit}.0"))'
    own = f'context.amount.lessThan(decimal("0.0")) || {over.format(limit=LIMIT)}'
    rules_of = [("own", "", own)] + [
        (agent, f' == Agent::"{agent}"', over.format(limit=limit)) for agent, limit in others(rules)
    ]
    text_of = [f'@id("{name}") {forbid.format(who=who, when=when)}' for name, who, when in rules_of]
    return {"actions": [refund, *reads, delete], "agent": manifest, "cedar": "\n".join(text_of)}
