//! Folders with one change each, compared with the output of llama.cpp's script: tests/golden/language/variants.py.

use super::{golden, open, sha256, shards_of, source, written};
use quantpress::container::safetensors::{Parsed, parse, parse_index};
use quantpress::convert::{Folder, plan};
use quantpress::recipe::Recipe;
use serde_json::{Map, Value};
use std::fs;

/// An entry of variants.json.
struct Variant(Value);

impl Variant {
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap()
    }

    fn list(&self, key: &str) -> &[Value] {
        self.0.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The lines of tensors.txt with the changes of this variant.
    fn lines(&self) -> Vec<String> {
        let list = fs::read_to_string(golden().join(self.text("base")).join("tensors.txt")).unwrap();
        let extra = self.list("extra").iter().map(|line| line.as_str().unwrap().to_owned());
        let lines = list.lines().map(str::to_owned).chain(extra);
        let [from, to] = self.list("types") else { return lines.collect() };
        let (from, to) = (format!(" {} ", from.as_str().unwrap()), format!(" {} ", to.as_str().unwrap()));
        lines.map(|line| line.replace(&from, &to)).collect()
    }

    /// Opens the folder and concatenates its tensor files; errors are those of a file or of the index.
    fn open(&self) -> quantpress::Result<(Folder, Vec<Vec<u8>>)> {
        let (base, lines) = (self.text("base"), self.lines());
        let files = shards_of(&lines);
        let mut folder = open(base, &[], &golden().join(base));
        for bytes in &files {
            let Parsed::Header(header) = parse(bytes, bytes.len() as u64)? else { panic!() };
            folder.add_shard(*header, bytes.len() as u64);
        }
        for edit in self.list("edits") {
            let edit = edit.as_array().unwrap();
            let file = edit[0].as_str().unwrap();
            let changed = match edit.as_slice() {
                [_, Value::Null, text] => text.as_str().unwrap().as_bytes().to_vec(),
                [_, key] => changed(&folder, file, |members| drop(members.remove(key.as_str().unwrap()))),
                [_, key, value] => {
                    changed(&folder, file, |members| drop(members.insert(key.as_str().unwrap().into(), value.clone())))
                }
                _ => panic!("{edit:?}"),
            };
            folder.add_file(file, changed);
        }
        if let Some(lacking) = self.0.get("index").and_then(Value::as_array) {
            let tensors = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>());
            let named = tensors.filter(|tensor| !lacking.contains(&Value::from(tensor[1])));
            let map: Map<String, Value> = named.map(|tensor| (tensor[1].to_owned(), tensor[0].into())).collect();
            let index = parse_index(serde_json::json!({ "weight_map": map }).to_string().as_bytes())?;
            folder.check_index(&index)?;
        }
        Ok((folder, files))
    }
}

fn changed(folder: &Folder, file: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(folder.file(file).unwrap()).unwrap();
    change(json.as_object_mut().unwrap());
    serde_json::to_vec(&json).unwrap()
}

#[test]
fn every_variant_folder_matches_the_output_or_error_of_llama_cpps_script() {
    let variants: Vec<Value> = serde_json::from_slice(&fs::read(golden().join("variants.json")).unwrap()).unwrap();
    let (mut wrong, mut made, mut refused) = (Vec::new(), 0, 0);
    for variant in variants.into_iter().map(Variant) {
        for (outtype, expected) in variant.0["results"].as_object().unwrap() {
            let recipe = Recipe::new(outtype.clone());
            let result = variant.open().and_then(|(folder, files)| {
                let plan = plan(&folder, &recipe, None)?;
                Ok(written(&plan, &source(&folder, &files)))
            });
            let found = match &result {
                Ok(bytes) => serde_json::json!([sha256(bytes), bytes.len()]),
                Err(_) => Value::from("refused"),
            };
            if let (Ok(to), Ok(bytes)) = (std::env::var("LANGUAGE_OUT"), &result) {
                fs::write(format!("{to}/{} {outtype}.gguf", variant.text("name").replace(['/', '\n'], "_")), bytes)
                    .unwrap();
            }
            if found != *expected {
                wrong.push(format!(
                    "{} {outtype}: {found} {:?}, the script: {expected}",
                    variant.text("name"),
                    result.err()
                ));
            }
            *(if expected == "refused" { &mut refused } else { &mut made }) += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((made, refused), (42, 6));
}

/// Quantizing from F64 gives the same result as quantizing the script's F32 file.
#[test]
fn quantizes_folders_in_f64() {
    let variants: Vec<Value> = serde_json::from_slice(&fs::read(golden().join("variants.json")).unwrap()).unwrap();
    let variant = variants.into_iter().map(Variant).find(|variant| variant.text("name") == "F64").unwrap();
    let (folder, files) = variant.open().unwrap();
    let source = source(&folder, &files);
    let made = |preset: &str| {
        let recipe = Recipe::new(preset);
        written(&plan(&folder, &recipe, None).unwrap(), &source)
    };
    let recipe = Recipe::new("Q8_0");
    let twice = crate::support::convert::convert(&made("F32"), &recipe, None).unwrap();
    assert_eq!(sha256(&made("Q8_0")), sha256(&twice));
}
