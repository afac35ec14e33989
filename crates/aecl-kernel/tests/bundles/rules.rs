//! What rules mean: which are refused, whom they reach, and what their answers become.

use super::*;

#[test]
fn rule_with_a_typo_does_not_load() {
    check(
        with_rule(r#"forbid(principal, action == Action::"pay", resource) when { context.args.amout > 5 };"#),
        expect![[r#"
        rules/all.cedar: error: for policy `policy0`, attribute `args.amout` in context for Action::"pay" not found
        does not load
    "#]],
    );
    check(
        with_rule(r#"forbid(principal, action == Action::"pya", resource);"#),
        expect![[r#"
        rules/all.cedar: error: for policy `policy0`, unrecognized action `Action::"pya"`
        rules/all.cedar: warning: for policy `policy0`, unable to find an applicable action given the policy scope constraints
        rules/all.cedar: warning: for policy `policy0`, policy is impossible: the policy expression evaluates to false for all valid requests
        does not load
    "#]],
    );
    check(
        with_rule(
            r#"forbid(principal, action == Action::"pay", resource) when { context.args.amount > "5" };"#,
        ),
        expect![[r#"
        rules/all.cedar: error: for policy `policy0`, unexpected type: expected Long but saw String
        does not load
    "#]],
    );
    check(
        with_rule(r#"forbid(principal, action, resource) when { context.args.amount > 5 };"#),
        expect![[r#"
        rules/all.cedar: error: for policy `policy0`, attribute `args.amount` in context for Action::"read" not found
        does not load
    "#]],
    );
    check(
        with_rule(r#"forbid(principal, action == Action::"pay", resource) when { context.run.untrustd };"#),
        expect![[r#"
        rules/all.cedar: error: for policy `policy0`, attribute `run.untrustd` in context for Action::"pay" not found
        does not load
    "#]],
    );
    check(
        with_rule("forbid(principal, action, resource"),
        expect![[r#"
        rules/all.cedar: error: the rules cannot be read: unexpected end of input
        does not load
    "#]],
    );
}

#[test]
fn annotations_of_a_rule_are_known_and_sensible() {
    let with = |annotation: &str| {
        with_rule(&format!("{annotation} forbid(principal, action == Action::\"pay\", resource);"))
    };
    assert_eq!(
        report(with(r#"@id("x") @reason("y") @approvers("a, b") @count("2") @expires_s("60")"#)),
        "loads\n"
    );
    check(
        with(r#"@reasn("x")"#),
        expect![[r#"
        rules/all.cedar: error: `rules/all.cedar#policy0`: unknown annotation `@reasn`; known are @id @reason @approvers @count @expires_s
        does not load
    "#]],
    );
    check(
        with(r#"@count("0")"#),
        expect![[r#"
        rules/all.cedar: error: `rules/all.cedar#policy0`: `@count` must be a whole number above 0
        does not load
    "#]],
    );
    check(
        with(r#"@count("two")"#),
        expect![[r#"
        rules/all.cedar: error: `rules/all.cedar#policy0`: `@count` must be a whole number above 0
        does not load
    "#]],
    );
    check(
        with(r#"@count("100")"#),
        expect![[r#"
        rules/all.cedar: error: `rules/all.cedar#policy0`: `@count` is at most 64
        does not load
    "#]],
    );
    check(
        with(r#"@expires_s("0")"#),
        expect![[r#"
        rules/all.cedar: error: `rules/all.cedar#policy0`: `@expires_s` must be a whole number above 0
        does not load
    "#]],
    );
    check(
        with_rule(
            r#"@id("x") forbid(principal, action == Action::"pay", resource); @id("x") forbid(principal, action == Action::"read", resource);"#,
        ),
        expect![[r#"
            rules/all.cedar: error: the id `x` stands twice
            does not load
        "#]],
    );
}

#[test]
fn templates_are_refused() {
    check(
        with_rule(r#"forbid(principal == ?principal, action, resource);"#),
        expect![[r#"
        rules/all.cedar: error: templates are not supported; write the policy out
        does not load
    "#]],
    );
}

#[test]
fn permit_of_a_rule_has_no_effect_and_says_so() {
    let actions = json!([pay(), read(), action("drop", "delete", json!({}))]);
    let rule = r#"@id("open") permit(principal, action, resource);"#;
    check(
        sources(&agent(json!({})), &actions, rule),
        expect![[r#"
        rules/all.cedar: warning: `open` has no effect: only an agent's manifest permits, rules forbid
        loads
    "#]],
    );
    let mut world = World::new(bundle(&agent(json!({})), &actions, rule));
    let who = principal("a");
    world.open(&who);
    assert_eq!(says(&world.propose(proposal(&who, "drop", &json!({})))), "block not_allowed");
}

#[test]
fn groups_of_actions_can_be_named_even_if_they_are_empty() {
    for group in [
        "effect:read",
        "effect:write",
        "effect:delete",
        "effect:send",
        "effect:pay",
        "effect:execute",
        "effect:deploy",
        "effect:grant",
        "reversibility:reversible",
        "reversibility:compensatable",
        "reversibility:irreversible",
    ] {
        let text =
            report(with_rule(&format!("forbid(principal, action in [Action::\"{group}\"], resource);")));
        assert!(text.ends_with("\nloads\n") || text == "loads\n", "{group}: {text}");
    }
    check(
        with_rule(r#"forbid(principal, action in [Action::"effect:pya"], resource);"#),
        expect![[r#"
        rules/all.cedar: error: for policy `policy0`, unrecognized action `Action::"effect:pya"`
        rules/all.cedar: warning: for policy `policy0`, unable to find an applicable action given the policy scope constraints
        does not load
    "#]],
    );
}

#[test]
fn slice_holds_what_can_matter_and_nothing_else() {
    let rules = r#"
        @id("other-agent") forbid(principal == Agent::"b", action, resource);
        @id("other-action") forbid(principal, action == Action::"read", resource);
        @id("other-group") forbid(principal, action in [Action::"effect:read"], resource);
        @id("all") forbid(principal, action, resource) when { context.run.calls > 100 };
        @id("this-agent") forbid(principal == Agent::"a", action, resource) when { context.run.calls > 100 };
        @id("in-agent") forbid(principal in Agent::"a", action, resource) when { context.run.calls > 100 };
        @id("any-agent") forbid(principal is Agent, action, resource) when { context.run.calls > 100 };
        @id("this-action") forbid(principal, action == Action::"pay", resource) when { context.run.calls > 100 };
        @id("in-action") forbid(principal, action in Action::"pay", resource) when { context.run.calls > 100 };
        @id("this-group") forbid(principal, action in [Action::"effect:pay"], resource) when { context.run.calls > 100 };
        @id("either") forbid(principal, action in [Action::"effect:read", Action::"reversibility:reversible"], resource) when { context.run.calls > 100 };
    "#;
    let agents = json!([agent(json!({})), {"agent_id": "b", "allowed_actions": ["read"]}]);
    let bundle = bundle(&agents, &json!([pay(), read()]), rules);
    let len =
        |agent: &str, action: &str| bundle.policies().slice_len(&AgentId::new(agent).unwrap(), action, 0);
    assert_eq!(len("a", "pay"), 1 + 8, "its own permit and the rules that can match");
    assert_eq!(len("a", "read"), 1 + 7);
    assert_eq!(len("b", "read"), 1 + 6);
    assert_eq!(len("b", "pay"), 0, "not listed, so never asked");
    assert_eq!(len("c", "pay"), 0);
}

#[test]
fn group_rule_reaches_every_action_of_the_group() {
    let rule = r#"@id("no-pay") @reason("nobody pays") forbid(principal, action in [Action::"effect:pay"], resource);"#;
    let mut world = World::new(bundle(&agent(json!({})), &json!([pay(), read()]), rule));
    let who = principal("a");
    world.open(&who);
    let ruling = world.propose(proposal(&who, "pay", &json!({"amount": 1, "to": "x"})));
    assert_eq!(says(&ruling), "block policy_forbids");
    assert_eq!(ruling.decision().reason(), "nobody pays (policy `rules/all.cedar#no-pay`)");
    assert_eq!(ruling.decision().policies, ["rules/all.cedar#no-pay"]);
    assert_eq!(says(&world.propose(proposal(&who, "read", &json!({"what": "x"})))), "allow");
}

#[test]
fn rule_cannot_pass_itself_off_as_the_manifest() {
    let rule = r#"@id("agents/a/pay/blocked") forbid(principal, action == Action::"pay", resource);"#;
    let mut world = World::new(bundle(&agent(json!({})), &json!([pay(), read()]), rule));
    let who = principal("a");
    world.open(&who);
    let ruling = world.propose(proposal(&who, "pay", &json!({"amount": 1, "to": "x"})));
    assert_eq!(says(&ruling), "block policy_forbids");
}

#[test]
fn what_only_a_yes_allows_needs_a_person_and_what_it_does_not_is_refused() {
    let rules = r#"
        @id("ask") @reason("over ten") @approvers("a b") @count("2") @expires_s("60")
        forbid(principal, action == Action::"pay", resource) when { context.args.amount > 10 } unless { context.approval.granted };
        @id("never") @reason("over a hundred")
        forbid(principal, action == Action::"pay", resource) when { context.amount.greaterThan(decimal("100.0")) };
        @id("backwards") @reason("only without a yes")
        forbid(principal, action == Action::"pay", resource) when { context.approval.granted && context.args.to == "back" };
    "#;
    let mut world =
        World::new(bundle(&agent(json!({"auto_approve_threshold": "1.00"})), &json!([pay(), read()]), rules));
    let who = principal("a");
    world.open(&who);
    let mut pay = |amount: u64, to: &str| {
        let ruling = world.propose(proposal(&who, "pay", &json!({"amount": amount, "to": to})));
        let asks = match &ruling {
            Ruling::Waiting(_) => format!(" {:?}", wait(&ruling).need),
            _ => String::new(),
        };
        format!("{} {:?}{asks}", says(&ruling), ruling.decision().policies)
    };
    expect![[r#"allow ["agents/a/pay/allowed"]"#]].assert_eq(&pay(10, "x"));
    expect![[r#"require_approval approval_rule ["rules/all.cedar#ask"] Quorum { requirements: [ApproverRule { groups: {"a", "b"}, count: 2 }], expires_s: 60 }"#]].assert_eq(&pay(11, "x"));
    expect![[r#"require_approval approval_rule ["rules/all.cedar#ask"] Quorum { requirements: [ApproverRule { groups: {"a", "b"}, count: 2 }], expires_s: 60 }"#]].assert_eq(&pay(100, "x"));
    expect![[r#"block policy_forbids ["rules/all.cedar#never"]"#]].assert_eq(&pay(101, "x"));
    expect![[r#"allow ["agents/a/pay/allowed"]"#]].assert_eq(&pay(10, "back"));
    expect![[r#"block policy_forbids ["rules/all.cedar#backwards"]"#]].assert_eq(&pay(11, "back"));
}

#[test]
fn error_in_a_rule_is_a_no() {
    // Cedar skips a policy that it cannot evaluate: a forbid that overflows would be a deny gone quiet.
    let rules = r#"
        @id("overflows") forbid(principal, action == Action::"pay", resource)
        when { context.args.amount * 9007199254740991 > 5 };
    "#;
    let mut world = World::new(bundle(&agent(json!({})), &json!([pay(), read()]), rules));
    let who = principal("a");
    world.open(&who);
    let mut pay =
        |amount: u64| says(&world.propose(proposal(&who, "pay", &json!({"amount": amount, "to": "x"}))));
    assert_eq!(pay(0), "allow");
    assert_eq!(pay(1), "block policy_forbids");
    assert_eq!(pay(9_007_199_254_740_991), "block policy_error");
}

#[test]
fn amount_that_rules_cannot_compare_is_a_no() {
    let mut free = pay();
    free["arguments"]["properties"]["amount"] = json!({});
    let mut world =
        World::new(bundle(&agent(json!({"auto_approve_threshold": "1.00"})), &json!([free, read()]), ""));
    let who = principal("a");
    world.open(&who);
    let mut pay =
        |amount: &str| says(&world.propose(proposal(&who, "pay", &json!({"amount": amount, "to": "x"}))));
    assert_eq!(pay("922337203685476.99"), "allow");
    assert_eq!(pay("922337203685477.00"), "block policy_error");
    assert_eq!(pay("79228162514264337593543950335"), "block policy_error");
}

#[test]
fn arguments_have_types_in_rules_and_what_has_none_cannot_be_named() {
    let with = |schema: Value, condition: &str| {
        let mut read = read();
        read["arguments"] = json!({"type": "object", "properties": {"x": schema}, "required": ["x"]});
        let rule = format!("forbid(principal, action == Action::\"read\", resource) when {{ {condition} }};");
        let text = report(sources(&agent(json!({"allowed_actions": ["read"]})), &json!([read]), &rule));
        if text == "loads\n" { "loads".to_owned() } else { text }
    };
    for (schema, condition) in [
        (json!({"type": "integer"}), "context.args.x > 1"),
        (json!({"type": "string"}), r#"context.args.x like "a*""#),
        (json!({"enum": ["a", "b"]}), r#"context.args.x == "a""#),
        (json!({"type": "boolean"}), "context.args.x"),
        (json!({"type": "number", "multipleOf": 0.01}), r#"context.args.x.greaterThan(decimal("1.0"))"#),
        (json!({"type": "array", "items": {"type": "string"}}), r#"context.args.x.contains("a")"#),
        (
            json!({"type": "object", "properties": {"y": {"type": "integer"}}, "required": ["y"]}),
            "context.args.x.y > 1",
        ),
        (json!({"type": ["integer", "null"]}), "context.args has x && context.args.x > 1"),
        (
            json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
            "context.args has x && context.args.x > 1",
        ),
    ] {
        assert_eq!(with(schema.clone(), condition), "loads", "{schema}");
    }
    for (schema, condition) in [
        (json!({"type": "number"}), r#"context.args.x.greaterThan(decimal("1.0"))"#),
        (json!({"type": ["integer", "string"]}), "context.args.x > 1"),
        (json!({}), "context.args.x > 1"),
        (json!({"type": ["integer", "null"]}), "context.args.x > 1"),
        (json!({"type": "array", "items": {"type": ["string", "null"]}}), r#"context.args.x.contains("a")"#),
    ] {
        assert!(with(schema.clone(), condition).ends_with("does not load\n"), "{schema}");
    }
}
