//! Our own directories: what leads there is blocked whatever rules and people say, on record, and looked at again right
//! before it happens.

use crate::house::{House, end, submission};
use aecl_executor::fake::Mood;
use aecl_gate::submit::{End, Submission};
use aecl_kernel::base::evidence::Reach;
use aecl_kernel::read::action::Mode;
use aecl_kernel::record::event::Event;
use aecl_ledger::PayloadKind;
use aecl_ledger::replay::{redecide, verify_facts};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A home beside a project, somewhere.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    fs::create_dir_all(top.join("share/home/keys")).unwrap();
    fs::write(top.join("share/home/aecl.yaml"), "origin: x").unwrap();
    fs::write(top.join("share/home/keys/operator.key"), "secret").unwrap();
    fs::create_dir(top.join("project")).unwrap();
    (dir, top)
}

/// Every decision can be made again from the record, without the file system.
async fn holds(house: &House) {
    let again = house.gate.ledger().read(|store| redecide(store, 0..u64::MAX)).await.unwrap();
    assert!(again.decisions > 0 && again.mismatches.is_empty() && again.unavailable.is_empty(), "{again:?}");
    assert_eq!(house.gate.ledger().read(verify_facts).await.unwrap().differs, []);
}

fn at(path: &Path) -> serde_json::Value {
    json!({ "at": path })
}

#[tokio::test]
async fn what_leads_into_a_home_is_blocked_in_every_mode_and_on_record() {
    let (dir, top) = place();
    let house = House::new().await;
    let run = house.clerk().await;
    symlink(top.join("share/home/keys"), top.join("project/docs")).unwrap();
    let key = top.join("project/docs/operator.key");
    for mode in [Mode::Execute, Mode::Authorize, Mode::DryRun] {
        let sent = Submission { mode, ..submission("look", at(&key)) };
        let answer = house.gate.submit(&run, sent).await.unwrap();
        match mode {
            Mode::DryRun => {
                assert_eq!(answer.decision.as_ref().unwrap().headline.unwrap().as_str(), "own_house")
            }
            Mode::Execute => assert_eq!(end(&answer), "blocked own_house"),
            // What we carry out is not handed over, whatever it leads to; both are said.
            Mode::Authorize => {
                assert_eq!(end(&answer), "blocked authorize_refused");
                let findings = &answer.decision.as_ref().unwrap().findings;
                assert!(findings.iter().any(|f| f.code.as_str() == "own_house"), "{findings:?}");
            }
        }
    }
    let uri = json!({ "at": format!("file://{}", key.display()) });
    assert_eq!(end(&house.submit(&run, "look", uri).await), "blocked own_house");
    assert_eq!(end(&house.submit(&run, "look", at(&top.join("project"))).await), "done");
    assert_eq!(house.started().await, 1);
    let ruled = house.entries().await.into_iter().filter_map(|entry| match entry.event {
        Event::Ruled(ruled) => Some(ruled.evidence.first().and_then(|evidence| evidence.reach)),
        _ => None,
    });
    let reaches: Vec<_> = ruled.collect();
    assert_eq!(reaches, [vec![Some(Reach::Into); 4], vec![None]].concat());
    // Decided again from the record alone: nothing of this is there any more.
    drop(dir);
    holds(&house).await;
}

#[tokio::test]
async fn a_link_that_is_turned_while_people_decide_leads_nowhere() {
    let (_dir, top) = place();
    let house = House::new().await;
    let run = house.clerk().await;
    aecl_executor::house::is_ours(&top.join("share/home"));
    symlink(top.join("share"), top.join("project/link")).unwrap();
    let proposed = house.propose(&run, submission("look", at(&top.join("project/link"))));
    let ask = house.asked().await;
    fs::remove_file(top.join("project/link")).unwrap();
    symlink(top.join("share/home"), top.join("project/link")).unwrap();
    house.yes("bob", &ask).await.unwrap();
    let answer = proposed.await.unwrap().unwrap();
    let headline = answer.decision.as_ref().unwrap();
    assert!(headline.findings.iter().any(|f| f.code.as_str() == "own_house_around"), "{headline:?}");
    assert_eq!(end(&answer), "failed own_house");
    assert_eq!(house.world.effects_in_all(), 0, "nothing was sent");
    holds(&house).await;
}

#[tokio::test]
async fn keys_of_ours_are_neither_recorded_nor_handed_on() {
    let house = House::new().await;
    let run = house.clerk().await;
    let key = aecl_gate::identity::new_key('p').unwrap().0;
    house.world.turn(Mood::Answers(json!({ "text": format!("it says {key}\n") }).to_string()));
    // As an argument, also written so that the bytes do not show it; and in what comes back.
    let escaped = key.replacen('a', "\\u0061", 1);
    for arguments in [format!(r#"{{"at":"x {key}"}}"#), format!(r#"{{"at":"{escaped}"}}"#)] {
        let sent = Submission { arguments: arguments.into_bytes(), ..submission("look", json!({})) };
        let answer = house.gate.submit(&run, sent).await.unwrap();
        assert_eq!(end(&answer), "done");
        let End::Concluded { output: Some(output), .. } = &answer.end else { panic!("{answer:?}") };
        let output = String::from_utf8_lossy(output);
        assert!(output.contains("[key of AECL]") && !output.contains(&key), "{output}");
        for entry in house.gate.ledger().entries_of_action(&answer.action).await.unwrap() {
            assert!(!format!("{entry:?}").contains(&key));
            let kept = match &entry.event {
                Event::Ruled(ruled) => Some((PayloadKind::Arguments, ruled.arguments)),
                Event::Concluded(concluded) => concluded.output.map(|output| (PayloadKind::Output, output)),
                _ => None,
            };
            let Some((kind, digest)) = kept else { continue };
            let kept = house.gate.ledger().payload(kind, &digest).await.unwrap().unwrap();
            let kept = String::from_utf8(kept).unwrap();
            assert!(kept.contains("[key of AECL]") && !kept.contains(&key), "{kept}");
        }
    }
    holds(&house).await;
}
