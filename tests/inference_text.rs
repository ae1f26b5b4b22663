//! Tokens, perplexity and importance matrices of texts, compared with llama.cpp's.

use base64::Engine;
use quantpress::container::gguf::{Array, Header, Value, ValueType, array_items, encode_pair, write_header};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::fs::RunnableModel;
use quantpress::inference::{Logits, Options, TokenizeOptions, Tokenizer};
use quantpress::{Code, Result};
use std::path::PathBuf;

const SPECIAL: TokenizeOptions = TokenizeOptions { add_special: true, parse_special: true };

fn golden() -> serde_json::Value {
    let path = format!("{}/tests/golden/inference/tokens.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn whale(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-whale").join(name)
}

fn text_of(golden: &serde_json::Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(golden["text"].as_str().unwrap()).unwrap()
}

fn ids(value: &serde_json::Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn header_of(pairs: &[Vec<u8>]) -> Header {
    let file = write_header(pairs, &[], 32).unwrap().header;
    crate::support::convert::header(&file).unwrap()
}

fn array(key: &str, element: ValueType, values: &[Value]) -> Vec<u8> {
    let items = array_items(element, values).unwrap();
    encode_pair(key, &Value::Array(Array { element, len: values.len() as u64, items: &items }))
}

/// Tiny Whale's vocabulary under the name of another pre-tokenizer.
fn whale_as(pre: &str) -> Result<Tokenizer> {
    let file = std::fs::read(whale("tiny-whale-f16.gguf")).unwrap();
    let header = crate::support::convert::header(&file).unwrap();
    let mut pairs = vec![encode_pair("tokenizer.ggml.model", &Value::String(b"gpt2"))];
    pairs.push(encode_pair("tokenizer.ggml.pre", &Value::String(pre.as_bytes())));
    for pair in header.metadata() {
        if ["tokens", "token_type", "merges"].iter().any(|key| pair.key == format!("tokenizer.ggml.{key}")) {
            pairs.push(pair.raw.to_vec());
        }
    }
    Tokenizer::new(&header_of(&pairs))
}

#[test]
fn every_pre_tokenizer_splits_as_in_llama_cpp() {
    let golden = golden();
    let text = text_of(&golden);
    let pres = golden["pre"].as_object().unwrap();
    assert!(pres.len() >= 18);
    for (pre, tokens) in pres {
        let ours = whale_as(pre).unwrap().tokenize(&text, SPECIAL);
        let theirs = ids(tokens);
        let first = ours.iter().zip(&theirs).position(|(a, b)| a != b);
        assert_eq!(ours.len(), theirs.len(), "{pre}: the first difference is at {first:?}");
        assert_eq!(first, None, "{pre}");
    }
    assert_eq!(whale_as("kimi-k2").unwrap_err().code(), Code::UNSUPPORTED);
}

/// A SentencePiece vocabulary with one change.
fn pieces(change: impl Fn(&mut Vec<String>, &mut Vec<f32>, &mut Vec<i32>)) -> Result<Tokenizer> {
    let golden = golden();
    let list = |key: &str| golden["pieces"][key].as_array().unwrap().clone();
    let mut tokens: Vec<String> = list("tokens").iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let mut scores: Vec<f32> = list("scores").iter().map(|score| score.as_f64().unwrap() as f32).collect();
    let mut types: Vec<i32> = list("types").iter().map(|kind| kind.as_i64().unwrap() as i32).collect();
    change(&mut tokens, &mut scores, &mut types);
    let tokens: Vec<Value> = tokens.iter().map(|text| Value::String(text.as_bytes())).collect();
    let scores: Vec<Value> = scores.into_iter().map(Value::F32).collect();
    let types: Vec<Value> = types.into_iter().map(Value::I32).collect();
    Tokenizer::new(&header_of(&[
        encode_pair("tokenizer.ggml.model", &Value::String(b"llama")),
        array("tokenizer.ggml.tokens", ValueType::STRING, &tokens),
        array("tokenizer.ggml.scores", ValueType::F32, &scores),
        array("tokenizer.ggml.token_type", ValueType::I32, &types),
    ]))
}

#[test]
fn sentence_pieces_are_merged_as_in_llama_cpp() {
    let golden = golden();
    let text = text_of(&golden);
    let tokenizer = pieces(|_, _, _| {}).unwrap();
    assert_eq!(tokenizer.tokenize(&text, TokenizeOptions::default()), ids(&golden["pieces"]["plain"]));
    assert_eq!(tokenizer.tokenize(&text, SPECIAL), ids(&golden["pieces"]["special"]));
    assert_eq!(tokenizer.tokenize(b"", SPECIAL), [1]);
    // A vocabulary without byte tokens drops what it does not have.
    let poor = pieces(|tokens, _, _| {
        for (id, token) in tokens.iter_mut().enumerate().filter(|(_, token)| token.starts_with("<0x")) {
            *token = format!("<none {id}>");
        }
    });
    assert_eq!(poor.unwrap().tokenize(&[0xff, 0xfe], TokenizeOptions::default()).len(), 1);
}

#[test]
fn vocabularies_that_lie_are_typed_errors() {
    let code = |change: fn(&mut Vec<String>, &mut Vec<f32>, &mut Vec<i32>)| pieces(change).unwrap_err().code();
    assert_eq!(code(|tokens, _, _| tokens.clear()), Code::MALFORMED);
    assert_eq!(code(|_, scores, _| scores.truncate(5)), Code::MALFORMED);
    assert_eq!(code(|_, _, types| types.truncate(5)), Code::MALFORMED);
    assert_eq!(code(|_, scores, _| scores[3] = f32::NAN), Code::MALFORMED);
    let with = |pairs: &[Vec<u8>]| Tokenizer::new(&header_of(pairs)).unwrap_err().code();
    assert_eq!(with(&[]), Code::UNSUPPORTED);
    let model = |name: &str| encode_pair("tokenizer.ggml.model", &Value::String(name.as_bytes()));
    assert_eq!(with(&[model("rwkv")]), Code::UNSUPPORTED);
    assert_eq!(with(&[model("gpt2")]), Code::MALFORMED);
    assert_eq!(with(&[model("llama")]), Code::MALFORMED);
    let numbers = array("tokenizer.ggml.tokens", ValueType::U32, &[Value::U32(1)]);
    assert_eq!(with(&[model("llama"), numbers]), Code::MALFORMED);
}

#[test]
fn hostile_texts_are_tokenized_in_linear_time() {
    let (bpe, pieces) = (whale_as("llama-bpe").unwrap(), pieces(|_, _, _| {}).unwrap());
    for byte in [0, b' ', b'a', b'\n', 0xff] {
        let text = vec![byte; 1 << 18];
        for tokenizer in [&bpe, &pieces] {
            let tokens = tokenizer.tokenize(&text, SPECIAL);
            assert!(!tokens.is_empty() && tokens.len() <= text.len() * 3 + 1, "{byte}: {}", tokens.len());
        }
    }
}

#[test]
fn tiny_whale_has_the_importance_of_llama_imatrix() {
    let model = RunnableModel::open(whale("tiny-whale-f16.gguf")).unwrap();
    let tokens = tokens_of(&model, "calib.txt");
    let golden_file = std::fs::read(whale("tiny-whale.imatrix.gguf")).unwrap();
    let golden = ImportanceMatrix::parse(&golden_file).unwrap();
    let importance = model.importance(&tokens, 256, 15, false).unwrap();
    let chunks = tokens.len() / 256;
    assert_eq!(golden.chunks, Some(chunks as i32));
    let dataset = golden.datasets.first().unwrap();
    let file = importance.to_gguf(&[dataset.as_str()], chunks as u32, 256).unwrap();
    let head = crate::support::convert::header(&file).unwrap().data_start() as usize;
    assert_eq!(file.len(), golden_file.len());
    assert!(file[..head] == golden_file[..head], "metadata, names, shapes and order are those of llama-imatrix");
    let ours = ImportanceMatrix::parse(&file).unwrap();
    assert_eq!(ours.entries().len(), golden.entries().len());
    let (mut worst, mut sum, mut count) = (0.0f64, 0.0, 0);
    for ((name, ours), (other, theirs)) in ours.entries().zip(golden.entries()) {
        assert_eq!((name, &ours.counts), (other, &theirs.counts));
        for (a, b) in ours.values.iter().zip(&theirs.values) {
            let error = (f64::from(*a) / f64::from(*b) - 1.0).abs();
            worst = worst.max(error);
            sum += error;
            count += 1;
        }
    }
    println!("importance: max {worst:e}, mean {:e}", sum / f64::from(count));
    // The golden matrix was computed with F32 weights, this one with F16: 6e-4 and 4.7e-5 between those in llama.cpp.
    assert!(worst < 1e-3 && sum / f64::from(count) < 1e-4, "{worst:e} {:e}", sum / f64::from(count));
}

#[test]
fn tiny_whale_has_the_tokens_and_losses_of_llama_cpp() {
    let golden = crate::golden::read("inference/whale.json");
    let model = RunnableModel::open(whale("tiny-whale-f16.gguf")).unwrap();
    for name in ["calib", "eval"] {
        let tokens = tokens_of(&model, &format!("{name}.txt"));
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        let theirs = golden.part(name);
        assert_eq!(tokens.len() as f64, theirs.number("tokens"), "{name}");
        assert_eq!(crate::support::convert::sha256(&bytes), theirs.text("sha256"), "{name}");
    }
    let tokens = tokens_of(&model, "eval.txt");
    let tokens = &tokens[..8 * 256];
    let perplexity = model.perplexity(tokens, 256, 8).unwrap();
    assert_eq!(perplexity.count(), 8 * 127);
    let (ours, theirs) = (perplexity.log().unwrap().value, golden.number("loss") / (8.0 * 127.0));
    println!("mean loss: {ours} for {theirs}");
    assert!((ours - theirs).abs() < 1e-6, "{ours} for {theirs}");
    let last = Options { logits: 254..256, ..Options::default() };
    let mut logits = Vec::new();
    for chunk in tokens.chunks_exact(256) {
        let keep = |rows: Logits| {
            logits.extend_from_slice(rows.values);
            Ok(())
        };
        model.run(&[chunk], last.clone(), None, keep).unwrap();
    }
    let theirs = golden.floats("logits");
    assert_eq!(logits.len(), theirs.len());
    let worst = logits.iter().zip(&theirs).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    println!("logits: max difference {worst:e}");
    assert!(worst < 1e-4, "{worst:e}");
    assert_eq!(model.perplexity(&tokens[..511], 256, 1).unwrap_err().code(), Code::NO_DATA);
}

/// The tokens of a text without its last line break, as llama.cpp's tools read it.
fn tokens_of(model: &RunnableModel, name: &str) -> Vec<u32> {
    let text = std::fs::read(whale(name)).unwrap();
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    model.tokenizer().tokenize(text, TokenizeOptions { add_special: true, parse_special: false })
}
