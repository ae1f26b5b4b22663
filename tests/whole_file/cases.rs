//! The cases: every preset on every model, and every option.

use super::models::{self, BASE, Spec};
use crate::support::convert::convert;
use crate::support::weights::Rng;
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::formats;
use quantpress::recipe::{Recipe, presets};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// One comparison.
pub struct Case {
    pub name: String,
    pub input: PathBuf,
    pub importance: Option<PathBuf>,
    pub recipe: String,
}

/// Writes the models to `folder` and lists the cases for them.
pub fn all(folder: &Path, seed: u64) -> Vec<Case> {
    let rng = Rng::new(seed);
    let mut cases = Vec::new();
    for spec in models::specs() {
        let input = folder.join(format!("{}.gguf", spec.name));
        let importance = folder.join(format!("{}.dat", spec.name));
        std::fs::write(&input, models::file(&spec, &rng.fork(spec.name))).unwrap();
        std::fs::write(&importance, models::importance(&spec, &rng.fork(spec.name))).unwrap();
        let files = Files { input, importance };
        if spec.alignment == BASE.alignment {
            every_preset(&spec, &files, &mut cases);
        }
    }
    every_option(folder, &mut cases);
    every_source(folder, &mut cases);
    whale(folder, seed, &mut cases);
    cases
}

struct Files {
    input: PathBuf,
    importance: PathBuf,
}

fn case(model: &str, files: &Files, importance: bool, recipe: &Value) -> Case {
    let with = if importance { " imatrix" } else { "" };
    Case {
        name: format!("{model}{with} {recipe}"),
        input: files.input.clone(),
        importance: importance.then(|| files.importance.clone()),
        recipe: recipe.to_string(),
    }
}

/// Presets with distinct numbers; a second name for the same number is not a separate case.
fn preset_names() -> impl Iterator<Item = &'static str> {
    presets()
        .filter(|preset| !preset.uniform && !preset.description.starts_with("another name"))
        .map(|preset| preset.name)
}

fn every_preset(spec: &Spec, files: &Files, cases: &mut Vec<Case>) {
    for preset in preset_names() {
        for importance in [false, true] {
            cases.push(case(spec.name, files, importance, &json!({ "preset": preset })));
        }
    }
}

fn every_option(folder: &Path, cases: &mut Vec<Case>) {
    let on = |model: &str| Files {
        input: folder.join(format!("{model}.gguf")),
        importance: folder.join(format!("{model}.dat")),
    };
    let (plain, tied, moe, odd) = (on("plain"), on("tied"), on("moe8"), on("odd576"));
    for preset in ["Q4_K_S", "Q6_K", "Q8_0", "IQ4_XS", "F16", "Q2_K"] {
        cases.push(case("odd576", &odd, false, &json!({ "preset": preset, "pure": true })));
        cases.push(case("plain", &plain, true, &json!({ "preset": preset, "pure": true })));
    }
    let options = [
        json!({ "preset": "Q4_K_M", "leaveOutputTensor": true }),
        json!({ "preset": "Q4_K_M", "outputTensorType": "q5_K" }),
        json!({ "preset": "Q4_K_M", "outputTensorType": "bf16", "tokenEmbeddingType": "Q4_0" }),
        json!({ "preset": "F16", "tokenEmbeddingType": "q8_0" }),
        json!({ "preset": "Q4_K_M", "tensorTypes": [{ "pattern": "blk\\.[0-3]\\.ATTN_(q|k)", "type": "q8_0" }, { "pattern": "attn_q", "type": "q5_1" }] }),
        json!({ "preset": "Q4_K_M", "tensorTypes": [{ "pattern": "attn_q", "type": "q5_1" }, { "pattern": "attn", "type": "q8_0" }, { "pattern": "attn_q", "type": "q4_0" }] }),
        json!({ "preset": "Q4_K_M", "tensorTypes": [{ "pattern": "blk\\.\\d\\.attn_\\D\\.weight", "type": "q8_0" }] }),
        json!({ "preset": "Q4_K_M", "pure": true, "tensorTypes": [{ "pattern": "ffn_down", "type": "Q6_K" }] }),
        json!({ "preset": "F16", "tensorTypes": [{ "pattern": "ffn_down", "type": "Q6_K" }] }),
        json!({ "preset": "Q5_K_M", "tensorTypes": [{ "pattern": "^output", "type": "F16" }, { "pattern": "token_embd", "type": "BF16" }] }),
        json!({ "preset": "Q4_K_M", "overrideKv": ["general.name=str:another", "some.new=int:-7", "some.real=float:0.1", "some.flag=bool:false", "general.file_type=int:3"] }),
        json!({ "preset": "Q4_K_M", "overrideKv": ["llama.block_count=int:3"] }),
        json!({ "preset": "IQ3_S", "overrideKv": ["llama.attention.head_count=int:32"] }),
        json!({ "preset": "Q4_K_M", "pruneLayers": [1, 4, 5] }),
        json!({ "preset": "Q4_K_M", "pruneLayers": [0] }),
        json!({ "preset": "Q4_K_M", "pruneLayers": [8, 7, 8] }),
        json!({ "preset": "Q4_K_M", "keepSplit": true }),
        json!({ "preset": "Q4_K_M", "includeWeights": ["attn_v", "ffn"] }),
        json!({ "preset": "Q4_K_M", "excludeWeights": ["attn_v", "blk.1."] }),
        json!({ "preset": "Q4_K_M", "excludeWeights": ["blk"] }),
        json!({ "preset": "Q4_K_M", "imatrixFile": "a name.dat" }),
        json!({ "preset": "IQ2_XS", "includeWeights": ["attn_v"] }),
        json!({ "preset": "COPY", "pruneLayers": [2] }),
    ];
    for recipe in &options {
        for importance in [false, true] {
            // The reference chooses the names of split files itself.
            let keep = recipe.get("keepSplit").is_some();
            if !keep {
                cases.push(case("plain", &plain, importance, recipe));
            }
        }
    }
    let eight = json!({ "preset": "Q4_K_M", "overrideKv": ["llama.expert_count=int:8"] });
    cases.push(case("moe4", &on("moe4"), true, &eight));
    for recipe in &options[..6] {
        cases.push(case("tied", &tied, true, recipe));
        cases.push(case("moe8", &moe, true, recipe));
    }
}

fn whale_files() -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-whale");
    Files { input: folder.join("tiny-whale-f16.gguf"), importance: folder.join("tiny-whale.imatrix.gguf") }
}

/// A model in each block type: rejected, requantized if allowed, and copied.
fn every_source(folder: &Path, cases: &mut Vec<Case>) {
    let plain = folder.join("bf16.gguf");
    let importance = folder.join("bf16.dat");
    let matrix = ImportanceMatrix::parse(&std::fs::read(&importance).unwrap()).unwrap();
    for codec in formats().iter().filter(|codec| codec.can_encode() && codec.weights > 1) {
        let of_type = json!({ "preset": "Q8_0", "tensorTypes": [{ "pattern": "blk", "type": codec.name }] });
        let recipe: Recipe = serde_json::from_value(of_type).unwrap();
        let input = folder.join(format!("of-{}.gguf", codec.name));
        std::fs::write(&input, convert(&std::fs::read(&plain).unwrap(), &recipe, Some(&matrix)).unwrap()).unwrap();
        let files = Files { input, importance: importance.clone() };
        let mut add = |importance, recipe| {
            cases.push(case(&format!("of-{}", codec.name), &files, importance, &recipe));
        };
        add(false, json!({ "preset": "Q4_K_M" }));
        add(false, json!({ "preset": "COPY" }));
        for preset in ["Q4_K_M", "Q5_0", "F16", "IQ4_XS"] {
            add(false, json!({ "preset": preset, "allowRequantize": true }));
        }
        add(true, json!({ "preset": "IQ3_M", "allowRequantize": true }));
    }
}

/// The trained model with every preset from F16, and with a third of the presets from the other two dtypes in which
/// models are published; which third depends on the seed (`QUANTPRESS_ALL=1` runs all).
fn whale(folder: &Path, seed: u64, cases: &mut Vec<Case>) {
    let all = std::env::var_os("QUANTPRESS_ALL").is_some();
    let whale = whale_files();
    let f16 = std::fs::read(&whale.input).unwrap();
    for kind in ["F16", "BF16", "F32"] {
        let recipe: Recipe = serde_json::from_value(json!({ "preset": kind })).unwrap();
        let input = folder.join(format!("whale-{kind}.gguf"));
        std::fs::write(&input, convert(&f16, &recipe, None).unwrap()).unwrap();
        let files = Files { input, importance: whale.importance.clone() };
        for (index, preset) in preset_names().enumerate() {
            if kind != "F16" && !all && index % 3 != seed as usize % 3 {
                continue;
            }
            for importance in [false, true] {
                cases.push(case(&format!("whale-{kind}"), &files, importance, &json!({ "preset": preset })));
            }
        }
    }
}

/// The trained model with every preset, as compared by `tests/whale.rs` where the reference cannot run.
pub fn recorded() -> Vec<Case> {
    let of = |preset: &quantpress::recipe::Preset, importance| Case {
        name: preset.name.to_owned(),
        ..case("whale", &whale_files(), importance, &json!({ "preset": preset.name }))
    };
    let names: Vec<_> = preset_names().collect();
    let chosen: Vec<_> = presets().filter(|preset| names.contains(&preset.name)).collect();
    let mut cases: Vec<_> = chosen.iter().map(|preset| of(preset, preset.needs_importance())).collect();
    cases.extend(chosen.iter().filter(|preset| preset.name == "Q4_K_M").map(|preset| of(preset, true)));
    cases
}
