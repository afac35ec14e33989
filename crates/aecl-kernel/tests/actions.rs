//! From what an agent sent to an action: what is understood, and what is refused at the door.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use aecl_kernel::base::json::Limits;
use aecl_kernel::define::catalogue::{ActionManifest, Catalogue, TypedAction};
use aecl_kernel::read::action::Action;
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use world::{keyed, principal, proposal, raw};

fn catalogue(manifests: &[Value]) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for manifest in manifests {
        let manifest: ActionManifest = serde_json::from_value(manifest.clone()).unwrap();
        catalogue.add(TypedAction::compile(manifest).unwrap()).unwrap();
    }
    catalogue
}

/// What was understood, or every problem.
fn understood(action: &Action) -> String {
    if action.problems.is_empty() {
        let mut out = vec!["ok".to_owned()];
        out.extend(action.resource.as_ref().map(|r| format!("resource={r}")));
        out.extend(action.destinations.iter().map(|d| format!("to={d}")));
        out.extend(action.amount.as_ref().map(|a| format!("amount={a}")));
        out.extend(action.rows.map(|n| if n == u64::MAX { "rows=all".into() } else { format!("rows={n}") }));
        out.extend(action.tenant.as_ref().map(|t| format!("tenant={t}")));
        return out.join(" ");
    }
    action.problems.iter().map(|p| format!("{}: {}", p.code, p.message)).collect::<Vec<_>>().join(" | ")
}

fn table(rows: impl IntoIterator<Item = (String, String)>, expected: &Expect) {
    let text: String =
        rows.into_iter().map(|(input, output)| format!("{input:.60}  ->  {output}\n")).collect();
    expected.assert_eq(&text);
}

#[test]
fn bytes_with_more_than_one_meaning_are_no_arguments() {
    let catalogue = catalogue(&[world::action("note", "write", json!({"n": {"type": "number"}}))]);
    let who = principal("a");
    let long = format!(r#"{{"n":"{}"}}"#, "x".repeat(2 << 20));
    let deep = format!(r#"{{"n":{}1{}}}"#, "[".repeat(80), "]".repeat(80));
    let inputs: Vec<(&str, Vec<u8>)> = vec![
        ("plain", br#"{"n":1}"#.to_vec()),
        ("nothing", b"".to_vec()),
        ("list", b"[1]".to_vec()),
        ("number", b"1".to_vec()),
        ("null", b"null".to_vec()),
        ("duplicate key", br#"{"n":1,"n":2}"#.to_vec()),
        ("escaped duplicate key", br#"{"n":1,"\u006e":2}"#.to_vec()),
        ("NaN", br#"{"n":NaN}"#.to_vec()),
        ("Infinity", br#"{"n":1e999}"#.to_vec()),
        ("rounded integer", br#"{"n":9007199254740993}"#.to_vec()),
        ("rounded fraction", br#"{"n":0.10000000000000000001}"#.to_vec()),
        ("negative zero", br#"{"n":-0}"#.to_vec()),
        ("two values", br#"{"n":1}{"n":2}"#.to_vec()),
        ("comment", br#"{"n":1/*,"n":2*/}"#.to_vec()),
        ("invalid UTF-8", b"{\"n\":\"\xff\"}".to_vec()),
        ("lone surrogate", br#"{"n":"\ud800"}"#.to_vec()),
        ("byte order mark", b"\xef\xbb\xbf{\"n\":1}".to_vec()),
        ("two megabytes", long.into_bytes()),
        ("eighty levels", deep.into_bytes()),
    ];
    let rows = inputs.into_iter().map(|(name, bytes)| {
        let action = Action::parse(raw(&who, "note", bytes), &catalogue, &Limits::default());
        (name.to_owned(), understood(&action))
    });
    table(
        rows,
        &expect![[r#"
        plain  ->  ok
        nothing  ->  json_invalid: the text ends where a value should be at byte 0 of the arguments
        list  ->  arguments_not_object: the arguments must be a JSON object
        number  ->  arguments_not_object: the arguments must be a JSON object
        null  ->  arguments_not_object: the arguments must be a JSON object
        duplicate key  ->  json_duplicate_key: the key `n` stands twice at byte 7 of the arguments
        escaped duplicate key  ->  json_duplicate_key: the key `n` stands twice at byte 7 of the arguments
        NaN  ->  json_invalid: expected a JSON value at byte 5 of the arguments
        Infinity  ->  json_number: the number `1e999` is too large; send it as a string at byte 5 of the arguments
        rounded integer  ->  json_number: the number `9007199254740993` is beyond 2^53 - 1; send it as a string at byte 5 of the arguments
        rounded fraction  ->  json_number: the number `0.10000000000000000001` does not survive a JSON reader; send it as a string at byte 5 of the arguments
        negative zero  ->  json_number: the number `-0` is a negative zero; send it as a string at byte 5 of the arguments
        two values  ->  json_invalid: text after the end of the value at byte 7 of the arguments
        comment  ->  json_invalid: expected `,` or `}` at byte 6 of the arguments
        invalid UTF-8  ->  json_invalid: invalid UTF-8 at byte 6 of the arguments
        lone surrogate  ->  json_invalid: a lone surrogate at byte 12 of the arguments
        byte order mark  ->  json_invalid: expected a JSON value at byte 0 of the arguments
        two megabytes  ->  json_too_large: 2097160 bytes of JSON; the limit is 1048576 at byte 1048576 of the arguments
        eighty levels  ->  json_too_deep: nested more than 64 levels deep at byte 68 of the arguments
    "#]],
    );
}

#[test]
fn name_is_known_exactly_or_not_at_all() {
    let catalogue = catalogue(&[world::action("refund", "pay", json!({}))]);
    let who = principal("a");
    let long = "refund".repeat(40);
    let names = [
        "refund",
        "Refund",
        "refund ",
        "re\u{200b}fund",
        "ｒｅｆｕｎｄ",
        "refund\0",
        "refnud",
        "drop_all",
        "",
        &long,
    ];
    let rows = names.map(|name| {
        let action = Action::parse(proposal(&who, name, &json!({})), &catalogue, &Limits::default());
        (name.escape_debug().to_string(), understood(&action))
    });
    table(
        rows,
        &expect![[r#"
        refund  ->  ok
        Refund  ->  action_unknown: the catalogue has no action `Refund`; did you mean `refund`?
        refund   ->  action_unknown: the catalogue has no action `refund `; did you mean `refund`?
        re\u{200b}fund  ->  action_unknown: the catalogue has no action `refund`; did you mean `refund`?
        ｒｅｆｕｎｄ  ->  action_unknown: the catalogue has no action `ｒｅｆｕｎｄ`
        refund\0  ->  action_unknown: the catalogue has no action `refund`; did you mean `refund`?
        refnud  ->  action_unknown: the catalogue has no action `refnud`; did you mean `refund`?
        drop_all  ->  action_unknown: the catalogue has no action `drop_all`
          ->  action_unknown: the catalogue has no action ``
        refundrefundrefundrefundrefundrefundrefundrefundrefundrefund  ->  action_unknown: the catalogue has no action `refundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundrefundre`
    "#]],
    );
}

#[test]
fn idempotency_key_is_plain_text() {
    let catalogue = catalogue(&[world::action("note", "write", json!({}))]);
    let who = principal("a");
    let long = "k".repeat(256);
    let rows =
        ["P1", "a:b/c.d-e_f~1", "", " ", "p1 ", "p 1", "\tP1", "Ｐ１", "p1\u{200b}", "p\u{301}1", &long].map(
            |key| {
                let action = Action::parse(
                    keyed(proposal(&who, "note", &json!({})), key),
                    &catalogue,
                    &Limits::default(),
                );
                (key.escape_debug().to_string(), understood(&action))
            },
        );
    table(
        rows,
        &expect![[r#"
        P1  ->  ok
        a:b/c.d-e_f~1  ->  ok
          ->  request_invalid: the idempotency key `` must be 1 to 255 visible ASCII characters
           ->  request_invalid: the idempotency key ` ` must be 1 to 255 visible ASCII characters
        p1   ->  request_invalid: the idempotency key `p1 ` must be 1 to 255 visible ASCII characters
        p 1  ->  request_invalid: the idempotency key `p 1` must be 1 to 255 visible ASCII characters
        \tP1  ->  request_invalid: the idempotency key `P1` must be 1 to 255 visible ASCII characters
        Ｐ１  ->  request_invalid: the idempotency key `Ｐ１` must be 1 to 255 visible ASCII characters
        p1\u{200b}  ->  request_invalid: the idempotency key `p1` must be 1 to 255 visible ASCII characters
        ṕ1  ->  request_invalid: the idempotency key `ṕ1` must be 1 to 255 visible ASCII characters
        kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk  ->  request_invalid: the idempotency key `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk` must be 1 to 255 visible ASCII characters
    "#]],
    );
}

fn destination(kind: &str, value: Value) -> String {
    let mut manifest = world::action("go", "send", json!({}));
    manifest["arguments"] = json!({"type": "object", "properties": {"to": {}}});
    manifest["fields"] = json!({"destination": {"value": "/to", "kind": kind}});
    let arguments = if value.is_null() { json!({}) } else { json!({ "to": value }) };
    understood(&Action::parse(
        proposal(&principal("a"), "go", &arguments),
        &catalogue(&[manifest]),
        &Limits::default(),
    ))
}

#[test]
fn urls_are_compared_by_host_as_a_browser_reads_it() {
    let urls = [
        "https://example.com/path?q#f",
        "HTTPS://EXAMPLE.com:443/",
        "http://example.com:80",
        "http://example.com:443",
        "https://example.com.",
        "https://example.com..",
        "https://ex%61mple.com/",
        "https://bücher.example/",
        "https://xn--bcher-kva.example/",
        "https://ｅxample.com/",
        "https://exаmple.com/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1]:8080/",
        "http://localhost",
        // Read differently by different readers, so not read at all.
        "https://good.example\\@evil.example/",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        " https://example.com",
        "https://exam ple.com",
        "https://exam\tple.com",
        "https://example.com/\r\nHost: evil",
        "https://user@evil.example/",
        "https://user:pw@evil.example/",
        "https://:@evil.example/",
        "https://@evil.example/",
        "https://good.example\u{200b}.evil.example",
        "https://\u{202e}elpmaxe.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/plain,x",
        "//evil.example",
        "example.com",
        "https://",
        "",
    ];
    table(
        urls.map(|url| (url.escape_debug().to_string(), destination("url", json!(url)))),
        &expect![[r#"
        https://example.com/path?q#f  ->  ok to=example.com
        HTTPS://EXAMPLE.com:443/  ->  ok to=example.com
        http://example.com:80  ->  ok to=example.com
        http://example.com:443  ->  ok to=example.com:443
        https://example.com.  ->  ok to=example.com
        https://example.com..  ->  ok to=example.com
        https://ex%61mple.com/  ->  ok to=example.com
        https://bücher.example/  ->  ok to=xn--bcher-kva.example
        https://xn--bcher-kva.example/  ->  ok to=xn--bcher-kva.example
        https://ｅxample.com/  ->  ok to=example.com
        https://exаmple.com/  ->  ok to=xn--exmple-4nf.com
        http://127.1/  ->  ok to=127.0.0.1
        http://2130706433/  ->  ok to=127.0.0.1
        http://0x7f.0.0.1/  ->  ok to=127.0.0.1
        http://[::ffff:127.0.0.1]/  ->  ok to=[::ffff:7f00:1]
        http://[::1]:8080/  ->  ok to=[::1]:8080
        http://localhost  ->  ok to=localhost
        https://good.example\\@evil.example/  ->  destination_invalid: `https://good.example\@evil.example/` is no plain http or https URL
        https:evil.example  ->  destination_invalid: `https:evil.example` is no plain http or https URL
        https:/evil.example  ->  destination_invalid: `https:/evil.example` is no plain http or https URL
        https:///evil.example  ->  destination_invalid: `https:///evil.example` is no plain http or https URL
         https://example.com  ->  destination_invalid: ` https://example.com` is no plain http or https URL
        https://exam ple.com  ->  destination_invalid: `https://exam ple.com` is no plain http or https URL
        https://exam\tple.com  ->  destination_invalid: the destination `https://example.com` has invisible or control characters
        https://example.com/\r\nHost: evil  ->  destination_invalid: the destination `https://example.com/Host: evil` has invisible or control characters
        https://user@evil.example/  ->  destination_invalid: `https://user@evil.example/` is no plain http or https URL
        https://user:pw@evil.example/  ->  destination_invalid: `https://user:pw@evil.example/` is no plain http or https URL
        https://:@evil.example/  ->  destination_invalid: `https://:@evil.example/` is no plain http or https URL
        https://@evil.example/  ->  destination_invalid: `https://@evil.example/` is no plain http or https URL
        https://good.example\u{200b}.evil.example  ->  destination_invalid: the destination `https://good.example.evil.example` has invisible or control characters
        https://\u{202e}elpmaxe.com  ->  destination_invalid: the destination `https://elpmaxe.com` has invisible or control characters
        ftp://example.com  ->  destination_invalid: `ftp://example.com` is no plain http or https URL
        file:///etc/passwd  ->  destination_invalid: `file:///etc/passwd` is no plain http or https URL
        javascript:alert(1)  ->  destination_invalid: `javascript:alert(1)` is no plain http or https URL
        data:text/plain,x  ->  destination_invalid: `data:text/plain,x` is no plain http or https URL
        //evil.example  ->  destination_invalid: `//evil.example` is no plain http or https URL
        example.com  ->  destination_invalid: `example.com` is no plain http or https URL
        https://  ->  destination_invalid: `https://` is no plain http or https URL
          ->  destination_invalid: `` is no plain http or https URL
    "#]],
    );
}

#[test]
fn hosts_are_compared_in_lower_case_without_the_last_dot() {
    let hosts = [
        "Example.COM",
        "example.com.",
        "a.b.example",
        "10.0.0.1",
        "0x0a000001",
        "[::1]",
        "::1",
        "example.com:80",
        "a/b",
        "a b",
        "",
        ".",
        "*",
        "evil.example#good",
        "good.example@evil.example",
    ];
    table(
        hosts.map(|host| (host.to_owned(), destination("host", json!(host)))),
        &expect![[r#"
        Example.COM  ->  ok to=example.com
        example.com.  ->  ok to=example.com
        a.b.example  ->  ok to=a.b.example
        10.0.0.1  ->  ok to=10.0.0.1
        0x0a000001  ->  ok to=10.0.0.1
        [::1]  ->  ok to=[::1]
        ::1  ->  destination_invalid: `::1` is no host name
        example.com:80  ->  destination_invalid: `example.com:80` is no host name
        a/b  ->  destination_invalid: `a/b` is no host name
        a b  ->  destination_invalid: `a b` is no host name
          ->  destination_invalid: `` is no host name
        .  ->  destination_invalid: `.` is no host name
        *  ->  ok to=*
        evil.example#good  ->  destination_invalid: `evil.example#good` is no host name
        good.example@evil.example  ->  destination_invalid: `good.example@evil.example` is no host name
    "#]],
    );
}

#[test]
fn mail_addresses_name_one_mailbox() {
    let addresses = [
        "ann@example.com",
        "Ann@EXAMPLE.com.",
        "a+b@example.com",
        "ann@bücher.example",
        "Ann <ann@evil.example>",
        "ann@example.com,eve@evil.example",
        "ann@example.com;eve@evil.example",
        "ann@evil.example@example.com",
        "\"ann@good.example\"@evil.example",
        "ann@example.com\r\nBcc: eve@evil.example",
        "ann",
        "@example.com",
        "ann@",
        "ann@exam ple.com",
        "ann @example.com",
        " ann@example.com",
        "a\u{200b}nn@example.com",
        "eve%evil.example@example.com",
        "evil.example!eve@example.com",
        "mailto:ann@example.com",
        "ann@example.com?bcc=eve@evil.example",
        "ann@example.com>",
        "(x)ann@example.com",
    ];
    table(
        addresses.map(|a| (a.escape_debug().to_string(), destination("email", json!(a)))),
        &expect![[r#"
        ann@example.com  ->  ok to=ann@example.com
        Ann@EXAMPLE.com.  ->  ok to=Ann@example.com
        a+b@example.com  ->  ok to=a+b@example.com
        ann@bücher.example  ->  ok to=ann@xn--bcher-kva.example
        Ann <ann@evil.example>  ->  destination_invalid: `Ann <ann@evil.example>` is no single mail address
        ann@example.com,eve@evil.example  ->  destination_invalid: `ann@example.com,eve@evil.example` is no single mail address
        ann@example.com;eve@evil.example  ->  destination_invalid: `ann@example.com;eve@evil.example` is no single mail address
        ann@evil.example@example.com  ->  destination_invalid: `ann@evil.example@example.com` is no single mail address
        \"ann@good.example\"@evil.example  ->  destination_invalid: `"ann@good.example"@evil.example` is no single mail address
        ann@example.com\r\nBcc: eve@evil.example  ->  destination_invalid: the destination `ann@example.comBcc: eve@evil.example` has invisible or control characters
        ann  ->  destination_invalid: `ann` is no single mail address
        @example.com  ->  destination_invalid: `@example.com` is no single mail address
        ann@  ->  destination_invalid: `ann@` has no valid domain
        ann@exam ple.com  ->  destination_invalid: `ann@exam ple.com` has no valid domain
        ann @example.com  ->  destination_invalid: `ann @example.com` is no single mail address
         ann@example.com  ->  destination_invalid: ` ann@example.com` is no single mail address
        a\u{200b}nn@example.com  ->  destination_invalid: the destination `ann@example.com` has invisible or control characters
        eve%evil.example@example.com  ->  destination_invalid: `eve%evil.example@example.com` is no single mail address
        evil.example!eve@example.com  ->  destination_invalid: `evil.example!eve@example.com` is no single mail address
        mailto:ann@example.com  ->  destination_invalid: `mailto:ann@example.com` is no single mail address
        ann@example.com?bcc=eve@evil.example  ->  destination_invalid: `ann@example.com?bcc=eve@evil.example` is no single mail address
        ann@example.com>  ->  destination_invalid: `ann@example.com>` has no valid domain
        (x)ann@example.com  ->  destination_invalid: `(x)ann@example.com` is no single mail address
    "#]],
    );
}

#[test]
fn destinations_are_strings_and_each_counts() {
    let values = [
        json!(["a@x.example", "b@y.example"]),
        json!([]),
        json!(["a@x.example", 1]),
        json!([["a@x.example"]]),
        json!({"to": "a@x.example"}),
        json!(1),
        json!(true),
        Value::Null,
    ];
    table(
        values.map(|v| (v.to_string(), destination("email", v))),
        &expect![[r#"
        ["a@x.example","b@y.example"]  ->  ok to=a@x.example to=b@y.example
        []  ->  ok
        ["a@x.example",1]  ->  destination_invalid: `1` is no destination; a string is expected
        [["a@x.example"]]  ->  destination_invalid: `["a@x.example"]` is no destination; a string is expected
        {"to":"a@x.example"}  ->  destination_invalid: `{"to":"a@x.example"}` is no destination; a string is expected
        1  ->  destination_invalid: `1` is no destination; a string is expected
        true  ->  destination_invalid: `true` is no destination; a string is expected
        null  ->  ok
    "#]],
    );
    let names = [
        json!("vendor_1"),
        json!("Vendor_1"),
        json!("vendor_1 "),
        json!("vendor\u{200b}_1"),
        json!("../x"),
        json!(""),
    ];
    table(
        names.map(|v| (v.to_string().escape_debug().to_string(), destination("name", v))),
        &expect![[r#"
        \"vendor_1\"  ->  ok to=vendor_1
        \"Vendor_1\"  ->  ok to=Vendor_1
        \"vendor_1 \"  ->  ok to=vendor_1 
        \"vendor\u{200b}_1\"  ->  destination_invalid: the destination `vendor_1` has invisible or control characters
        \"../x\"  ->  ok to=../x
        \"\"  ->  ok to=
    "#]],
    );
}

fn amount(field: Value, properties: Value, arguments: Value) -> String {
    let mut manifest = world::action("pay", "pay", json!({}));
    manifest["arguments"] = json!({"type": "object", "properties": properties});
    manifest["fields"] = json!({ "amount": field });
    understood(&Action::parse(
        proposal(&principal("a"), "pay", &arguments),
        &catalogue(&[manifest]),
        &Limits::default(),
    ))
}

#[test]
fn amounts_are_exact_or_none() {
    let values = [
        json!(1),
        json!(0),
        json!(0.1),
        json!("0.10"),
        json!("00012.50"),
        json!("79228162514264337593543950335"),
        json!(9007199254740991i64),
        json!(-1),
        json!("-0.01"),
        json!("-0"),
        json!("1.005"),
        json!(1.005),
        json!("8.0000000000000000000000000001"),
        json!(1e-7),
        json!(1e-29),
        json!(1e15),
        json!("1e3"),
        json!("1_000"),
        json!("1,000"),
        json!("+1"),
        json!(" 1"),
        json!("1."),
        json!(".5"),
        json!("١٢"),
        json!("NaN"),
        json!("Infinity"),
        json!("0x10"),
        json!("99999999999999999999999999999999"),
        json!(null),
        json!(true),
        json!([99999]),
        json!({"v": 1}),
    ];
    let rows = values.map(|v| {
        let out =
            amount(json!({"value": "/amount", "unit": "EUR"}), json!({"amount": {}}), json!({ "amount": v }));
        (v.to_string(), out)
    });
    table(
        rows,
        &expect![[r#"
        1  ->  ok amount=1 EUR
        0  ->  ok amount=0 EUR
        0.1  ->  ok amount=0.1 EUR
        "0.10"  ->  ok amount=0.1 EUR
        "00012.50"  ->  ok amount=12.5 EUR
        "79228162514264337593543950335"  ->  ok amount=79228162514264337593543950335 EUR
        9007199254740991  ->  ok amount=9007199254740991 EUR
        -1  ->  amount_invalid: the amount `-1` is negative
        "-0.01"  ->  amount_invalid: the amount `-0.01` is negative
        "-0"  ->  ok amount=0 EUR
        "1.005"  ->  amount_invalid: the amount `1.005` has more than 2 digits after the point
        1.005  ->  amount_invalid: the amount `1.005` has more than 2 digits after the point
        "8.0000000000000000000000000001"  ->  amount_invalid: the amount `"8.0000000000000000000000000001"` is no decimal number
        1e-7  ->  amount_invalid: the amount `0.0000001` has more than 2 digits after the point
        1e-29  ->  amount_invalid: the amount `1e-29` is no decimal number
        1000000000000000.0  ->  ok amount=1000000000000000 EUR
        "1e3"  ->  amount_invalid: the amount `"1e3"` is no decimal number
        "1_000"  ->  amount_invalid: the amount `"1_000"` is no decimal number
        "1,000"  ->  amount_invalid: the amount `"1,000"` is no decimal number
        "+1"  ->  amount_invalid: the amount `"+1"` is no decimal number
        " 1"  ->  amount_invalid: the amount `" 1"` is no decimal number
        "1."  ->  amount_invalid: the amount `"1."` is no decimal number
        ".5"  ->  amount_invalid: the amount `".5"` is no decimal number
        "١٢"  ->  amount_invalid: the amount `"١٢"` is no decimal number
        "NaN"  ->  amount_invalid: the amount `"NaN"` is no decimal number
        "Infinity"  ->  amount_invalid: the amount `"Infinity"` is no decimal number
        "0x10"  ->  amount_invalid: the amount `"0x10"` is no decimal number
        "99999999999999999999999999999999"  ->  amount_invalid: the amount `"99999999999999999999999999999999"` is no decimal number
        null  ->  amount_invalid: the amount `null` is no decimal number
        true  ->  amount_invalid: the amount `true` is no decimal number
        [99999]  ->  amount_invalid: the amount `[99999]` is no decimal number
        {"v":1}  ->  amount_invalid: the amount `{"v":1}` is no decimal number
    "#]],
    );
}

#[test]
fn unit_of_an_amount_is_a_currency_that_the_arguments_name() {
    let field = json!({"value": "/amount", "unit_at": "/currency"});
    let units = [
        json!("EUR"),
        json!("JPY"),
        json!("BHD"),
        json!("eur"),
        json!("EUR "),
        json!("ＥＵＲ"),
        json!(""),
        json!("rows"),
        json!("calls"),
        json!("bytes"),
        json!("recipients"),
        json!(1),
        json!(null),
        json!(["EUR"]),
    ];
    let rows = units.map(|unit| {
        let arguments = json!({"amount": "1.5", "currency": unit});
        (unit.to_string(), amount(field.clone(), json!({"amount": {}, "currency": {}}), arguments))
    });
    table(
        rows,
        &expect![[r#"
        "EUR"  ->  ok amount=1.5 EUR
        "JPY"  ->  amount_invalid: the amount `1.5` has more than 0 digits after the point
        "BHD"  ->  ok amount=1.5 BHD
        "eur"  ->  ok amount=1.5 EUR
        "EUR "  ->  amount_invalid: `EUR ` is no currency code
        "ＥＵＲ"  ->  amount_invalid: `ＥＵＲ` is no currency code
        ""  ->  amount_invalid: `` is no currency code
        "rows"  ->  amount_invalid: `rows` is no currency code
        "calls"  ->  amount_invalid: `calls` is no currency code
        "bytes"  ->  amount_invalid: `bytes` is no currency code
        "recipients"  ->  amount_invalid: `recipients` is no currency code
        1  ->  amount_invalid: the currency of the amount at `/currency` is missing
        null  ->  amount_invalid: the currency of the amount at `/currency` is missing
        ["EUR"]  ->  amount_invalid: the currency of the amount at `/currency` is missing
    "#]],
    );
    let missing = amount(field, json!({"amount": {}, "currency": {}}), json!({"amount": "1"}));
    expect!["amount_invalid: the currency of the amount at `/currency` is missing"].assert_eq(&missing);
}

#[test]
fn what_is_declared_and_missing_counts_as_the_worst() {
    let mut manifest = world::action("export", "send", json!({}));
    manifest["arguments"] = json!({"type": "object", "properties": {"rows": {}, "what": {}}});
    manifest["fields"] = json!({"rows": "/rows", "resource": "/what"});
    let catalogue = catalogue(&[manifest]);
    let inputs = [
        json!({"rows": 5}),
        json!({"rows": []}),
        json!({"rows": [1, 2]}),
        json!({"rows": 0}),
        json!({}),
        json!({"rows": null}),
        json!({"rows": -5}),
        json!({"rows": 1.5}),
        json!({"rows": "5"}),
        json!({"rows": {"n": 5}}),
        json!({"rows": 1, "what": 7}),
        json!({"rows": 1, "what": ["a"]}),
    ];
    let rows = inputs.map(|arguments| {
        (
            arguments.to_string(),
            understood(&Action::parse(
                proposal(&principal("a"), "export", &arguments),
                &catalogue,
                &Limits::default(),
            )),
        )
    });
    table(
        rows,
        &expect![[r#"
        {"rows":5}  ->  ok rows=5
        {"rows":[]}  ->  ok rows=0
        {"rows":[1,2]}  ->  ok rows=2
        {"rows":0}  ->  ok rows=0
        {}  ->  ok rows=all
        {"rows":null}  ->  ok rows=all
        {"rows":-5}  ->  ok rows=all
        {"rows":1.5}  ->  ok rows=all
        {"rows":"5"}  ->  ok rows=all
        {"rows":{"n":5}}  ->  ok rows=all
        {"rows":1,"what":7}  ->  ok resource=7 rows=1
        {"rows":1,"what":["a"]}  ->  ok resource=["a"] rows=1
    "#]],
    );
}

fn fits(schema: &Value, arguments: &Value) -> &'static str {
    let manifest = json!({"name": "x", "effect": "read", "arguments": schema});
    let action =
        Action::parse(proposal(&principal("a"), "x", arguments), &catalogue(&[manifest]), &Limits::default());
    if action.problems.is_empty() { "fits" } else { "refused" }
}

#[test]
fn unknown_fields_are_refused_wherever_a_schema_lists_its_own() {
    let string = json!({"type": "string"});
    let rows: Vec<(&str, Value, Value)> = vec![
        ("listed", json!({"type": "object", "properties": {"a": string}}), json!({"a": "1"})),
        ("not listed", json!({"type": "object", "properties": {"a": string}}), json!({"a": "1", "b": 1})),
        ("lists nothing", json!({"type": "object"}), json!({"b": 1})),
        (
            "says so",
            json!({"type": "object", "properties": {"a": string}, "additionalProperties": true}),
            json!({"b": 1}),
        ),
        ("says which", json!({"type": "object", "additionalProperties": string}), json!({"b": "1"})),
        (
            "nested",
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": string}}}}),
            json!({"a": {"c": 1}}),
        ),
        (
            "nested map",
            json!({"type": "object", "properties": {"a": {"type": "object"}}}),
            json!({"a": {"c": 1}}),
        ),
        (
            "in a list",
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {"b": string}}}}}),
            json!({"a": [{"b": "1"}, {"c": 1}]}),
        ),
        (
            "by reference, listed",
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"type": "object", "properties": {"b": string}}}}),
            json!({"a": {"b": "1"}}),
        ),
        (
            "by reference",
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"type": "object", "properties": {"b": string}}}}),
            json!({"a": {"c": 1}}),
        ),
        (
            "by pattern, listed",
            json!({"type": "object", "properties": {"a": string}, "patternProperties": {"^x-": string}}),
            json!({"a": "1", "x-b": "1"}),
        ),
        (
            "by pattern",
            json!({"type": "object", "properties": {"a": string}, "patternProperties": {"^x-": string}}),
            json!({"a": "1", "b": "1"}),
        ),
        (
            "one of two required, listed",
            json!({"type": "object", "properties": {"a": string, "b": string}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            json!({"a": "1"}),
        ),
        (
            "one of two required",
            json!({"type": "object", "properties": {"a": string, "b": string}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            json!({"a": "1", "c": 1}),
        ),
        (
            "all of two, listed",
            json!({"type": "object", "allOf": [{"properties": {"a": string}}, {"properties": {"b": string}}]}),
            json!({"a": "1", "b": "1"}),
        ),
        (
            "all of two",
            json!({"type": "object", "allOf": [{"properties": {"a": string}}, {"properties": {"b": string}}]}),
            json!({"a": "1", "c": 1}),
        ),
        (
            "nullable object",
            json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "object", "properties": {"b": string}}, {"type": "null"}]}}}),
            json!({"a": {"b": "1", "c": 1}}),
        ),
        (
            "nullable object, null",
            json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "object", "properties": {"b": string}}, {"type": "null"}]}}}),
            json!({"a": null}),
        ),
        (
            "data that looks like a schema",
            json!({"type": "object", "properties": {"a": {"const": {"properties": {"b": 1}}}}}),
            json!({"a": {"properties": {"b": 1}}}),
        ),
        (
            "a property called properties",
            json!({"type": "object", "properties": {"properties": {"type": "object", "properties": {"b": string}}}}),
            json!({"properties": {"c": 1}}),
        ),
        (
            "a property called enum",
            json!({"type": "object", "properties": {"enum": {"type": "object", "properties": {"b": string}}}}),
            json!({"enum": {"c": 1}}),
        ),
    ];
    table(
        rows.into_iter()
            .map(|(name, schema, arguments)| (name.to_owned(), fits(&schema, &arguments).to_owned())),
        &expect![[r#"
        listed  ->  fits
        not listed  ->  refused
        lists nothing  ->  refused
        says so  ->  fits
        says which  ->  fits
        nested  ->  refused
        nested map  ->  fits
        in a list  ->  refused
        by reference, listed  ->  fits
        by reference  ->  refused
        by pattern, listed  ->  fits
        by pattern  ->  refused
        one of two required, listed  ->  fits
        one of two required  ->  refused
        all of two, listed  ->  fits
        all of two  ->  refused
        nullable object  ->  refused
        nullable object, null  ->  fits
        data that looks like a schema  ->  fits
        a property called properties  ->  refused
        a property called enum  ->  refused
    "#]],
    );
}

#[test]
fn closing_a_schema_loosens_none_of_its_conditions() {
    let forbidden = json!({
        "type": "object", "properties": {"force": {"type": "boolean"}, "path": {"type": "string"}},
        "not": {"properties": {"force": {"const": true}}, "required": ["force"]},
    });
    assert_eq!(fits(&forbidden, &json!({"path": "/"})), "fits");
    assert_eq!(fits(&forbidden, &json!({"force": true})), "refused");
    assert_eq!(
        fits(&forbidden, &json!({"force": true, "path": "/"})),
        "refused",
        "an innocent field beside it"
    );

    let conditional = json!({
        "type": "object", "properties": {"kind": {"type": "string"}, "iban": {"type": "string"}, "note": {"type": "string"}},
        "if": {"properties": {"kind": {"const": "wire"}}, "required": ["kind"]}, "then": {"required": ["iban"]},
    });
    assert_eq!(fits(&conditional, &json!({"kind": "cash", "note": "x"})), "fits");
    assert_eq!(fits(&conditional, &json!({"kind": "wire"})), "refused");
    assert_eq!(
        fits(&conditional, &json!({"kind": "wire", "note": "x"})),
        "refused",
        "an innocent field beside it"
    );
    assert_eq!(fits(&conditional, &json!({"kind": "wire", "iban": "DE", "note": "x"})), "fits");
    assert_eq!(fits(&conditional, &json!({"kind": "wire", "iban": "DE", "more": 1})), "refused");

    // Closing the first branch must not make the second the only one.
    let one_of = json!({
        "type": "object",
        "oneOf": [
            {"properties": {"a": {"type": "object", "properties": {"x": {}}}}, "required": ["a"]},
            {"properties": {"a": {"type": "object"}}, "required": ["a"]},
        ],
    });
    assert_eq!(fits(&one_of, &json!({"a": {"y": 1}})), "refused", "both branches as they are written");

    let old = json!({
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
        "properties": {"wire": {"type": "boolean"}, "iban": {"type": "string"}}, "dependencies": {"wire": ["iban"]},
    });
    assert_eq!(fits(&old, &json!({"wire": true, "iban": "DE"})), "fits");
    assert_eq!(fits(&old, &json!({"wire": true})), "refused");
}

#[test]
fn schema_of_an_older_draft_is_closed_too() {
    for draft in [
        "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-06/schema#",
        "https://json-schema.org/draft/2019-09/schema",
    ] {
        let schema = json!({
            "$schema": draft, "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}, "deep": {"$ref": "#/definitions/deep"}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            "definitions": {"deep": {"type": "object", "properties": {"c": {"type": "string"}}}},
        });
        assert_eq!(fits(&schema, &json!({"a": "1", "deep": {"c": "1"}})), "fits", "{draft}");
        assert_eq!(fits(&schema, &json!({"a": "1", "x": 1})), "refused", "{draft}");
        assert_eq!(fits(&schema, &json!({"a": "1", "deep": {"x": 1}})), "refused", "{draft}");
        assert_eq!(fits(&schema, &json!({})), "refused", "{draft}");
    }
}

#[test]
fn defaults_are_not_invented() {
    let schema = json!({"type": "object", "properties": {"limit": {"type": "integer", "default": 10}}});
    let manifest = json!({"name": "x", "effect": "read", "arguments": schema});
    let action = Action::parse(
        proposal(&principal("a"), "x", &json!({})),
        &catalogue(&[manifest]),
        &Limits::default(),
    );
    assert_eq!(action.arguments.text(), "{}");
}

#[test]
fn cents_pass_a_schema_in_steps_of_cents() {
    let schema = json!({"type": "object", "properties": {"amount": {"type": "number", "multipleOf": 0.01}}});
    for amount in [19.99, 0.07, 1.1, 4.35, 1_000_000.01, 2.0] {
        assert_eq!(fits(&schema, &json!({ "amount": amount })), "fits", "{amount}");
    }
    assert_eq!(fits(&schema, &json!({"amount": 19.999})), "refused");
}

#[test]
fn digest_covers_who_what_and_with_which_definition() {
    let note = world::action("note", "write", json!({"a": {}, "b": {}}));
    let other = world::action("note", "read", json!({"a": {}, "b": {}}));
    let who = principal("a");
    let digest = |proposal, manifest: &Value| {
        Action::parse(proposal, &catalogue(std::slice::from_ref(manifest)), &Limits::default()).digest
    };
    let first = digest(raw(&who, "note", r#"{"a":1,"b":2}"#), &note);
    assert_eq!(
        first,
        digest(raw(&who, "note", " {\"b\": 2.0, \"\\u0061\": 1e0} "), &note),
        "the same meaning, written otherwise"
    );
    let mut undo = raw(&who, "note", r#"{"a":1,"b":2}"#);
    undo.compensates = Some(aecl_kernel::base::id::ActionId::new("act_1").unwrap());
    let changes = [
        ("argument", digest(raw(&who, "note", r#"{"a":1,"b":3}"#), &note)),
        ("type of an argument", digest(raw(&who, "note", r#"{"a":1,"b":"2"}"#), &note)),
        ("definition", digest(raw(&who, "note", r#"{"a":1,"b":2}"#), &other)),
        ("name", digest(raw(&who, "nope", r#"{"a":1,"b":2}"#), &note)),
        ("what it undoes", digest(undo, &note)),
        ("agent", digest(raw(&principal("b"), "note", r#"{"a":1,"b":2}"#), &note)),
    ];
    let mut seen = std::collections::BTreeSet::from([first]);
    for (what, digest) in changes {
        assert!(seen.insert(digest), "{what}");
    }
    for change in ["user", "tenant", "project", "environment", "run"] {
        let mut value = serde_json::to_value(&who).unwrap();
        value[change] = json!("other");
        let other: aecl_kernel::base::principal::Principal = serde_json::from_value(value).unwrap();
        assert!(seen.insert(digest(raw(&other, "note", r#"{"a":1,"b":2}"#), &note)), "{change}");
    }
}

/// One digest is one decision: how a meaning was written leaves no trace in what was understood of it.
#[test]
fn one_meaning_is_understood_in_one_way_however_it_is_written() {
    let mut bulk = world::action("note.bulk", "write", json!({"n": {"type": "number"}}));
    bulk["fields"] = json!({"rows": "/n", "resource": "/n"});
    let catalogue = catalogue(&[world::action("note", "write", json!({"a": {"type": "string"}})), bulk]);
    let parse = |name: &str, text: &str| {
        Action::parse(raw(&principal("a"), name, text), &catalogue, &Limits::default())
    };
    for (name, one, other) in [
        ("note", r#"{"a":"x","z":1,"y":2}"#, r#"{"y":2,"z":1,"a":"x"}"#),
        ("note", r#"{"a":{"c":1,"b":[{"e":1,"d":2}]}}"#, r#"{ "a": {"b":[{"d":2,"e":1}], "c":1} }"#),
        ("note", r#"{"a":2}"#, r#"{"a":2.0}"#),
        ("note.bulk", r#"{"n":3}"#, r#"{"n":3.0}"#),
        ("note.bulk", r#"{"n":3}"#, r#"{"n":0.3e1}"#),
        ("note.bulk", r#"{"n":300000000000}"#, r#"{"n":3e11}"#),
    ] {
        let (one, other) = (parse(name, one), parse(name, other));
        assert_eq!(one.digest, other.digest);
        assert_eq!(understood(&one), understood(&other));
        assert_eq!(one.arguments.value().to_string(), other.arguments.value().to_string());
        // What replay reads is what was judged.
        let again = parse(name, one.arguments.text());
        assert_eq!(again.arguments.value().to_string(), other.arguments.value().to_string());
    }
}

#[test]
fn digest_text_is_written_in_one_way() {
    use aecl_kernel::base::digest::Digest;
    let text = Digest::of(b"x").to_string();
    assert_eq!(Digest::parse(&text), Some(Digest::of(b"x")));
    for other in [
        text.to_uppercase(),
        text.replace("sha256:", ""),
        text.replace("sha256:", "sha256: "),
        format!("{text}0"),
        format!("sha256:{}", "+1".repeat(32)),
        format!("sha256:{}", "AB".repeat(32)),
    ] {
        assert_eq!(Digest::parse(&other), None, "{other}");
    }
}
