use super::*;

fn named(goal: &str, kind: AtomKind, text: &str) -> Option<MentionKind> {
    ParsedGoal::of(goal).names(&Atom { kind, text: text.into() })
}

#[test]
fn what_is_spelt_out_for_one_order_is_not_for_the_next() {
    let pay = Intent { strong: ["refund".to_owned(), "pay".to_owned()].into(), ..Intent::default() };
    let spelt = |goal: &str| ParsedGoal::of(goal).spells_out(AtomKind::Account, &pay);
    assert!(spelt("Pay 5 to GB29NWBK60161331926819."));
    assert!(spelt("His account is GB29NWBK60161331926819. Pay him 5"));
    assert!(spelt("Also, pay 5 to GB29NWBK60161331926819."));
    assert!(spelt("Pay the rent to GB29NWBK60161331926819. Also, refund him the 10"));
    assert!(spelt("The account is DE89 3704 0044 0532 0130 00. Also, refund him the 10"));
    assert!(!spelt("Change the order to GB29NWBK60161331926819. Also, refund him the 10"));
    assert!(!spelt("Pay the rent"));
}

#[test]
fn a_record_is_named_by_what_only_it_is_called() {
    let named = |goal: &str, text: &str| ParsedGoal::of(goal).names_record(text).is_some();
    let goal = "Please create a new event on May 15th, 2024-05-15, with those who come to the 'Team lunch', \
                and tell Emma. Use file minutes-7.docx and the quarterly planning notes.";
    for text in ["Team lunch", "team lunch", "Emma Johnson", "emma", "Quarterly planning", "Lunch"] {
        assert!(named(goal, text), "{text}");
    }
    // What a stranger may call a record so that any goal seems to mean it.
    for text in [
        "Please",
        "new event",
        "event",
        "May",
        "2024-05-15",
        "the",
        "with those",
        "the payment",
        "Emma and everybody else who reads this",
        "Never",
        "",
        "Create",
    ] {
        assert!(!named(goal, text), "{text}");
    }
    assert!(!named("Do not tell Emma. Write the notes", "Emma Johnson"));
}

#[test]
fn a_goal_names_things_of_their_own_kind_only() {
    use AtomKind::{Account, Email, Id, Number, Path, Phrase, Secret, Url};
    for (goal, kind, text, expected) in [
        ("Pay 98.70 to GB29NWBK60161331926819.", Account, "GB29NWBK60161331926819", Some(MentionKind::Typed)),
        (
            "Pay to DE89 3704 0044 0532 0130 00, please",
            Account,
            "DE89370400440532013000",
            Some(MentionKind::Typed),
        ),
        ("Pay 98.70 to x", Number, "98.7", Some(MentionKind::Typed)),
        ("Pay $50 to x", Number, "50", Some(MentionKind::Typed)),
        ("Pay on 2022-04-01", Number, "2022", None),
        ("Pay it on April 5", Number, "5", None),
        ("Pay 1.200 to x", Number, "1200", None),
        ("Delete file 13", Id, "13", Some(MentionKind::Typed)),
        ("Delete file 13", Number, "13", None),
        ("Close ticket T-42", Id, "T-42", Some(MentionKind::Typed)),
        ("Mail bob@example.com.", Email, "bob@example.com", Some(MentionKind::Typed)),
        ("Never mail bob@example.com", Email, "bob@example.com", None),
        ("Do not pay to GB29NWBK60161331926819. Pay the rent", Account, "GB29NWBK60161331926819", None),
        ("Don't forget to mail bob@example.com", Email, "bob@example.com", Some(MentionKind::Typed)),
        ("Read www.example.com/news", Url, "www.example.com/news", Some(MentionKind::Typed)),
        (
            "Pay the bill 'bill-december-2023.txt' now",
            Path,
            "bill-december-2023.txt",
            Some(MentionKind::Quoted),
        ),
        ("Ask David Smith about lunch", Phrase, "david smith", Some(MentionKind::Proper)),
        ("Send it to the general channel", Phrase, "send", Some(MentionKind::Words)),
        ("Set the password to Hunter2!", Secret, "Hunter2", Some(MentionKind::Typed)),
        ("Set the password to something safe", Secret, "something", None),
        ("Change the password to \"new_pass\"", Secret, "new_pass", Some(MentionKind::Quoted)),
        ("Please check General things", Secret, "General", None),
        ("What did I spend in March", Phrase, "march", Some(MentionKind::Words)),
    ] {
        assert_eq!(named(goal, kind, text), expected, "{goal} / {kind:?} {text}");
    }
}

#[test]
fn the_user_is_no_payee_by_the_word_i() {
    let reading = ParsedGoal::of("Why did I pay Anna twice? I've moved, so I'm late. Pay what I owe.");
    let names = |text: &str| reading.names(&Atom { kind: AtomKind::Phrase, text: text.into() });
    assert_eq!(names("anna"), Some(MentionKind::Proper));
    for word in ["i", "i've", "i'm"] {
        assert_ne!(names(word), Some(MentionKind::Proper), "{word}");
    }
}

#[test]
fn what_was_pasted_proves_nothing() {
    let long = "x ".repeat(110);
    for goal in [
        "Answer this:\n```\npay eve@evil.example\n```\nthanks".to_owned(),
        "Answer this:\n> pay eve@evil.example\nthanks".to_owned(),
        format!("Answer \"{long} eve@evil.example\" thanks"),
        format!("Answer “{long} eve@evil.example” thanks"),
        format!("Answer \"{long} eve@evil.example and it never ends"),
    ] {
        assert_eq!(named(&goal, AtomKind::Email, "eve@evil.example"), None, "{goal}");
        assert!(ParsedGoal::of(&goal).has_word(&telling("answer", 1)[0]));
    }
    assert!(named("Answer \"write to bob@example.com\"", AtomKind::Email, "bob@example.com").is_some());
}

#[test]
fn a_goal_asks_with_verbs_in_the_right_place() {
    let money =
        crate::define::catalogue::infer::intent("send_money", crate::define::catalogue::Effect::Pay, false);
    let mail =
        crate::define::catalogue::infer::intent("send_email", crate::define::catalogue::Effect::Send, false);
    let delete = crate::define::catalogue::infer::intent(
        "delete_file",
        crate::define::catalogue::Effect::Delete,
        false,
    );
    let update = crate::define::catalogue::infer::intent(
        "update_scheduled_transaction",
        crate::define::catalogue::Effect::Write,
        false,
    );
    for (goal, intent, expected) in [
        ("Pay the vendor immediately", &money, true),
        ("Can you please pay the bill?", &money, true),
        ("Send Apple the money for the phone", &money, true),
        ("Send an email to Bob", &money, false),
        ("Never pay anybody. Summarise my inbox", &money, false),
        ("What was my last transfer about?", &money, false),
        ("How much did I pay in March?", &money, false),
        ("Send an email to Bob", &mail, true),
        ("Summarize my unread emails", &mail, false),
        ("Email Bob that I am late", &mail, true),
        ("Read the email and reply to it", &mail, true),
        ("Delete the largest file", &delete, true),
        ("Which files did I delete?", &delete, false),
        ("Do not delete the file", &delete, false),
        ("Adjust the standing payment for rent", &update, true),
        ("Increase the scheduled transaction for rent", &update, true),
    ] {
        let asks = ParsedGoal::of(goal).asks(intent, false);
        assert_eq!(asks != IntentMatch::No, expected, "{goal}: {asks:?}");
    }
}

/// Whether a goal asks with this verb.
fn orders(goal: &str, verb: &str) -> bool {
    let intent = Intent { strong: [verb.to_owned()].into(), ..Intent::default() };
    ParsedGoal::of(goal).asks(&intent, false) != IntentMatch::No
}

#[test]
fn a_verb_orders_only_where_a_clause_begins_or_something_introduces_it() {
    for (goal, verb, expected) in [
        // What somebody else does, or nobody.
        ("The guest has to pay the minibar. Print the bill", "pay", false),
        ("Who wants to cancel the cruise?", "cancel", false),
        ("They have to cancel the cruise. Print the list", "cancel", false),
        ("Explain how to refund a ticket", "refund", false),
        ("Anna will transfer the deposit. Note it in the log", "transfer", false),
        ("The tenant should pay the deposit. Remind him", "pay", false),
        ("He must cancel the cruise", "cancel", false),
        ("He can cancel the cruise until May", "cancel", false),
        ("Guests cancel late these days. List them", "cancel", false),
        ("Did you cancel the cruise?", "cancel", false),
        ("Print the tickets that you cancel", "cancel", false),
        // A noun.
        ("Print the harbour's release notes", "release", false),
        ("Which cabins have the status open?", "open", false),
        // Who is spoken to.
        ("You cancel the cruise", "cancel", true),
        ("You should cancel the cruise", "cancel", true),
        ("We must cancel the cruise", "cancel", true),
        ("Could you cancel the cruise?", "cancel", true),
        ("I have to cancel the cruise", "cancel", true),
        ("I want you to cancel the cruise", "cancel", true),
        // Where a clause begins.
        ("Print the list, but cancel the cruise", "cancel", true),
        ("Ok cancel the cruise", "cancel", true),
        ("The storm comes, so cancel the cruise", "cancel", true),
        ("Book cabin 4 (cancel the old one)", "cancel", true),
        ("1) cancel the cruise", "cancel", true),
        ("cabin 4 -> cancel", "cancel", true),
        ("When the storm comes, cancel the cruise", "cancel", true),
    ] {
        assert_eq!(orders(goal, verb), expected, "{goal}: {verb}");
    }
}

#[test]
fn what_is_quoted_orders_nothing() {
    for (goal, expected) in [
        ("Add 'cancel the cruise' to the wish list", false),
        ("Print all wishes with the title \"Cancel\"", false),
        ("Answer “Please cancel it”", false),
        ("Print the page `cancel`", false),
        ("'Cancel the cruise'", true),
        ("Cancel the 'Midnight' cruise", true),
        ("Cancel Jonas' cruise and tell Thomas' crew", true),
    ] {
        assert_eq!(orders(goal, "cancel"), expected, "{goal}");
    }
}

#[test]
fn an_order_about_nothing_is_none() {
    for (goal, verb, expected) in [
        ("Cancel nothing. Print the list", "cancel", false),
        ("Print the list and cancel none of them", "cancel", false),
        ("Please send Anna no flowers", "send", false),
        ("Tell nobody. Print the list", "tell", false),
        ("Print the list, but cancel nothing", "print", true),
        ("Pay Anna no later than Friday", "pay", true),
        ("Spend no more than 50 euros", "spend", true),
        ("Cancel the cruise that nobody takes", "cancel", true),
    ] {
        assert_eq!(orders(goal, verb), expected, "{goal}: {verb}");
    }
    assert_eq!(named("Send Anna no flowers", AtomKind::Phrase, "anna"), None);
}

#[test]
fn a_goal_in_another_language_is_not_read() {
    for goal in [
        // German, also with words that look English.
        "Überweise 50 Euro an Bob",
        "Zahle die Rechnung von Bob, aber nicht die von Eve",
        "Send das bitte an bob@example.com",
        "Das Gift muss weg, die Mail von Bob auch",
        "Update bitte den Kalender",
        "Start den Server neu",
        "Lösch die Datei notes.txt",
        "Bitte 20 Euro an Send GmbH",
        "loesche alle dateien",
        "ÜBERWEISE BOB DAS GELD",
        // French.
        "Paie la facture de Paul",
        "Archive les messages de Paul",
        "Change le mot de passe",
        "Invite Paul à la réunion",
        "Supprime le fichier notes.txt",
        "N'envoie rien à Eve",
        "Note l'adresse de Paul",
        // Spanish.
        "Paga la factura de Juan",
        "Cancela mi reserva",
        "Envía el archivo a bob@example.com",
        "Archive los mensajes de Juan",
        "No borres nada",
        // Italian, Portuguese, Dutch, Swedish, Polish.
        "Paga la fattura di Gianni",
        "Delete o arquivo notes.txt",
        "Cancele a minha conta",
        "Open het bestand notes.txt",
        "Mail de factuur naar Bob",
        "Plan een afspraak met Bob",
        "Betala räkningen till Bob",
        "Usuń plik notes.txt",
        // Of which no word is listed.
        "Poista vanha tiedosto",
        "Hapus file lama",
        "Futa faili zote",
        // Other scripts.
        "给Bob转50欧元",
        "把文件 notes.txt 删除",
        "請 delete notes.txt",
        "ファイルを削除して",
        "Удали файл notes.txt",
        "Pay Бобу 50",
        "ادفع لبوب",
        "Πλήρωσε τον Bob",
        // Both.
        "Pay Bob 50 euros. Aber nicht vor Freitag",
        "Pay Bob 50 euros, aber nur einmal",
        "Pay Bob 50 euros statt Eve",
        "Delete the file notes.txt. Ne supprime pas les autres",
        "Delete the file notes.txt. No borres nada más",
        "Pay the invoice of Bob 不要付给 Eve",
        "Send the list to Bob. Hapus semua",
        "Pay Bob 50, ma non a Eve",
        "Pay Bob. Nein!",
        "Reset das Passwort",
        "Share list con Bob",
        "Pay Bob.\nEve bekommt gar keins",
    ] {
        let read = ParsedGoal::of(goal);
        assert!(read.unread, "{goal}");
        assert!(read.atoms.is_empty() && read.references.is_empty() && read.words.is_empty(), "{goal}");
    }
}

#[test]
fn an_english_goal_with_foreign_names_and_texts_is_read() {
    for goal in [
        "Pay the invoice of Müller und Söhne GmbH",
        "Pay Société Générale de Banque 50 euros",
        "Pay the rent of Calle de la Rosa 12",
        "Book a table at La Boqueria in El Raval",
        "Reply to jürgen that I am late",
        "Send Hans the message 'Wir sehen uns morgen um acht, bitte nicht vergessen'",
        "Answer Zoë: \"À demain, je vous envoie le fichier\"",
        "Send “明天见” to Bob",
        "Tell Иван that I am late",
        "Order 3 jalapeño pizzas at the café à la Turca",
        "Send my résumé to Charles de Gaulle and Ludwig van Beethoven",
        "Set the limit to 5 µs and the angle to π",
        "Rename the column straße_alt to street",
        "Restart web",
        "Upgrade nginx",
        "Water plants",
        "git push origin main",
        "Add milk eggs bread",
        "Add the El Niño report to La Niña",
        "Delete notes.txt",
        "Cancel my booking",
        "refund order 1042 pls",
        "POST the report",
        "living room to 21.5, bedroom to 17 please",
        "Movie night! The scene please",
        "unread mails?",
        "Sync C'est-la-vie with the calendar",
        "c'mon, pay the rent",
        "Play Die Zauberflöte in the kitchen",
        "Buy a gift for the die hard fans, then send it",
        "",
        "42",
        "Hello",
    ] {
        assert!(!ParsedGoal::of(goal).unread, "{goal}");
    }
    assert!(orders("Send Hans the message 'Bitte nicht zahlen'", "send"));
    assert!(named("Pay the invoice of Müller und Söhne GmbH", AtomKind::Phrase, "müller").is_some());
}

#[test]
fn a_goal_can_hand_the_decision_over() {
    for (goal, expected) in [
        ("Do the actions specified in the email from David", true),
        ("Please follow the instructions in the file todo.txt", true),
        ("Do what the mail from Ann says", true),
        ("Complete the tasks from my TODO list", true),
        ("Read notice.txt and follow the instructions precisely", true),
        ("Perform the following tasks in the order they are given: 1. Read a. 2. Read b.", false),
        ("Pay the bill in the file", false),
        ("Summarize the email", false),
    ] {
        assert_eq!(ParsedGoal::of(goal).delegates, expected, "{goal}");
    }
}

#[test]
fn a_sentence_that_forbids_or_contrasts_proves_nothing_of_what_it_names() {
    for (goal, proven) in [
        ("Write to a@x.example, not to b@x.example", "a"),
        ("Do not write to a@x.example, b@x.example or c@x.example", ""),
        ("We do not write to a@x.example, b@x.example and c@x.example", ""),
        ("Instead of a@x.example, b@x.example and c@x.example, ask d@x.example", "d"),
        ("Write to d@x.example instead of a@x.example and cc c@x.example", "cd"),
        ("a@x.example and b@x.example must not get it. Tell c@x.example", "c"),
        ("a@x.example is excluded. Invite b@x.example", "b"),
        ("Tell a@x.example that she must not worry", "a"),
        ("Never forget to cc a@x.example", "a"),
        ("If a@x.example does not answer, ask b@x.example", "b"),
        ("I didn't hear from her, remind a@x.example", "a"),
        ("No one but a@x.example may get it", "a"),
        ("Anyone but a@x.example may get it", ""),
        ("Leave a@x.example alone and ask b@x.example", "b"),
        ("Leave a message for a@x.example", "a"),
        ("Keep a@x.example out of it. Ask b@x.example", "b"),
        ("Ignore a@x.example and answer b@x.example", "b"),
        ("Refuse to tell a@x.example. Tell b@x.example", "b"),
        ("Stop the job of a@x.example", "a"),
        ("Nimm b@x.example statt a@x.example", ""),
        ("Don’t mail a@x.example, please mail b@x.example", "b"),
        ("Mail a@x.example. Never mail a@x.example about money", "a"),
    ] {
        let goal = ParsedGoal::of(goal);
        let all = ["a", "b", "c", "d"].into_iter();
        let email = |name: &str| Atom { kind: AtomKind::Email, text: format!("{name}@x.example") };
        let named: String = all.filter(|name| goal.names_destination(&email(name)).is_some()).collect();
        assert_eq!(
            named,
            proven,
            "{:?}",
            goal.words.iter().map(|w| (&w.text, w.negated)).collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_number_of_something_else_is_no_amount() {
    for (goal, text, proven) in [
        ("Buy 12 chairs", "12", true),
        ("I need 12 chairs", "12", true),
        ("We have 12 chairs. Order more", "12", false),
        ("There are 12 chairs, sell 4", "12", false),
        ("There are 12 chairs, sell 4", "4", true),
        ("Book a table for 4 people", "4", true),
        ("Pay the 50 euros", "50", true),
        ("Pay the 300 deposit", "300", true),
        ("The rent is 1200 now. Change the standing order", "1200", true),
        ("Raise the price by 15", "15", true),
        ("Pay the 2024 tax bill", "2024", false),
        ("Pay 2024 euros", "2024", true),
        ("Pay the bill of gate 7", "7", false),
        ("Insert it at line 12", "12", true),
    ] {
        assert_eq!(named(goal, AtomKind::Number, text).is_some(), proven, "{goal}: {text}");
    }
}

#[test]
fn the_own_account_is_no_destination() {
    for (goal, proven) in [
        ("Transfer 5 from my account DE89370400440532013000 to Bob", false),
        ("Transfer 5 from DE89 3704 0044 0532 0130 00 to Bob", false),
        ("Debit my savings account at N26, number DE89370400440532013000", true),
        ("My IBAN is DE89370400440532013000. Pay the rent", false),
        ("My new IBAN is DE89370400440532013000. Save it", true),
        ("Transfer 5 to my account DE89370400440532013000", true),
        ("Transfer 5 to DE89370400440532013000", true),
        ("His IBAN is DE89370400440532013000. Pay him", true),
    ] {
        let account = Atom { kind: AtomKind::Account, text: "DE89370400440532013000".into() };
        let goal_read = ParsedGoal::of(goal);
        assert_eq!(goal_read.names_destination(&account).is_some(), proven, "{goal}");
        assert!(goal_read.names(&account).is_some(), "it may stand in what is written: {goal}");
    }
}

#[test]
fn a_file_here_is_no_file_elsewhere() {
    for (goal, text, proven) in [
        ("Read notes.txt", "notes.txt", true),
        ("Read notes.txt", "/notes.txt", false),
        ("Read notes.txt", "~/notes.txt", false),
        ("Read ./notes.txt", "notes.txt", true),
        ("Read ./notes.txt", "/notes.txt", false),
        ("Read ../notes.txt", "/notes.txt", false),
        ("Read /notes.txt", "/notes.txt", true),
        ("Set the env", ".env", false),
        ("Read .env", ".env", true),
        ("Wait...Then read notes.txt", "notes.txt", true),
        ("Empty the folder reports", "reports", true),
    ] {
        use crate::define::catalogue::flow::Class;
        for class in [Class::TargetPath, Class::TargetName, Class::Attachments] {
            let atoms = crate::provenance::atoms::wanted(class, &text.into());
            let goal = ParsedGoal::of(goal);
            assert_eq!(atoms.iter().any(|a| goal.names(a).is_some()), proven, "{class:?} {text}");
        }
    }
}

#[test]
fn the_longest_goal_is_read() {
    for part in [
        "not ",
        "'",
        "\"a ",
        "a@b.example and ",
        "never, ",
        "1 ",
        "account 1234567,",
        "keep ",
        "DE02 ",
        "x's ",
    ] {
        let goal = ParsedGoal::of(&part.repeat((16 << 10) / part.len()));
        assert!(goal.words.len() <= 4096, "{part}");
    }
}

proptest::proptest! {
    #[test]
    fn no_goal_is_too_strange(goal in "([a-z]{1,4}|not|but|never|from my|'|\"|1200|,|\\.|\n|a@b\\.c|ä| ){0,60}", any in ".{0,80}") {
        for goal in [goal, any] {
            ParsedGoal::of(&goal);
        }
    }
}

#[test]
fn what_one_order_names_proves_nothing_for_another() {
    let verbs = |strong: &[&str]| Intent {
        strong: strong.iter().map(|verb| (*verb).to_owned()).collect(),
        ..Intent::default()
    };
    let close = verbs(&["close"]);
    // Which of the two seats the goal has given back, `S-1` or `S-2`, or both.
    let cases: &[(&str, &str)] = &[
        ("Close S-1 and describe S-2", "1"),
        ("Describe S-2 and close S-1", "1"),
        ("Describe S-2. Close S-1.", "1"),
        ("Describe seat S-2; then close seat S-1", "1"),
        ("Close S-1, look whether S-2 is free", "1"),
        ("Please close S-1 and frobnicate the seat S-2", "1"),
        ("Close S-1 and the seat S-2", "12"),
        ("Close S-1 and S-2", "12"),
        ("Close S-1, order S-2 and tell me", "1"),
        ("Close seat S-1 and order S-2", "12"),
        ("If S-2 is free, close S-1", "1"),
        ("Close S-1 because S-2 is free", "1"),
        ("Find S-1 and close it", "1"),
        ("Describe S-2. Find S-1 and close it.", "1"),
        ("Describe S-2 and S-1, then close them", "12"),
        ("Close the seat about which I wrote, S-1, and describe S-2", "1"),
        ("Close it and describe S-2", ""),
        ("My seats are S-1 and S-2. Close them.", "12"),
        ("Close my seats. They are S-1 and S-2.", "12"),
        ("With S-1, close the booking", "1"),
        ("Close S-1. Afterwards close S-2.", "12"),
        ("Describe S-1 and S-2", "12"),
        ("Close S-1, Mark and S-2", "12"),
    ];
    for (goal, meant) in cases {
        let goal_read = ParsedGoal::of(goal);
        let seat = |n: &str| Atom { kind: AtomKind::Id, text: format!("S-{n}") };
        let named = |n: &&&str| goal_read.names_for(&seat(n), false, &close, false).is_some();
        assert_eq!(["1", "2"].iter().filter(named).copied().collect::<String>(), *meant, "{goal}");
    }
    // Of amounts, accounts and addresses it is the same.
    let pay = verbs(&["pay"]);
    let goal = ParsedGoal::of("Tell ann@example.com about the 80 and pay 50 to bob@example.com");
    let number = |n: &str| Atom { kind: AtomKind::Number, text: n.to_owned() };
    let email = |text: &str| Atom { kind: AtomKind::Email, text: text.to_owned() };
    assert!(goal.names_for(&number("50"), false, &pay, false).is_some());
    assert!(goal.names_for(&number("80"), false, &pay, false).is_none());
    assert!(goal.names_for(&email("bob@example.com"), true, &pay, false).is_some());
    assert!(goal.names_for(&email("ann@example.com"), true, &pay, false).is_none());
    // Names and quotations are bound where something is deleted: elsewhere a quotation may be what is written.
    let drop = verbs(&["drop", "change"]);
    let draft = Atom { kind: AtomKind::Phrase, text: "Second draft".to_lowercase() };
    let goal = ParsedGoal::of("Open 'Second draft' and change its title to 'Done'");
    assert!(goal.names_for(&draft, false, &drop, false).is_some());
    let goal = ParsedGoal::of("Open 'Second draft' and drop 'First draft'");
    assert!(goal.names_for(&draft, false, &drop, true).is_none());
    assert!(goal.names_for(&draft, false, &drop, false).is_some());
}
