//! A judge of intent that is a model on this machine: a real one, which `cargo xtask test` fetches, and models that
//! are not whole.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use aecl_executor::egress::Egress;
use aecl_executor::judge::{Judge, JudgeSpec, Opinion};
use aecl_executor::vault::Vault;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/model");

fn spec(model: &Path, more: Value) -> JudgeSpec {
    let mut spec = json!({"name": "intent", "kind": "local", "model": model, "points": 40, "similar": 40,
                          "timeout_ms": 30_000});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn real() -> Arc<Judge> {
    let model = Path::new(MODEL);
    assert!(
        model.join("model.safetensors").exists(),
        "no model in `.cache/model`; `cargo xtask test` fetches one"
    );
    Arc::new(Judge::ready(spec(&model.canonicalize().unwrap(), json!({}))).unwrap())
}

async fn asks(judge: &Arc<Judge>, goal: &str, call: &str) -> Opinion {
    judge.ask(&Egress::default(), &Vault::new(None), goal, call).await.unwrap()
}

#[tokio::test]
async fn what_serves_the_goal_adds_less_than_what_does_not() {
    let judge = real();
    let goal = "Pay the electricity bill that came by mail yesterday";
    let serves = asks(&judge, goal, "pay_bill Pays a bill. invoice: electricity, amount: 98.70").await;
    let strays =
        asks(&judge, goal, "delete_repository Deletes a source repository. name: core-firmware").await;
    assert!(serves.points < strays.points, "{serves:?} and {strays:?}");
    assert!(strays.points > 20 && strays.points <= 40, "{strays:?}");
    assert_eq!(asks(&judge, goal, goal).await.points, 0, "nothing is more alike than itself");
    assert_eq!(
        asks(&judge, goal, goal).await,
        asks(&judge, goal, goal).await,
        "the same texts, the same answer"
    );
}

#[tokio::test]
async fn texts_that_nobody_has_thought_of_end_nothing() {
    let judge = real();
    for text in [
        "\u{0}",
        "\u{202e}\u{fdfa}\u{1f9d1}\u{200d}\u{1f680}",
        &"a".repeat(1 << 20),
        &"\u{fdfa}".repeat(5_000),
        " ",
        "<s></s><unk>",
    ] {
        // Either a number or a reason; and the judge answers the next one.
        let said = judge.ask(&Egress::default(), &Vault::new(None), "Pay the bill", text).await;
        assert!(said.is_err() || said.is_ok_and(|opinion| opinion.points <= 40));
        assert_eq!(asks(&judge, "Pay the bill", "Pay the bill").await.points, 0);
    }
}

#[test]
fn a_model_that_is_not_whole_says_so_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || Judge::ready(spec(folder.path(), json!({}))).unwrap_err();
    assert!(refused().contains("model.safetensors"), "{}", refused());
    let real = Path::new(MODEL);
    std::fs::copy(real.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    assert!(refused().contains("tokenizer.json"), "{}", refused());
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    assert!(refused().contains("is no model of static embeddings"), "{}", refused());
    std::fs::copy(real.join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    Judge::ready(spec(folder.path(), json!({}))).unwrap();
    let whole = std::fs::read(real.join("model.safetensors")).unwrap();
    for cut in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(folder.path().join("model.safetensors"), &whole[..cut]).unwrap();
        assert!(refused().starts_with("`judges.intent.model`"), "{cut}: {}", refused());
    }
}

/// A vocabulary that is longer than the table of vectors: tokens without a vector.
#[test]
fn a_model_with_too_few_vectors_is_refused_or_stays_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let header =
        json!({"embedding.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).to_string();
    let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&[0; 16]);
    std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    std::fs::copy(Path::new(MODEL).join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let Ok(judge) = Judge::ready(spec(folder.path(), json!({}))) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let said = runtime.block_on(async {
        Arc::new(judge).ask(&Egress::default(), &Vault::new(None), "Pay the bill", "delete everything").await
    });
    assert!(said.is_err(), "{said:?}");
}
