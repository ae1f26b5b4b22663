//! Hugging Face folders as GGUF, compared with the output of llama.cpp's script: see tests/golden/language/README.md.

#[path = "support/language_variants.rs"]
mod variants;

use quantpress::Code;
use quantpress::container::safetensors::{Parsed, parse};
use quantpress::convert::{Folder, plan};
use quantpress::recipe::{Plan, Recipe, encode_tile};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// The files other than the weights in the test folders.
const SIDECARS: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "added_tokens.json",
    "chat_template.jinja",
    "README.md",
    "modules.json",
    "1_Pooling/config.json",
    "additional_chat_templates/rag mode.jinja",
    "additional_chat_templates/tool_use.jinja",
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/language")
}

/// The weights of make.py: a linear congruential sequence whose upper 24 bits are a fraction, exact in F32.
fn weights(index: u32, dtype: &str, count: usize) -> Vec<u8> {
    let mut state = index.wrapping_mul(7919).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as i32 - (1 << 23)) as f32 / (1 << 27) as f32
    };
    match dtype {
        "I64" => (0..count as i64).flat_map(i64::to_le_bytes).collect(),
        "F32" => (0..count).flat_map(|_| next().to_le_bytes()).collect(),
        // Slightly more precision than F32.
        "F64" => {
            let more = 1.0 + f64::powi(2.0, -30);
            (0..count).flat_map(|_| (f64::from(next()) * more).to_le_bytes()).collect()
        }
        "BF16" => (0..count).flat_map(|_| ((next().to_bits() >> 16) as u16).to_le_bytes()).collect(),
        "F16" => {
            let values: Vec<u8> = (0..count).flat_map(|_| next().to_le_bytes()).collect();
            encode_tile(&values, "F32", "F16", count, None, 0).unwrap()
        }
        _ => panic!("{dtype}"),
    }
}

/// The safetensors files of a golden folder.
fn shards(name: &str) -> Vec<Vec<u8>> {
    let list = fs::read_to_string(golden().join(name).join("tensors.txt")).unwrap();
    shards_of(&list.lines().map(str::to_owned).collect::<Vec<_>>())
}

/// The same for a list, in the order in which it first names each file.
fn shards_of(lines: &[String]) -> Vec<Vec<u8>> {
    let mut files: Vec<(String, String, Vec<u8>)> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let [file, name, dtype, shape] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        if files.iter().all(|(known, ..)| known != file) {
            files.push((file.to_owned(), String::new(), Vec::new()));
        }
        let count = shape.split(',').map(|n| n.parse::<usize>().unwrap()).product();
        let (_, header, data) = files.iter_mut().find(|(known, ..)| known == file).unwrap();
        let start = data.len();
        data.extend(weights(index as u32, dtype, count));
        let comma = if header.is_empty() { "" } else { "," };
        header.push_str(&format!(
            r#"{comma}"{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    let whole = files.into_iter().map(|(_, header, data)| {
        let header = format!("{{{header}}}");
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    });
    whole.collect()
}

fn open(name: &str, files: &[Vec<u8>], from: &Path) -> Folder {
    let mut folder = Folder::default();
    for bytes in files {
        let Parsed::Header(header) = parse(bytes, bytes.len() as u64).unwrap() else { panic!() };
        folder.add(*header, bytes.len() as u64).unwrap();
    }
    for file in SIDECARS {
        if let Ok(bytes) = fs::read(from.join(file)) {
            folder.add_file(file, bytes);
        }
    }
    folder.set_name(name);
    folder
}

/// The concatenation that a plan's offsets refer to: all files, followed by the computed data.
fn source(folder: &Folder, files: &[Vec<u8>]) -> Vec<u8> {
    let mut source = files.concat();
    let repeated: Vec<u8> =
        folder.repeated().iter().flat_map(|(at, bytes)| source[*at as usize..(at + bytes) as usize].to_vec()).collect();
    source.extend(folder.generated());
    source.extend(repeated);
    source
}

fn recipe(preset: &str) -> Recipe {
    Recipe::new(preset)
}

/// The whole output of a plan.
fn written(plan: &Plan, source: &[u8]) -> Vec<u8> {
    let mut out = plan.header().to_vec();
    for (index, tensor) in plan.tensors.iter().enumerate() {
        let at = tensor.source_offset as usize;
        let bytes = &source[at..at + tensor.source_bytes as usize];
        let (rows, heads) = (tensor.row_length as usize, tensor.permuted_head_rows as usize);
        let made = encode_tile(bytes, tensor.from.name, tensor.to.name, rows, plan.importance(index), heads).unwrap();
        assert_eq!((out.len() as u64, made.len() as u64), (tensor.place.offset, tensor.place.bytes), "{}", tensor.name);
        out.extend(made);
        out.resize((tensor.place.offset + tensor.place.padded) as usize, 0);
    }
    out
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_folder_becomes_the_file_of_llama_cpps_script() {
    let sums = fs::read_to_string(golden().join("sha256.txt")).unwrap();
    let mut wrong = Vec::new();
    for line in sums.lines() {
        let [name, outtype, sum, size] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let files = shards(name);
        let folder = open(name, &files, &golden().join(name));
        let made = match plan(&folder, &recipe(outtype), None) {
            Ok(plan) => written(&plan, &source(&folder, &files)),
            Err(error) => panic!("{name} {outtype}: {error}"),
        };
        if let Ok(to) = std::env::var("LANGUAGE_OUT") {
            fs::write(Path::new(&to).join(format!("{name}.{outtype}.gguf")), &made).unwrap();
        }
        if (sha256(&made).as_str(), made.len().to_string().as_str()) != (sum, size) {
            wrong.push(format!("{name} {outtype}: {} bytes, but the script's file has {size}", made.len()));
        }
    }
    assert!(wrong.is_empty() && sums.lines().count() > 10, "{}", wrong.join("\n"));
}

/// Errors in the configuration files name the file.
#[test]
fn each_kind_of_damage_to_a_folder_has_its_error() {
    let from = golden().join("llama-3");
    let files = shards("llama-3");
    let text = |file: &str| fs::read_to_string(from.join(file)).unwrap();
    let with = |file: &str, old: &str, new: &str| {
        let text = text(file);
        assert!(text.contains(old), "{file} has no {old}");
        let mut folder = open("llama-3", &files, &from);
        folder.add_file(file, text.replacen(old, new, 1).into_bytes());
        plan(&folder, &recipe("F16"), None)
    };
    const CONFIG: &str = "config.json";
    const TOKENIZER: &str = "tokenizer.json";
    let cases = [
        (Code::MALFORMED, CONFIG, "expected", "{", "}"),
        (Code::MALFORMED, CONFIG, "no 'architectures'", "architectures", "x"),
        (
            Code::UNSUPPORTED,
            CONFIG,
            "GrokForCausalLM cannot be converted. Convert it with llama.cpp's",
            "LlamaForCausalLM",
            "GrokForCausalLM",
        ),
        (Code::MALFORMED, CONFIG, "it has no hidden_size", "hidden_size", "x"),
        (Code::MALFORMED, CONFIG, "num_hidden_layers is 1.5", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1.5"),
        (
            Code::MALFORMED,
            CONFIG,
            "num_hidden_layers is not a number",
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": \"2\"",
        ),
        (Code::MALFORMED, CONFIG, "at least one head", "\"num_attention_heads\": 4", "\"num_attention_heads\": 0"),
        (
            Code::UNSUPPORTED,
            CONFIG,
            "mixture-of-experts",
            "\"rms_norm_eps\"",
            "\"num_local_experts\": 8, \"rms_norm_eps\"",
        ),
        (
            Code::UNSUPPORTED,
            CONFIG,
            "already quantized",
            "\"rms_norm_eps\"",
            "\"quantization_config\": {}, \"rms_norm_eps\"",
        ),
        (Code::UNSUPPORTED, CONFIG, "RoPE scaling shortrope", "llama3", "shortrope"),
        (Code::MALFORMED, CONFIG, "factor of the RoPE scaling", "\"factor\": 8.0", "\"factor\": []"),
        (Code::MALFORMED, CONFIG, "config.json has only 386 tokens", "\"vocab_size\": 387", "\"vocab_size\": 386"),
        (Code::TOO_LARGE, CONFIG, "the limit is 4194304", "\"vocab_size\": 387", "\"vocab_size\": 4194305"),
        (Code::UNSUPPORTED, CONFIG, "divided into 7 heads", "\"num_attention_heads\": 4", "\"num_attention_heads\": 7"),
        (Code::UNSUPPORTED, TOKENIZER, "not BPE", "\"type\":\"BPE\"", "\"type\":\"Unigram\""),
        (Code::UNSUPPORTED, TOKENIZER, "specify its name (preTokenizer)", "\\p{N}{1,3}", "\\p{N}{1,4}"),
        (Code::MALFORMED, TOKENIZER, "no vocab", "\"vocab\"", "\"words\""),
        (Code::MALFORMED, TOKENIZER, "token '!' has no id", "\"!\":0", "\"!\":-1"),
        (Code::MALFORMED, TOKENIZER, "merge 0 is not a pair", "\"merges\":[", "\"merges\":[[\"a\"],"),
        (Code::MALFORMED, TOKENIZER, "no content", "\"content\"", "\"x\""),
        (Code::UNSUPPORTED, TOKENIZER, "'<|eot_id|>' has id 400, but would get 386", "\"id\":386", "\"id\":400"),
        (Code::UNSUPPORTED, CONFIG, "model_type is missing", "model_type", "x"),
        (
            Code::UNSUPPORTED,
            CONFIG,
            "model_type is mistral",
            "\"model_type\": \"llama\"",
            "\"model_type\": \"mistral\"",
        ),
        (Code::UNSUPPORTED, CONFIG, "mrope_section is not supported", "\"factor\": 8.0", "\"mrope_section\": [1]"),
        (
            Code::UNSUPPORTED,
            CONFIG,
            "text_config is not supported",
            "\"rms_norm_eps\"",
            "\"text_config\": {}, \"rms_norm_eps\"",
        ),
        (Code::UNSUPPORTED, CONFIG, "n_heads is not supported", "\"rms_norm_eps\"", "\"n_heads\": 2, \"rms_norm_eps\""),
        (Code::MALFORMED, CONFIG, "null, but must be", "\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": null"),
    ];
    for (code, file, words, old, new) in cases {
        let error = with(file, old, new).unwrap_err();
        assert!(error.code() == code && error.message().contains(words), "{words}: {error}");
        let places = [CONFIG, TOKENIZER, "tensor '", "llama-3/config.json: "];
        assert!(places.iter().any(|place| error.message().starts_with(place)), "{error}");
    }
    let mut folder = open("llama-3", &files, &from);
    folder.add_file(CONFIG, text(CONFIG).into_bytes());
    folder.add_file(TOKENIZER, text(TOKENIZER).replace("\\p{N}{1,3}", "\\p{N}{1,4}").into_bytes());
    let named = recipe("F16").with_pre_tokenizer("llama-bpe");
    let as_known = open("llama-3", &files, &from);
    assert_eq!(plan(&folder, &named, None).unwrap().header(), plan(&as_known, &recipe("F16"), None).unwrap().header());
}

/// Files that would change the script's output and are not supported are rejected rather than ignored.
#[test]
fn each_contradicting_file_has_its_error() {
    const SETTINGS: &str = "tokenizer_config.json";
    let settings =
        |more: &str| format!("{{\"tokenizer_class\": \"Qwen2Tokenizer\", \"eos_token\": \"<|im_end|>\", {more}}}");
    let cases = [
        (Code::UNSUPPORTED, "hf_quant_config.json", "already quantized", "{}".to_owned()),
        (Code::UNSUPPORTED, "added_tokens.json", "'<x>' does not have this id", r#"{"<x>": 390}"#.to_owned()),
        (Code::UNSUPPORTED, "added_tokens.json", "does not have this id", r#"{"<|im_end|>": 390}"#.to_owned()),
        (Code::UNSUPPORTED, "special_tokens_map.json", "'<y>' is not", r#"{"a": ["<y>"]}"#.to_owned()),
        (
            Code::UNSUPPORTED,
            SETTINGS,
            "'<z>' is not",
            settings(r#""extra_special_tokens": {"image": {"content": "<z>"}}"#),
        ),
        (Code::UNSUPPORTED, SETTINGS, "has 1 tokens", settings(r#""added_tokens_decoder": {"384": {"content": "x"}}"#)),
        (Code::UNSUPPORTED, SETTINGS, "split_special_tokens", settings(r#""split_special_tokens": true"#)),
        (Code::UNSUPPORTED, SETTINGS, "XTokenizer", r#"{"tokenizer_class": "XTokenizer"}"#.to_owned()),
        (Code::MALFORMED, SETTINGS, "entry 1 of", settings(r#""chat_template": [{"name": "a"}, 1]"#)),
        (Code::MALFORMED, "generation_config.json", "top_k is not a whole", r#"{"top_k": 1.5}"#.to_owned()),
        (Code::MALFORMED, "generation_config.json", "sequence is not a string", r#"{"sequence": 1}"#.to_owned()),
        (Code::UNSUPPORTED, "README.md", "'license' of its model card", "---\nlicense: yes\n---\n".to_owned()),
        (Code::UNSUPPORTED, "tokenizer.json", "needs the token 'yes'", String::new()),
    ];
    let (files, from) = (shards("qwen3"), golden().join("qwen3"));
    for (code, file, words, text) in cases {
        let mut folder = open("qwen3", &files, &from);
        if text.is_empty() {
            folder.set_name("my-Qwen3-Reranker");
        } else {
            folder.add_file(file, text.into_bytes());
        }
        let error = plan(&folder, &recipe("F16"), None).unwrap_err();
        let named = error.message().starts_with(file) && error.message().contains(words);
        assert!(error.code() == code && named, "{words}: {error}");
        assert!(folder.repeated().is_empty());
    }
    let mut folder = open("qwen3", &files, &from);
    for index in 0..257 {
        folder.add_file(&format!("additional_chat_templates/{index}.jinja"), b"x".to_vec());
    }
    assert_eq!(plan(&folder, &recipe("F16"), None).unwrap_err().code(), Code::TOO_LARGE);
}

/// A classifier's labels are written only if all of its outputs have names.
#[test]
fn labels_have_ids_and_names() {
    let (files, from) = (shards("masked-bert"), golden().join("masked-bert"));
    let config = fs::read_to_string(from.join("config.json")).unwrap();
    let planned = |labels: &str| {
        let mut folder = open("masked-bert", &files, &from);
        let (start, end) = (config.find("\"id2label\"").unwrap(), config.find("\"label2id\"").unwrap());
        folder.add_file("config.json", format!("{}{labels},{}", &config[..start], &config[end..]).into_bytes());
        plan(&folder, &recipe("F16"), None).map(|plan| String::from_utf8_lossy(plan.header()).into_owned())
    };
    for (labels, words) in [
        (r#""num_labels": 3"#, "num_labels is 3, but id2label has 2 names"),
        (r#""num_labels": 3, "id2label": {"0": "x"}"#, "num_labels is 3, but id2label has 1 names"),
        (r#""id2label": {"0": 1}"#, "must map numbers to strings"),
        (r#""id2label": {"x": "y"}"#, "must map numbers to strings"),
    ] {
        let error = planned(labels).unwrap_err();
        assert!(error.message().contains(words), "{labels}: {error}");
    }
    let written = |labels| planned(labels).unwrap().contains("output_labels");
    assert!(written(r#""num_labels": 2, "id2label": {"1": "y", "0": "x"}"#));
    assert!(!written(r#""num_labels": 2"#) && !written(r#""id2label": {"0": "LABEL_0", "1": "LABEL_1"}"#));
}

/// The model card and the sampling parameters are read as in Python.
#[test]
fn model_card_fields_are_parsed_as_yaml() {
    let (files, from) = (shards("qwen3"), golden().join("qwen3"));
    let header = |card: &str| {
        let mut folder = open("qwen3", &files, &from);
        folder.add_file("README.md", card.as_bytes().to_vec());
        plan(&folder, &recipe("F16"), None).map(|plan| String::from_utf8_lossy(plan.header()).into_owned())
    };
    for (card, said) in [
        ("name:\nmodel_name: Foo", "Foo"),
        ("version: 1.0.0", "1.0.0"),
        ("name: 1e5", "1e5"),
        ("license : bsd", "bsd"),
        ("license: bsd\u{2028}x: y", "bsd"),
        ("language:\n- no\n- en", "general.languages"),
    ] {
        assert!(header(&format!("---\n{card}\n---\n")).unwrap().contains(said), "{card}");
    }
    assert!(!header("---\nlicense: \"\"\n---\n").unwrap().contains("general.license"));
    for scalar in
        ["On", "TRUE", "3", "-1_0", "1.5", ".5", "5.", "1.5e+5", ".inf", "12:30", "0x1F", "2024-01-01", "- x", "="]
    {
        let error = header(&format!("---\nname: {scalar}\n---\n")).unwrap_err();
        assert!(error.code() == Code::UNSUPPORTED && error.message().contains("'name'"), "{scalar}: {error}");
    }
}

/// Any contents of the configuration files give a plan or an error.
#[test]
fn truncated_or_changed_files_never_panic() {
    for name in ["Qwen2.5-0.5B-Instruct", "mini-bert-L2-v1", "ranker", "codellama"] {
        let (files, from) = (shards(name), golden().join(name));
        for file in SIDECARS {
            let Ok(bytes) = fs::read(from.join(file)) else { continue };
            let step = bytes.len() / 40 + 1;
            for at in (0..bytes.len()).step_by(step) {
                let mut folder = open(name, &files, &from);
                folder.add_file(file, bytes[..at].to_vec());
                let _ = plan(&folder, &recipe("Q4_0"), None);
                let mut changed = bytes.clone();
                changed[at] = b'0' + (at % 10) as u8;
                folder.add_file(file, changed);
                let _ = (plan(&folder, &recipe("Q4_0"), None), folder.generated(), folder.repeated());
            }
        }
    }
}

#[test]
fn tensors_are_renamed_by_the_table_or_rejected() {
    let name = "qwen3";
    let (files, from) = (shards(name), golden().join(name));
    let mut folder = open(name, &files, &from);
    let stray = br#"{"model.layers.2.mlp.up_proj.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    let stray = [&(stray.len() as u64).to_le_bytes()[..], stray].concat();
    let Parsed::Header(header) = parse(&stray, stray.len() as u64).unwrap() else { panic!() };
    folder.add(*header, stray.len() as u64).unwrap();
    let error = plan(&folder, &recipe("F16"), None).unwrap_err();
    assert!(error.code() == Code::UNSUPPORTED && error.message().contains("a qwen3 model with 2 layers"), "{error}");
}

#[test]
fn rejects_two_tensors_with_the_same_target_name() {
    let name = "qwen3";
    let (files, from) = (shards(name), golden().join(name));
    for twin in ["norm.weight", "model.norm.gamma"] {
        let mut folder = open(name, &files, &from);
        let norm = format!(r#"{{"{twin}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
        let norm = [&(norm.len() as u64).to_le_bytes()[..], norm.as_bytes(), &[0; 4]].concat();
        let Parsed::Header(header) = parse(&norm, norm.len() as u64).unwrap() else { panic!() };
        folder.add(*header, norm.len() as u64).unwrap();
        let error = plan(&folder, &recipe("F16"), None).unwrap_err();
        assert!(error.code() == Code::MALFORMED && error.message().contains("'output_norm.weight'"), "{error}");
    }
}

/// The two names for Llama 3's steps: the script hashes tokens, the first of which depends on the template.
#[test]
fn a_tokenizer_without_template_processing_has_another_pre_tokenizer() {
    let name = "llama-3";
    let (files, from) = (shards(name), golden().join(name));
    let tokenizer = fs::read(from.join("tokenizer.json")).unwrap();
    for (processor, pre) in
        [(None, "llama-bpe"), (Some("null"), "smaug-bpe"), (Some(r#"{"type": "ByteLevel"}"#), "smaug-bpe")]
    {
        let mut folder = open(name, &files, &from);
        if let Some(processor) = processor {
            let mut changed: serde_json::Value = serde_json::from_slice(&tokenizer).unwrap();
            changed["post_processor"] = serde_json::from_str(processor).unwrap();
            folder.add_file("tokenizer.json", serde_json::to_vec(&changed).unwrap());
        }
        let header = plan(&folder, &recipe("F16"), None).unwrap().header().to_vec();
        let at = header.windows(18).position(|bytes| bytes == b"tokenizer.ggml.pre").unwrap();
        assert!(header[at + 30..].starts_with(pre.as_bytes()), "{pre}");
    }
}
