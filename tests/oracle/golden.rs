//! Writes the golden vectors: the reference's encodings of a few thousand weights in every format.
//!
//! ```text
//! tests/golden/formats/inputs.json   provenance; rows of weights by distribution, importance by kind, as base64
//! tests/golden/formats/Q4_K.json     encode.<distribution>.<importance>: a list with the bytes of each row as base64;
//!                                    "refused" for a row on which the reference aborts, or whose bytes it rejects;
//!                                    "as none" if importance changes nothing
//!                                    decode: random bytes, their decoded weights, and which blocks are valid
//! ```
//!
//! A format that the reference cannot write has no `encode`; one that it cannot read has no `weights`.

use super::compare::{reference_verdicts, reference_weights};
use crate::support::ggml::{Ggml, Row};
use crate::support::golden;
use crate::support::weights::{DISTRIBUTIONS, IMPORTANCE, Rng};
use quantpress::{Codec, formats};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

/// Rows are whole super-blocks; there are two to show that the mean square is that of each row.
const ROW: usize = 512;
const ROWS: usize = 2;
/// The number of weights decoded from random bytes.
const DECODED: usize = 1024;
const SEED: u64 = 20_261_124;

/// Rows of weights by distribution, or importance by kind.
type Inputs = BTreeMap<&'static str, Vec<f32>>;

pub fn write() -> ExitCode {
    let ggml = Ggml::load().unwrap();
    let rng = Rng::new(SEED);
    let weights: Inputs =
        DISTRIBUTIONS.iter().map(|(name, generate)| (*name, generate(&mut rng.fork(name), ROW * ROWS))).collect();
    let importance: Inputs = IMPORTANCE
        .iter()
        .filter_map(|(name, generate)| Some((*name, generate.as_ref()?(&mut rng.fork(name), ROW))))
        .collect();

    let encoded = |inputs: &Inputs| -> Value {
        inputs.iter().map(|(name, floats)| (name.to_string(), golden::of_floats(floats))).collect::<Map<_, _>>().into()
    };
    save(
        "inputs",
        &json!({
            "provenance": provenance(),
            "rowLength": ROW,
            "weights": encoded(&weights),
            "importance": encoded(&importance),
        }),
    );
    for codec in formats() {
        let mut file = json!({ "decode": decode(&ggml, codec, &rng) });
        if writes(&ggml, codec, &weights, &importance) {
            file["encode"] = encode(&ggml, codec, &weights, &importance);
        }
        save(codec.name, &file);
        println!("{}", codec.name);
    }
    ExitCode::SUCCESS
}

/// Whether the reference can encode the format, whatever our engine can do: it aborts for a read-only format.
fn writes(ggml: &Ggml, codec: &Codec, weights: &Inputs, importance: &Inputs) -> bool {
    ggml.prepare(codec);
    let rows = ggml.encode_rows(codec, &weights["gaussian"], ROW, Some(&importance["chi-squared"]));
    rows.iter().all(|row| matches!(row, Row::Bytes(_)))
}

fn encode(ggml: &Ggml, codec: &Codec, weights: &Inputs, importance: &Inputs) -> Value {
    let rows = |weights: &[f32], importance: Option<&[f32]>| -> Value {
        if ggml.needs_importance(codec) && importance.is_none() {
            return "refused".into();
        }
        let row = |row: Row| match row {
            Row::Bytes(bytes) => golden::of_bytes(&bytes),
            Row::Invalid | Row::Aborted => "refused".into(),
        };
        ggml.encode_rows(codec, weights, ROW, importance).into_iter().map(row).collect::<Vec<_>>().into()
    };
    let kinds = |weights: &[f32]| -> Value {
        let none = rows(weights, None);
        let mut kinds = Map::from_iter([("none".to_owned(), none.clone())]);
        for (kind, importance) in importance {
            let rows = rows(weights, Some(importance));
            kinds.insert(kind.to_string(), if rows == none { "as none".into() } else { rows });
        }
        kinds.into()
    };
    weights.iter().map(|(name, weights)| (name.to_string(), kinds(weights))).collect::<Map<_, _>>().into()
}

fn decode(ggml: &Ggml, codec: &Codec, rng: &Rng) -> Value {
    let bytes = rng.fork(codec.name).bytes(DECODED / codec.weights * codec.bytes);
    let mut file = json!({ "bytes": golden::of_bytes(&bytes) });
    if let Some(weights) = reference_weights(ggml, codec, &bytes) {
        file["weights"] = golden::of_floats(&weights);
    }
    if let Some(valid) = reference_verdicts(ggml, codec, &bytes) {
        file["valid"] = valid.iter().map(|&valid| if valid { '1' } else { '0' }).collect::<String>().into();
    }
    file
}

fn provenance() -> Value {
    let library = Ggml::path();
    let package = library.ancestors().map(|folder| folder.join("package.json")).find(|path| path.exists()).unwrap();
    let package: Value = serde_json::from_str(&std::fs::read_to_string(package).unwrap()).unwrap();
    json!({
        "package": format!("npm {}@{}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap()),
        "library": library.file_name().unwrap().to_string_lossy(),
        "sha256": output("sha256sum", &[&library.to_string_lossy()]).split(' ').next().unwrap(),
        "date": output("date", &["-u", "+%F"]).trim(),
        "seed": SEED,
        "command": "cargo test --test oracle -- --write-golden",
    })
}

fn output(program: &str, arguments: &[&str]) -> String {
    String::from_utf8(Command::new(program).args(arguments).output().unwrap().stdout).unwrap()
}

fn save(name: &str, file: &Value) {
    let folder = format!("{}/tests/golden/formats", env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(format!("{folder}/{name}.json"), serde_json::to_string_pretty(file).unwrap() + "\n").unwrap();
}
