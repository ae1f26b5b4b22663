//! Type selection for models of up to hundreds of gigabytes, from metadata alone, compared with llama.cpp's own record.

use quantpress::container::gguf::{Header, Parsed, Record, TensorType, Value, encode_pair, parse, write_header};
use quantpress::recipe::{Recipe, plan};
use std::collections::BTreeMap;
use std::ops::Range;

/// A model as published: every tensor that may be quantized.
struct Model {
    file: &'static str,
    architecture: &'static str,
    layers: u32,
    heads: u32,
    kv_heads: u32,
    experts: u32,
    outside: &'static [(&'static str, [u64; 2])],
    inside: &'static [(&'static str, &'static [u64], Range<u32>)],
}

const MODELS: &[Model] = &[
    Model {
        file: "qwen3-0.6b",
        architecture: "qwen3",
        layers: 28,
        heads: 16,
        kv_heads: 8,
        experts: 0,
        outside: &[("token_embd", [1024, 151936]), ("output", [1024, 151936])],
        inside: &[
            ("attn_q", &[1024, 2048], 0..28),
            ("attn_k", &[1024, 1024], 0..28),
            ("attn_v", &[1024, 1024], 0..28),
            ("attn_output", &[2048, 1024], 0..28),
            ("ffn_gate", &[1024, 3072], 0..28),
            ("ffn_up", &[1024, 3072], 0..28),
            ("ffn_down", &[3072, 1024], 0..28),
        ],
    },
    Model {
        file: "qwen3-14b",
        architecture: "qwen3",
        layers: 40,
        heads: 40,
        kv_heads: 8,
        experts: 0,
        outside: &[("token_embd", [5120, 151936]), ("output", [5120, 151936])],
        inside: &[
            ("attn_q", &[5120, 5120], 0..40),
            ("attn_k", &[5120, 1024], 0..40),
            ("attn_v", &[5120, 1024], 0..40),
            ("attn_output", &[5120, 5120], 0..40),
            ("ffn_gate", &[5120, 17408], 0..40),
            ("ffn_up", &[5120, 17408], 0..40),
            ("ffn_down", &[17408, 5120], 0..40),
        ],
    },
    Model {
        file: "gemma-3-4b-it",
        architecture: "gemma3",
        layers: 34,
        heads: 8,
        kv_heads: 4,
        experts: 0,
        outside: &[("token_embd", [2560, 262144])],
        inside: &[
            ("attn_q", &[2560, 2048], 0..34),
            ("attn_k", &[2560, 1024], 0..34),
            ("attn_v", &[2560, 1024], 0..34),
            ("attn_output", &[2048, 2560], 0..34),
            ("ffn_gate", &[2560, 10240], 0..34),
            ("ffn_up", &[2560, 10240], 0..34),
            ("ffn_down", &[10240, 2560], 0..34),
        ],
    },
    Model {
        file: "meta-llama-3.1-70b-instruct",
        architecture: "llama",
        layers: 80,
        heads: 64,
        kv_heads: 8,
        experts: 0,
        outside: &[("token_embd", [8192, 128256]), ("output", [8192, 128256])],
        inside: &[
            ("attn_q", &[8192, 8192], 0..80),
            ("attn_k", &[8192, 1024], 0..80),
            ("attn_v", &[8192, 1024], 0..80),
            ("attn_output", &[8192, 8192], 0..80),
            ("ffn_gate", &[8192, 28672], 0..80),
            ("ffn_up", &[8192, 28672], 0..80),
            ("ffn_down", &[28672, 8192], 0..80),
        ],
    },
    Model {
        file: "gpt-oss-120b",
        architecture: "gpt-oss",
        layers: 36,
        heads: 64,
        kv_heads: 8,
        experts: 128,
        outside: &[("token_embd", [2880, 201088]), ("output", [2880, 201088])],
        inside: &[
            ("attn_q", &[2880, 4096], 0..36),
            ("attn_k", &[2880, 512], 0..36),
            ("attn_v", &[2880, 512], 0..36),
            ("attn_output", &[4096, 2880], 0..36),
            ("ffn_gate_exps", &[2880, 2880, 128], 0..36),
            ("ffn_up_exps", &[2880, 2880, 128], 0..36),
            ("ffn_down_exps", &[2880, 2880, 128], 0..36),
        ],
    },
    Model {
        file: "glm-4.6v",
        architecture: "glm4moe",
        layers: 46,
        heads: 96,
        kv_heads: 8,
        experts: 128,
        outside: &[("token_embd", [4096, 151552]), ("output", [4096, 151552])],
        inside: &[
            ("attn_q", &[4096, 12288], 0..46),
            ("attn_k", &[4096, 1024], 0..46),
            ("attn_v", &[4096, 1024], 0..46),
            ("attn_output", &[12288, 4096], 0..46),
            ("ffn_gate", &[4096, 10944], 0..1),
            ("ffn_up", &[4096, 10944], 0..1),
            ("ffn_down", &[10944, 4096], 0..1),
            ("ffn_gate_exps", &[4096, 1408, 128], 1..46),
            ("ffn_up_exps", &[4096, 1408, 128], 1..46),
            ("ffn_down_exps", &[1408, 4096, 128], 1..46),
            ("ffn_gate_shexp", &[4096, 1408], 1..46),
            ("ffn_up_shexp", &[4096, 1408], 1..46),
            ("ffn_down_shexp", &[1408, 4096], 1..46),
        ],
    },
    Model {
        file: "deepseek-v3.1",
        architecture: "deepseek2",
        layers: 61,
        heads: 128,
        kv_heads: 1,
        experts: 256,
        outside: &[("token_embd", [7168, 129280]), ("output", [7168, 129280])],
        inside: &[
            ("attn_q_a", &[7168, 1536], 0..61),
            ("attn_q_b", &[1536, 24576], 0..61),
            ("attn_kv_a_mqa", &[7168, 576], 0..61),
            ("attn_k_b", &[128, 512, 128], 0..61),
            ("attn_v_b", &[512, 128, 128], 0..61),
            ("attn_output", &[16384, 7168], 0..61),
            ("ffn_gate", &[7168, 18432], 0..3),
            ("ffn_up", &[7168, 18432], 0..3),
            ("ffn_down", &[18432, 7168], 0..3),
            ("ffn_gate_exps", &[7168, 2048, 256], 3..61),
            ("ffn_up_exps", &[7168, 2048, 256], 3..61),
            ("ffn_down_exps", &[2048, 7168, 256], 3..61),
            ("ffn_gate_shexp", &[7168, 2048], 3..61),
            ("ffn_up_shexp", &[7168, 2048], 3..61),
            ("ffn_down_shexp", &[2048, 7168], 3..61),
        ],
    },
];

/// The header of the model's F32 file; there are no weights.
fn header(model: &Model) -> Header {
    let number = |name: &str, value| encode_pair(&format!("{}.{name}", model.architecture), &Value::U32(value));
    let pairs = [
        encode_pair("general.architecture", &Value::String(model.architecture.as_bytes())),
        number("block_count", model.layers),
        number("attention.head_count", model.heads),
        number("attention.head_count_kv", model.kv_heads),
        number("expert_count", model.experts),
    ];
    let outside = model.outside.iter().map(|(name, shape)| (format!("{name}.weight"), &shape[..]));
    let inside = model.inside.iter().flat_map(|(name, shape, layers)| {
        layers.clone().map(move |layer| (format!("blk.{layer}.{name}.weight"), *shape))
    });
    let tensors: Vec<_> = outside.chain(inside).collect();
    let records: Vec<_> = tensors.iter().map(|(name, shape)| Record { name, shape, dtype: TensorType::F32 }).collect();
    let written = write_header(&pairs, &records, 32).unwrap();
    match parse(&written.header, written.size).unwrap() {
        Parsed::Header(header) => *header,
        Parsed::NeedsMore(_) => panic!("the header is complete"),
    }
}

/// A preset, its default type, and the tensors with another type.
type Section = (String, String, BTreeMap<String, String>);

fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split(' ');
        let first = words.next().unwrap();
        let dtype = words.next().unwrap().to_uppercase();
        if let Some(preset) = first.strip_prefix('[') {
            sections.push((preset.trim_end_matches(']').to_owned(), dtype, BTreeMap::new()));
            continue;
        }
        let named = &mut sections.last_mut().unwrap().2;
        let mut layers = words.peekable();
        if layers.peek().is_none() {
            named.insert(first.to_owned(), dtype.clone());
        }
        for range in layers {
            let (start, end) = range.split_once('-').unwrap_or((range, range));
            for layer in start.parse::<u32>().unwrap()..=end.parse().unwrap() {
                named.insert(format!("blk.{layer}.{first}"), dtype.clone());
            }
        }
    }
    sections
}

#[test]
fn decisions_on_large_models_equal_llama_cpps_records() {
    let mut decided = 0;
    for model in MODELS {
        let path = format!("{}/tests/fixtures/selection/{}.txt", env!("CARGO_MANIFEST_DIR"), model.file);
        let sections = sections(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(sections.len(), 33, "{}", model.file);
        let header = header(model);
        for (preset, default, want) in sections {
            let recipe = Recipe::new(preset.clone()).with_dry_run(true);
            let plan = plan(&header, &recipe, None).unwrap();
            decided += plan.tensors.len();
            let other = plan.tensors.iter().filter(|tensor| tensor.to.name.to_uppercase() != default);
            let got: BTreeMap<_, _> =
                other.map(|tensor| (tensor.name.to_string(), tensor.to.name.to_owned())).collect();
            let all = got.keys().chain(want.keys());
            let wrong: Vec<_> = all.filter(|name| got.get(name.as_str()) != want.get(name.as_str())).collect();
            let first = wrong.first().map(|name| (name, got.get(name.as_str()), want.get(name.as_str())));
            assert!(wrong.is_empty(), "{} {preset}: {} differ, first {first:?}", model.file, wrong.len());
        }
    }
    assert!(decided > 70_000, "only {decided} decisions");
}
