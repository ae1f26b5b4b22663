//! The tables of the package that are plain data, so that they are there before a WebAssembly module is loaded: they
//! must be those of the engine. `QUANTPRESS_WRITE=1 cargo test --test library tables::` writes them.

use quantpress::format::formats;
use quantpress::recipe::presets;
use serde_json::{Value, json};
use std::path::Path;

/// Compares a file with the rows of a table, or writes it.
fn check<const N: usize>(path: &str, about: &str, name: &str, rows: impl Iterator<Item = [(&'static str, Value); N]>) {
    let row = |fields: [(&str, Value); N]| fields.map(|(key, value)| format!("{key}: {value}")).join(", ");
    let rows: String = rows.map(|fields| format!("  {{ {} }},\n", row(fields))).collect();
    let wanted = format!(
        "/** {about} tests/tables.rs generates this file and compares it with the engine. */\n\n\
         // biome-ignore-all format: one row per line\n\
         export const {name} = [\n{rows}] as const;\n"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("QUANTPRESS_WRITE").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        found,
        wanted,
        "{} is not the engine's table; QUANTPRESS_WRITE=1 cargo test --test library tables:: updates it",
        path.display()
    );
}

#[test]
fn formats_of_the_package_are_those_of_the_engine() {
    let rows = formats().iter().map(|codec| {
        [
            ("name", json!(codec.name)),
            ("id", json!(codec.id)),
            ("weights", json!(codec.weights)),
            ("bytes", json!(codec.bytes)),
            ("bitsPerWeight", json!(codec.bits_per_weight())),
            ("canEncode", json!(codec.can_encode())),
            ("needsImportance", json!(codec.needs_importance)),
        ]
    });
    check("js/numerics/format-table.ts", "The formats.", "FORMATS", rows);
}

#[test]
fn presets_of_the_package_are_those_of_the_engine() {
    let rows = presets().map(|preset| {
        [
            ("name", json!(preset.name)),
            ("ftype", json!(preset.ftype)),
            ("description", json!(preset.description)),
            ("needsImportance", json!(preset.needs_importance())),
        ]
    });
    check("js/model/preset-table.ts", "The presets.", "PRESETS", rows);
}
