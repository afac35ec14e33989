//! A judge of intent that is a model on this machine. The models are made here: a handful of words with a vector each, in
//! the format of real ones.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use aecl_egress::egress::Egress;
use aecl_egress::vault::Vault;
use aecl_executor::judge::{Judge, JudgeError, JudgeSpec, Opinion};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Words and where they point: paying one way, deleting another, and a bill to pay between no two.
const WORDS: [(&str, [f32; 2]); 6] = [
    ("[UNK]", [0.0, 0.0]),
    ("pay", [1.0, 0.0]),
    ("bill", [1.0, 0.1]),
    ("invoice", [1.0, 0.2]),
    ("delete", [0.0, 1.0]),
    ("repository", [0.1, 1.0]),
];

/// A model of these words, as a directory.
fn made(words: &[(&str, [f32; 2])], vectors: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let vocab: serde_json::Map<String, Value> =
        words.iter().enumerate().map(|(i, (word, _))| ((*word).to_owned(), json!(i))).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "post_processor": null,
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
    });
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let table: Vec<u8> =
        words.iter().take(vectors).flat_map(|(_, v)| v.iter().flat_map(|n| n.to_le_bytes())).collect();
    let header =
        json!({"embeddings": {"dtype": "F32", "shape": [vectors, 2], "data_offsets": [0, table.len()]}});
    let header = header.to_string();
    let length = u64::try_from(header.len()).unwrap().to_le_bytes();
    let model = [&length[..], header.as_bytes(), &table].concat();
    fs::write(folder.path().join("model.safetensors"), model).unwrap();
    folder
}

fn spec(model: &Path) -> JudgeSpec {
    let spec = json!({"name": "intent", "kind": "local", "model": model, "points": 40, "similar": 40,
                      "timeout_ms": 30_000});
    serde_json::from_value(spec).unwrap()
}

fn judge() -> Arc<Judge> {
    let folder = made(&WORDS, WORDS.len());
    // What was read is in memory; the directory may go.
    Arc::new(Judge::ready(spec(folder.path())).unwrap())
}

async fn asks(judge: &Arc<Judge>, goal: &str, call: &str) -> Opinion {
    judge.ask(&Egress::default(), &Vault::new(None), goal, call).await.unwrap()
}

#[tokio::test]
async fn what_serves_the_goal_adds_less_than_what_does_not() {
    let judge = judge();
    let goal = "Pay the bill of yesterday";
    assert_eq!(asks(&judge, goal, "pay invoice: 98.70").await.points, 0);
    let strays = asks(&judge, goal, "delete repository: firmware").await;
    assert!((30..=40).contains(&strays.points), "{strays:?}");
    let between = asks(&judge, goal, "delete, delete, delete, then pay").await;
    assert!((1..strays.points).contains(&between.points), "{between:?}");
    assert_eq!(asks(&judge, goal, "delete").await, asks(&judge, goal, "delete").await, "the same every time");
}

#[tokio::test]
async fn texts_that_nobody_has_thought_of_end_nothing() {
    let judge = judge();
    let nothing =
        ["", " ", "\u{0}", "[UNK]", "\u{202e}\u{fdfa}\u{1f9d1}\u{200d}\u{1f680}", "words it has never seen"];
    let long = ["\u{fdfa}".repeat(5_000), "a".repeat(1 << 20)];
    for text in nothing.into_iter().chain(long.iter().map(String::as_str)) {
        let said = judge.ask(&Egress::default(), &Vault::new(None), "Pay the bill", text).await;
        assert!(matches!(said, Err(JudgeError::Garbage(_))), "{said:?}");
        assert_eq!(asks(&judge, "Pay the bill", "pay bill").await.points, 0, "it answers the next one");
    }
}

#[test]
fn a_model_that_is_not_whole_says_so_when_it_is_read() {
    let whole = made(&WORDS, WORDS.len());
    let (model, tokenizer) = (whole.path().join("model.safetensors"), whole.path().join("tokenizer.json"));
    let refused = || Judge::ready(spec(whole.path())).unwrap_err();
    let [weights, words] = [&model, &tokenizer].map(|path| fs::read(path).unwrap());
    for cut in [0, 7, 20, weights.len() / 2, weights.len() - 1] {
        fs::write(&model, &weights[..cut]).unwrap();
        assert!(refused().starts_with("`judges.intent.model`"), "{cut}: {}", refused());
    }
    fs::remove_file(&model).unwrap();
    assert!(refused().contains("model.safetensors"), "{}", refused());
    fs::write(&model, weights).unwrap();
    fs::write(&tokenizer, &words[..words.len() / 2]).unwrap();
    assert!(refused().contains("is no model of static embeddings"), "{}", refused());
    fs::remove_file(&tokenizer).unwrap();
    assert!(refused().contains("tokenizer.json"), "{}", refused());
    fs::write(&tokenizer, words).unwrap();
    Judge::ready(spec(whole.path())).unwrap();
}

/// A vocabulary that is longer than the table of vectors: words without one.
#[tokio::test]
async fn a_model_with_too_few_vectors_adds_nothing() {
    let folder = made(&WORDS, 2);
    let Ok(judge) = Judge::ready(spec(folder.path())) else { return };
    let said = Arc::new(judge).ask(&Egress::default(), &Vault::new(None), "pay", "delete repository").await;
    assert!(said.is_err(), "{said:?}");
}
