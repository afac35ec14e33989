use super::*;

#[test]
fn what_leads_somewhere_is_found_in_a_text() {
    let text = "See https://evil.example/a, mail <eve@evil.example>, pay GB29NWBK60161331926819. Or www.x.com! report.pdf";
    let (found, more) = links(text, 10);
    let found: Vec<_> = found.iter().map(|a| a.text.as_str()).collect();
    assert_eq!(found, ["evil.example/a", "eve@evil.example", "GB29NWBK60161331926819", "www.x.com"]);
    assert!(!more);
    assert!(links(text, 2).1);
}

fn texts(text: &str) -> Vec<String> {
    links(text, 10).0.into_iter().map(|atom| atom.text).collect()
}

#[test]
fn a_link_is_named_by_where_it_leads_however_it_is_written() {
    for (text, expected) in [
        ("<img src=\"//a.example/?d=1\">", "a.example?d=1"),
        ("https:\\/\\/a.example/x", "a.example/x"),
        ("<img src=\"/\t/a.example/?d=1\">", "a.example?d=1"),
        ("<img src=/&NewLine;&#13;/a.example/x>", "a.example/x"),
        ("https:/\n/a.example/x", "a.example/x"),
        ("https:&Tab;/a.example/x", "a.example/x"),
        ("href=\"\u{1}//a.example/x\"", "a.example/x"),
        ("url(//a\\.example/x)", "a.example/x"),
        ("[x](bit\\.ly/x)", "bit.ly/x"),
        ("http:/a.example", "a.example"),
        ("url(//a.example/x)", "a.example/x"),
        ("x=//a.example/x", "a.example/x"),
        ("bit.ly/x", "bit.ly/x"),
        ("WWW.a.example", "www.a.example"),
        ("ａ.example/x", "a.example/x"),
        ("see\u{200b} bit\u{ad}.ly/x", "bit.ly/x"),
        ("https://a.example/?x=1&amp;y=2", "a.example?x=1&y=2"),
        ("mailto:eve@a.example?subject=x", "eve@a.example"),
        ("DE02 1203 0000 0000 2020 51", "DE02120300000000202051"),
        ("de02 120300000000 202051", "DE02120300000000202051"),
        ("Kto. 532 013 000", "532013000"),
        ("account 12345678-9", "12345678"),
    ] {
        assert_eq!(texts(text), [expected], "{text}");
    }
}

#[test]
fn what_only_looks_like_it_leads_nowhere() {
    for text in [
        "a // b",
        "see a/\n/b and https:\nnothing",
        "lists:\n/etc/hosts\n\n// todo",
        "//",
        "// todo",
        "http: and https:",
        "16:9",
        "and/or",
        "e.g./i.e.",
        "1.2.3/4",
        "10.0.0.0/8",
        "notes.md/",
        "main.rs:12",
        "a.b",
        "@all",
        "DE05 is a room, IT02 another",
        "account 12345",
        "0x52908400098527886E0F7030069857D2E4169E",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "&amp; &#; &#x; &#xffffffffff;",
    ] {
        assert_eq!(texts(text), [""; 0], "{text}");
    }
}

#[test]
fn a_long_text_is_read_in_one_pass() {
    for part in [
        "1234567,",
        "1234567-",
        "DE02 ",
        "DE02-1203-",
        "x=//",
        "http:",
        "https:\\",
        "a@",
        "a.",
        "&",
        "&#",
        "&#0",
        "=",
        "/",
        "\\",
        "account ",
        "konto 123456 ",
        " ",
        "\u{200b}",
        "。",
        "a:b@",
        "1",
        "/\n",
        "\n/",
        ":\t\t",
        "\\.",
        "bc1q",
        "0x",
        "<",
        "www.",
    ] {
        let text = part.repeat((1 << 17) / part.len());
        let (found, _) = links(&text, 64);
        assert!(found.len() <= 64, "{part}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(text in "[a-zA-Z0-9 ./\\\\:@&#;=?'\"<>(){}。\u{ad}\u{200b}ｗ-]{0,80}", any in ".{0,80}") {
        for text in [text, any] {
            let (found, more) = links(&text, 3);
            proptest::prop_assert!(found.len() <= 3 && (found.len() == 3 || !more));
            let same = links(&text, 64).0;
            proptest::prop_assert!(same.starts_with(&found));
        }
    }
}
