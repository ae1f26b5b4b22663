//! Tokens, perplexity and importance matrices of texts, compared with llama.cpp's.

use base64::Engine;
use quantpress::container::gguf::{Array, Header, Value, ValueType, array_items, encode_pair, write_header};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::fs::{QuantizeOptions, RunnableModel, quantize_file};
use quantpress::inference::{Forward, Logits, Model, Next, Options, RunOptions, TokenizeOptions, Tokenizer};
use quantpress::recipe::Recipe;
use quantpress::{Code, Result};
use std::path::PathBuf;
use std::sync::Arc;

const SPECIAL: TokenizeOptions = TokenizeOptions { add_special: true, parse_special: true };

fn golden() -> serde_json::Value {
    let path = format!("{}/tests/golden/inference/tokens.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn whale(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-whale").join(name)
}

/// A temporary folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("quantpress-inference-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
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
    let importance = model.importance(&tokens, &RunOptions { batch: 15, ..RunOptions::default() }).unwrap();
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
    let perplexity = model.perplexity(tokens, &RunOptions { batch: 8, ..RunOptions::default() }).unwrap();
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
        model.run(&[chunk], last.clone(), keep).unwrap();
    }
    let theirs = golden.floats("logits");
    assert_eq!(logits.len(), theirs.len());
    let worst = logits.iter().zip(&theirs).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    println!("logits: max difference {worst:e}");
    assert!(worst < 1e-4, "{worst:e}");
    assert_eq!(model.perplexity(&tokens[..511], &RunOptions::default()).unwrap_err().code(), Code::NO_DATA);
}

/// What our own code computes for Tiny Whale, natively and in WebAssembly (tests/js/evaluate.test.ts) to the bit.
#[test]
fn the_results_for_tiny_whale_are_the_recorded_ones() {
    let recorded = crate::golden::read("inference/results.json");
    let path = whale("tiny-whale-f16.gguf");
    let model = RunnableModel::open(&path).unwrap();
    let options = RunOptions { chunks: 4, ..RunOptions::default() };
    let importance = model.importance(&tokens_of(&model, "calib.txt"), &options).unwrap();
    let file = importance.to_gguf(&["calib.txt"], 4, 256).unwrap();
    let tokens = tokens_of(&model, "eval.txt");
    let perplexity = model.perplexity(&tokens, &options).unwrap().report().unwrap();
    let folder = Folder::new("results");
    let quantized = folder.0.join("q4_0.gguf");
    let recipe = Recipe::new("Q4_0");
    quantize_file(&path, &quantized, &recipe, &QuantizeOptions::default()).unwrap();
    let quantized = RunnableModel::open(&quantized).unwrap();
    let divergence = quantized.divergence(&model, &tokens, &options).unwrap();
    let found = serde_json::json!({
        "imatrix": crate::support::convert::sha256(&file),
        "perplexity": perplexity,
        "divergence": divergence,
    });
    println!("{}", serde_json::to_string_pretty(&found).unwrap());
    for key in ["imatrix", "perplexity", "divergence"] {
        assert_eq!(found[key], *recorded.value(key), "{key}");
    }
    // The perplexity of each model is the same alone.
    let alone = quantized.perplexity(&tokens, &options).unwrap().report().unwrap();
    assert_eq!(divergence.base_perplexity, perplexity.perplexity);
    assert_eq!(divergence.perplexity, alone.perplexity);
    // Another number of chunks at once gives the same bits.
    let one = RunOptions { batch: 1, ..options };
    assert_eq!(model.importance(&tokens_of(&model, "calib.txt"), &one).unwrap(), importance);
    assert_eq!(quantized.divergence(&model, &tokens, &one).unwrap(), divergence);
    let same = model.divergence(&model, &tokens, &options).unwrap();
    assert_eq!((same.divergence.value, same.same_top.value), (0.0, 1.0));
    // The divergence of the weights that activations.md measured on 24 chunks is 1.05e-2.
    assert!((0.005..0.02).contains(&divergence.divergence.value), "{divergence:?}");
}

#[test]
fn near_rows_of_the_embedding_are_read_together() {
    let file = std::fs::read(whale("tiny-whale-f16.gguf")).unwrap();
    let model = Arc::new(Model::new(&crate::support::convert::header(&file).unwrap()).unwrap());
    // A row has 512 bytes, and rows up to 256 kB apart share a read.
    let mut forward: Forward = Forward::new(&model, &[&[1000, 5, 300, 5]], Options::default()).unwrap();
    for rows in [(5, 296), (1000, 1)] {
        let Next::Read(request) = forward.next().unwrap() else { panic!("no request") };
        assert_eq!((model.tensor_name(request.tensor), request.rows), ("token_embd.weight", rows));
        forward.supply(&file[request.offset as usize..][..request.length]).unwrap();
    }
    let Next::Read(request) = forward.next().unwrap() else { panic!("no request") };
    assert_eq!(model.tensor_name(request.tensor), "blk.0.attn_norm.weight");
}

#[test]
fn models_that_cannot_be_compared_are_typed_errors() {
    let model = RunnableModel::open(whale("tiny-whale-f16.gguf")).unwrap();
    let tokens = tokens_of(&model, "eval.txt");
    let code = |options: RunOptions| model.perplexity(&tokens, &options).unwrap_err().code();
    assert_eq!(code(RunOptions { chunk_size: 3, ..RunOptions::default() }), Code::RANGE);
    assert_eq!(code(RunOptions { chunk_size: tokens.len(), ..RunOptions::default() }), Code::NO_DATA);
    let file = std::fs::read(whale("tiny-whale-f16.gguf")).unwrap();
    let folder = Folder::new("errors");
    let changed = |name: &str, from: &[u8], to: &[u8]| {
        let at = file.windows(from.len()).position(|bytes| bytes == from).unwrap();
        let mut file = file.clone();
        file[at..at + to.len()].copy_from_slice(to);
        let path = folder.0.join(name);
        std::fs::write(&path, file).unwrap();
        RunnableModel::open(path)
    };
    let other = changed("vocabulary.gguf", b"<|endoftext|>", b"<|endoftexx|>").unwrap();
    let error = model.divergence(&other, &tokens, &RunOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::ARGUMENT, "{error}");
    let error = changed("tokenizer.gguf", b"tokenizer.ggml.model", b"tokenizer.ggml.modex").err().unwrap();
    assert_eq!(error.code(), Code::UNSUPPORTED);
    assert!(error.message().contains("no tokenizer"), "{error}");
}

/// The tokens of a text without its last line break, as llama.cpp's tools read it.
fn tokens_of(model: &RunnableModel, name: &str) -> Vec<u32> {
    let text = std::fs::read(whale(name)).unwrap();
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    model.tokenizer().tokenize(text, TokenizeOptions { add_special: true, parse_special: false })
}
