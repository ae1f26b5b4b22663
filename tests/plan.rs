//! The errors of planning, one case per error, and the reasons in a plan.

use quantpress::Code;
use quantpress::container::gguf::{Header, Parsed, Record, TensorType, Value, encode_pair, parse, write_header};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::recipe::{Plan, Planner, Recipe, encode_tile, plan, presets, unreadable};
use serde_json::{Value as Json, json};

fn header_of(pairs: &[Vec<u8>], tensors: &[(&str, &[u64], TensorType)]) -> Header {
    let records: Vec<_> = tensors.iter().map(|(name, shape, dtype)| Record { name, shape, dtype: *dtype }).collect();
    let written = write_header(pairs, &records, 32).unwrap();
    match parse(&written.header, written.size).unwrap() {
        Parsed::Header(header) => *header,
        Parsed::NeedsMore(_) => panic!("the header is complete"),
    }
}

fn pairs() -> Vec<Vec<u8>> {
    vec![
        encode_pair("general.architecture", &Value::String(b"llama")),
        encode_pair("llama.block_count", &Value::U32(1)),
    ]
}

const TENSORS: &[(&str, &[u64], TensorType)] = &[
    ("token_embd.weight", &[256, 4], TensorType::F16),
    ("blk.0.attn_v.weight", &[256, 4], TensorType::F16),
    ("blk.0.ffn_down.weight", &[320, 4], TensorType::F16),
    ("blk.0.attn_norm.weight", &[256], TensorType::F32),
];

fn planned(recipe: &Json, importance: Option<&ImportanceMatrix>) -> quantpress::Result<Plan> {
    let recipe: Recipe = serde_json::from_value(recipe.clone()).unwrap();
    plan(&header_of(&pairs(), TENSORS), &recipe, importance)
}

fn refused(recipe: Json, code: Code, says: &str) {
    let error = planned(&recipe, None).unwrap_err();
    assert_eq!(error.code(), code, "{recipe}: {error}");
    assert!(error.message().contains(says), "'{error}' does not say '{says}'");
}

/// A matrix with one entry.
fn importance(name: &str, values: &[f32]) -> ImportanceMatrix {
    let mut bytes = 1i32.to_le_bytes().to_vec();
    bytes.extend((name.len() as i32).to_le_bytes());
    bytes.extend(name.bytes());
    bytes.extend(1i32.to_le_bytes());
    bytes.extend((values.len() as i32).to_le_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    ImportanceMatrix::parse(&bytes).unwrap()
}

#[test]
fn rejects_a_contradictory_recipe() {
    refused(
        json!({ "preset": "Q4_K_XXL" }),
        Code::UNKNOWN_NAME,
        "unknown preset 'Q4_K_XXL'; the known presets are Q1_0, ",
    );
    refused(json!({ "preset": "4" }), Code::UNKNOWN_NAME, "unknown preset '4'");
    refused(json!({}), Code::UNKNOWN_NAME, "unknown preset ''");
    refused(json!({ "preset": "Q4_0", "outputTensorType": "Q4" }), Code::UNKNOWN_NAME, "unknown tensor type 'Q4'");
    let rule = |pattern: &str, dtype: &str| json!({ "preset": "Q4_0", "tensorTypes": [{ "pattern": pattern, "type": dtype }] });
    refused(rule("a", "Q9"), Code::UNKNOWN_NAME, "unknown tensor type 'Q9'");
    refused(rule("attn_(q", "Q8_0"), Code::ARGUMENT, "'attn_(q' is not a valid regular expression");
    refused(rule("(a)\\1", "Q8_0"), Code::ARGUMENT, "not a valid regular expression");
    let both = json!({ "preset": "Q4_0", "includeWeights": ["a"], "excludeWeights": ["b"] });
    refused(both, Code::ARGUMENT, "cannot be used together");
    for (text, says) in [
        ("no equals sign", "no '='"),
        ("=int:1", "key"),
        ("k=1", "no type"),
        ("k=u8:1", "unknown type"),
        ("k=int:one", "integer"),
        ("k=float:x", "number"),
        ("k=bool:yes", "neither true nor false"),
    ] {
        refused(json!({ "preset": "Q4_0", "overrideKv": [text] }), Code::ARGUMENT, says);
    }
    let long = format!("k=str:{}", "x".repeat(128));
    refused(json!({ "preset": "Q4_0", "overrideKv": [long] }), Code::ARGUMENT, "127 bytes");
    refused(json!({ "preset": "Q4_0", "overrideKv": ["general.alignment=int:48"] }), Code::RANGE, "power of two");
    assert!(serde_json::from_value::<Recipe>(json!({ "preset": "Q4_0", "purre": true })).is_err());
}

#[test]
fn rejects_what_llama_quantize_rejects() {
    refused(
        json!({ "preset": "Q2_K_S" }),
        Code::NEEDS_IMPORTANCE,
        "'blk.0.attn_v.weight': Q2_K requires an importance",
    );
    let elsewhere = importance("blk.0.ffn_down.weight", &[1.0; 320]);
    let error = planned(&json!({ "preset": "Q2_K_S" }), Some(&elsewhere)).unwrap_err();
    assert_eq!(error.code(), Code::NEEDS_IMPORTANCE, "importance of another tensor does not count: {error}");
    let error =
        planned(&json!({ "preset": "Q4_0" }), Some(&importance("blk.0.attn_v.weight", &[1.0; 255]))).unwrap_err();
    assert_eq!(error.code(), Code::LENGTH, "{error}");
    assert!(error.message().contains("255 values") && error.message().contains("256"), "{error}");
    // The rows of the embeddings are tokens: a length that does not match is ignored, as in llama.cpp.
    let tokens = planned(&json!({ "preset": "Q4_0" }), Some(&importance("token_embd.weight", &[1.0; 7]))).unwrap();
    assert!(tokens.tensors.iter().all(|tensor| !tensor.has_importance));
    refused(json!({ "preset": "Q4_0", "tokenEmbeddingType": "Q8_K" }), Code::UNSUPPORTED, "Q8_K cannot be written");

    let quantized = [("blk.0.attn_v.weight", &[256u64, 4][..], TensorType::Q8_0)];
    let header = header_of(&pairs(), &quantized);
    let mut recipe = Recipe::new("Q4_0");
    let error = plan(&header, &recipe, None).unwrap_err();
    assert_eq!(error.code(), Code::ARGUMENT);
    assert!(error.message().contains("already Q8_0"), "{error}");
    recipe.allow_requantize = true;
    assert_eq!(plan(&header, &recipe, None).unwrap().tensors[0].to, TensorType::Q4_0);

    let integers = header_of(&pairs(), &[("blk.0.attn_v.weight", &[256, 4], TensorType::I32)]);
    assert_eq!(plan(&integers, &recipe, None).unwrap_err().code(), Code::UNSUPPORTED);
    let mut shard = pairs();
    shard.push(encode_pair("split.count", &Value::U16(3)));
    shard.push(encode_pair("split.no", &Value::U16(1)));
    let error = plan(&header_of(&shard, TENSORS), &recipe, None).unwrap_err();
    assert_eq!((error.code(), error.message().contains("shard 2 of 3")), (Code::UNSUPPORTED, true), "{error}");
}

#[test]
fn a_dry_run_reports_missing_importance_instead_of_failing() {
    let plan = planned(&json!({ "preset": "Q2_K_S", "dryRun": true }), None).unwrap();
    let missing: Vec<_> =
        plan.tensors.iter().filter(|tensor| tensor.needs_importance).map(|tensor| &tensor.name).collect();
    assert_eq!(missing, ["blk.0.attn_v.weight"]);
}

#[test]
fn every_decision_states_its_reason() {
    let plan = planned(&json!({ "preset": "Q4_K_M" }), None).unwrap();
    let said: Vec<_> = plan.tensors.iter().map(|t| (t.name.as_str(), t.to.name, t.why.as_str())).collect();
    let stands_in =
        "ffn_down of the layers that keep more bits; rows of 320 are not a multiple of 256, so Q8_0 replaces Q6_K";
    assert_eq!(
        said,
        [
            ("token_embd.weight", "Q6_K", "the output decides every token: at least 6 bits"),
            ("blk.0.attn_norm.weight", "F32", "one-dimensional tensors are kept"),
            ("blk.0.attn_v.weight", "Q6_K", "attention values of the layers that keep more bits"),
            ("blk.0.ffn_down.weight", "Q8_0", stands_in),
        ]
    );
}

#[test]
fn a_format_without_a_preset_can_be_used_as_a_preset() {
    let plan = planned(&json!({ "preset": "mxfp4" }), None).unwrap();
    let types: Vec<_> = plan.tensors.iter().map(|tensor| tensor.to.name).collect();
    assert_eq!(types, ["MXFP4", "F32", "MXFP4", "MXFP4"]);
    assert!(presets().any(|preset| preset.name == "NVFP4" && preset.uniform));
}

#[test]
fn a_tile_checks_its_input_and_its_output() {
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let code = |bytes: &[u8], from, to, row| encode_tile(bytes, from, to, row, None, 0).unwrap_err().code();
    assert_eq!(code(&floats(&[f32::NAN; 32]), "F32", "Q4_0", 32), Code::NON_FINITE);
    assert_eq!(code(&floats(&[f32::NAN; 32]), "F32", "F32", 32), Code::NON_FINITE, "a copy is checked as well");
    assert_eq!(code(&[0xff; 18], "Q4_0", "Q4_0", 32), Code::INVALID_BLOCK);
    assert_eq!(code(&floats(&[1e9; 32]), "F32", "F16", 32), Code::UNREPRESENTABLE);
    assert_eq!(code(&floats(&[1.0; 33]), "F32", "Q4_0", 33), Code::LENGTH);
    assert_eq!(code(&[0; 7], "F32", "Q4_0", 32), Code::LENGTH);
    assert_eq!(code(&floats(&[1.0; 32]), "F32", "Q5", 32), Code::UNKNOWN_NAME);
    assert_eq!(code(&floats(&[1.0; 256]), "F32", "Q8_K", 256), Code::UNSUPPORTED);
    assert_eq!(encode_tile(&[1, 2, 3, 4], "I32", "I32", 1, None, 0).unwrap(), [1, 2, 3, 4]);
    let widened = encode_tile(&[0, 0x3c], "F16", "F32", 1, None, 0).unwrap();
    assert_eq!(widened, 1.0f32.to_le_bytes());
}

/// llama.cpp rejects a whole file because of one name of 64 bytes or five dimensions; loaders of image models accept
/// 127 bytes and five dimensions.
#[test]
fn rejects_names_and_dimensions_that_llama_cpp_cannot_read() {
    let of = |architecture: &str, name: &str, shape: &[u64]| {
        let pairs = match architecture {
            "" => Vec::new(),
            _ => vec![encode_pair("general.architecture", &Value::String(architecture.as_bytes()))],
        };
        header_of(&pairs, &[(name, shape, TensorType::F32)])
    };
    let name = |bytes: usize| format!("blk.0.{}.weight", "x".repeat(bytes - 13));
    for (architecture, most) in [("llama", 63), ("", 127), ("flux", 127), ("plain", 1024)] {
        for preset in ["COPY", "F16", "Q8_0"] {
            let recipe = Recipe::new(preset);
            let fits = of(architecture, &name(most), &[32, 4]);
            assert!(plan(&fits, &recipe, None).is_ok() && unreadable(&fits).is_empty(), "{architecture} {preset}");
            if most == 1024 {
                continue; // the parser rejects longer ones
            }
            let long = of(architecture, &name(most + 1), &[32, 4]);
            let error = plan(&long, &recipe, None).unwrap_err();
            assert_eq!(error.code(), Code::TOO_LARGE, "{error}");
            assert!(error.message().contains(&format!("reads at most {most}")), "{error}");
            let found = unreadable(&long);
            assert_eq!((found.len(), found[0].0), (1, name(most + 1).as_str()));
        }
    }
    let recipe = Recipe::new("COPY");
    let five = of("llama", "a.weight", &[32, 1, 1, 1, 2]);
    assert_eq!(plan(&five, &recipe, None).unwrap_err().code(), Code::TOO_LARGE);
    assert!(unreadable(&five)[0].1.contains("5 dimensions"));
    let five = of("wan", "a.weight", &[32, 1, 1, 1, 2]);
    assert!(plan(&five, &recipe, None).is_ok() && unreadable(&five).is_empty());
}

/// A header with many tensors of several categories, in neither the order of layers nor that of names.
fn many(count: usize) -> Header {
    let parts = ["attn_v", "ffn_down", "attn_norm", "ffn_up", "attn_q"];
    let names: Vec<String> = (0..count)
        .map(|i| i * 7919 % count)
        .map(|i| format!("blk.{}.{}.weight", i / parts.len(), parts[i % parts.len()]))
        .chain(["output.weight", "token_embd.weight"].map(str::to_owned))
        .collect();
    let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), &[256u64, 2][..], TensorType::F16)).collect();
    header_of(&pairs()[..1], &tensors)
}

#[test]
fn a_plan_made_in_steps_is_that_of_one_step() {
    let header = many(500);
    let rules =
        json!([{ "pattern": "ffn_up", "type": "Q8_0" }, { "pattern": "^blk\\.3\\.attn_q\\.weight$", "type": "Q6_K" }]);
    let recipes = [
        json!({ "preset": "Q4_K_M" }),
        json!({ "preset": "COPY" }),
        json!({ "preset": "Q3_K_M", "pruneLayers": [3, 50] }),
        json!({ "preset": "Q5_K_M", "splitMaxSize": 20_000, "tensorTypes": rules }),
        json!({ "preset": "Q8_0", "keepSplit": true }),
    ];
    for recipe in recipes {
        let recipe: Recipe = serde_json::from_value(recipe).unwrap();
        let whole = plan(&header, &recipe, None).unwrap();
        for most in [1, 30, 10_000] {
            let mut planner = Planner::new(&header, &recipe, None).unwrap();
            let (made, steps) = (1..).find_map(|steps| Some((planner.step(most).unwrap()?, steps))).unwrap();
            assert!(made.tensors == whole.tensors && made.shards == whole.shards && made.size == whole.size);
            assert!(steps >= 4 * 400 / most, "{steps} steps with {most}");
        }
    }
}
