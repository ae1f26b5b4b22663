//! Image and video models as GGUF, compared with the output of ComfyUI-GGUF's script (tests/golden/diffusion/make.py),
//! and the tensor types of full-size models, compared with those chosen by its llama-quantize (make_types.py).

use crate::support::convert;
use quantpress::Code;
use quantpress::container::gguf::{self, Header, Record, TensorType, Value};
use quantpress::container::safetensors::{Parsed, parse};
use quantpress::convert::{Folder, plan};
use quantpress::half::f16_from_f32;
use quantpress::recipe::{self, Plan, Recipe};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Generates the weights of make.py.
fn weights(index: usize, dtype: &str, count: usize) -> Vec<u8> {
    let mut state = (index as u32).wrapping_mul(7919).wrapping_add(12345);
    let states = (0..count).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    });
    let fraction = |state: u32| ((state >> 8) as i32 - (1 << 23)) as f32 / (1 << 27) as f32;
    match dtype {
        "F32" => states.flat_map(|state| fraction(state).to_le_bytes()).collect(),
        "F16" => states.flat_map(|state| f16_from_f32(fraction(state)).to_le_bytes()).collect(),
        "BF16" => states.flat_map(|state| ((fraction(state).to_bits() >> 16) as u16).to_le_bytes()).collect(),
        "F8_E4M3" | "F8_E5M2" => states.map(|state| (state >> 24) as u8 & 0xbf).collect(),
        _ => panic!("{dtype}"),
    }
}

/// The safetensors file of each model, by its name and the dtype of most of its tensors.
fn models() -> BTreeMap<String, Vec<u8>> {
    let mut parts: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
    for (index, line) in golden("models.txt").lines().enumerate() {
        let [model, most, dtype, name, shape] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (header, data) = parts.entry(format!("{model} {most}")).or_default();
        let start = data.len();
        data.extend(weights(index, dtype, shape.split(',').map(|n| n.parse::<usize>().unwrap()).product()));
        let (comma, end) = (if header.is_empty() { "" } else { "," }, data.len());
        header.push_str(&format!(
            r#"{comma}"{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{start},{end}]}}"#
        ));
    }
    let file = |(header, data): (String, Vec<u8>)| {
        let header = format!("{{{header}}}");
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    };
    parts.into_iter().map(|(model, parts)| (model, file(parts))).collect()
}

fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/diffusion");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn made(file: &[u8], preset: &str) -> Vec<u8> {
    let Parsed::Header(header) = parse(file, file.len() as u64).unwrap() else { panic!() };
    let mut folder = Folder::default();
    folder.add(*header, file.len() as u64).unwrap();
    let recipe = Recipe::new(preset);
    convert::written(&plan(&folder, &recipe, None).unwrap(), file).unwrap()
}

/// The script writes BF16 if the input is BF16, and F16 otherwise: our preset of the most frequent dtype.
#[test]
fn every_model_becomes_the_file_of_comfyui_ggufs_script() {
    let models = models();
    let mut compared = 0;
    for line in golden("sha256.txt").lines() {
        let [sum, size, model, most] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let preset = if most == "bf16" { "BF16" } else { "F16" };
        let ours = made(&models[&format!("{model} {most}")], preset);
        assert_eq!((convert::sha256(&ours).as_str(), ours.len()), (sum, size.parse().unwrap()), "{model}");
        compared += 1;
    }
    assert_eq!(compared, models.len());
    assert_eq!(compared, 14);
}

fn dtypes(header: &Header) -> BTreeMap<&str, &str> {
    header.tensors().iter().map(|tensor| (tensor.name.as_str(), tensor.dtype.name)).collect()
}

/// The tensors that ComfyUI-GGUF's patch of llama-quantize keeps, and the shapes that its loader needs.
#[test]
fn presets_keep_input_and_output_layers_and_dimensions_of_one() {
    let models = models();
    let of = |model: &str, preset| convert::header(&made(&models[model], preset)).unwrap();
    let flux = of("flux bf16", "Q8_0");
    assert_eq!(dtypes(&flux)["double_blocks.0.img_attn.proj.weight"], "Q8_0");
    assert_eq!(dtypes(&flux)["final_layer.linear.weight"], "F32", "small tensors stay as the conversion has them");
    assert_eq!(dtypes(&flux)["guidance_in.in_layer.weight"], "BF16");
    let wan = of("wan f16", "Q4_0");
    assert_eq!(dtypes(&wan)["patch_embedding.weight"], "F16");
    assert_eq!(dtypes(&wan)["text_embedding.2.weight"], "F16");
    let modulation = wan.tensors().iter().find(|tensor| tensor.name == "blocks.0.modulation").unwrap();
    assert_eq!((modulation.dtype.name, &*modulation.shape), ("F32", &[256, 6, 1][..]));
    let sdxl = of("sdxl f16", "Q4_0");
    assert_eq!(dtypes(&sdxl)["label_emb.0.0.weight"], "F16");
    assert_eq!(dtypes(&sdxl)["input_blocks.3.0.op.weight"], "Q4_0", "whole super-blocks are a matrix");
}

/// Expands the braces in a pattern of layers.txt to each of their numbers or words.
fn expanded(pattern: &str) -> Vec<String> {
    let Some((start, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (braces, end) = rest.split_once('}').unwrap();
    let words: Vec<String> = match braces.split_once("..") {
        Some((first, last)) => {
            (first.parse::<u32>().unwrap()..=last.parse().unwrap()).map(|number| number.to_string()).collect()
        }
        None => braces.split(',').map(str::to_owned).collect(),
    };
    let ends = expanded(end);
    words.iter().flat_map(|word| ends.iter().map(move |end| format!("{start}{word}{end}"))).collect()
}

/// The lines of a file of make_types.py by model, after the lines before the first model.
fn sections(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    text.split("\n= ").skip(1).map(|section| {
        let mut lines = section.lines();
        (lines.next().unwrap(), lines.collect())
    })
}

/// The safetensors of a model in layers.txt, without weights.
fn layers(title: &str, lines: &[&str]) -> Folder {
    let most = title.split(' ').nth(1).unwrap().to_uppercase();
    let mut tensors = BTreeMap::new();
    for line in lines {
        let (pattern, shape) = line.split_once(' ').unwrap();
        tensors.extend(expanded(pattern).into_iter().map(|name| (name, shape)));
    }
    let mut end = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, shape)| {
            let weights: usize = shape.split(',').map(|n| n.parse::<usize>().unwrap()).product();
            let start = end;
            end += weights * if most == "F32" { 4 } else { 2 };
            format!(r#""{name}":{{"dtype":"{most}","shape":[{shape}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let size = (file.len() + end) as u64;
    let Parsed::Header(header) = parse(&file, size).unwrap() else { panic!() };
    let mut folder = Folder::default();
    folder.add(*header, size).unwrap();
    folder
}

fn types(plan: &Plan) -> BTreeMap<&str, &str> {
    plan.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.to.name)).collect()
}

/// Presets that the patch rejects or does not know follow llama-quantize itself and are not compared here.
#[test]
fn every_type_equals_the_choice_of_comfyui_ggufs_quantizer() {
    let (layers_text, types_text) = (format!("\n{}", golden("layers.txt")), golden("types.txt"));
    let mut head = types_text.lines();
    let letters: BTreeMap<&str, &str> =
        head.next().unwrap().split(' ').map(|pair| pair.split_once('=').unwrap()).collect();
    let presets: Vec<&str> = head.next().unwrap().split(' ').collect();
    let (mut compared, mut refused, mut misfits) = (0, 0, 0);
    for ((title, shapes), (also, columns)) in sections(&layers_text).zip(sections(&types_text)) {
        assert_eq!((title, shapes.len()), (also, columns.len()));
        let folder = layers(title, &shapes);
        let most = if title.contains(" bf16 ") { "BF16" } else { "F16" };
        let recipe = |preset: &str| Recipe::new(preset).with_dry_run(true);
        let wide = plan(&folder, &recipe(most), None).unwrap();
        let gguf::Parsed::Header(header) = gguf::parse(wide.header(), wide.size).unwrap() else { panic!() };
        for (at, preset) in presets.iter().enumerate() {
            let column = |line: &&str| line.split(' ').nth(at + 1).unwrap().to_owned();
            if columns.iter().all(|line| column(line) == "!") {
                refused += 1;
                continue;
            }
            let from_gguf = recipe::plan(&header, &recipe(preset), None).unwrap();
            let from_safetensors = plan(&folder, &recipe(preset), None).unwrap();
            let (ours, direct) = (types(&from_gguf), types(&from_safetensors));
            for line in &columns {
                let (pattern, _) = line.split_once(' ').unwrap();
                let mut names = expanded(pattern);
                names.sort();
                for (name, letter) in names.iter().zip(column(line).split("").filter(|c| !c.is_empty()).cycle()) {
                    let name = name.strip_prefix("net.").unwrap_or(name);
                    let want = match letter {
                        // Omitted by the script. A kernel with five dimensions is in F32 here, as in the script that
                        // adds it.
                        "-" => {
                            let kernels = ["patch_embedding.weight", "img_in.proj.weight"].contains(&name);
                            assert_eq!(direct.get(name), kernels.then_some(&"F32"), "{title} {preset} {name}");
                            continue;
                        }
                        // The blocks would not fit; the fallback type is used as in other cases.
                        "!" => "F16",
                        letter => letters[letter],
                    };
                    misfits += u32::from(letter == "!");
                    assert_eq!(ours[name], want, "{title} {preset} {name}");
                    // The script would have converted kept F32 tensors to F16 first.
                    let kept = title.contains(" f32 ") && want == "F16";
                    if !["F32", "F16", "BF16"].contains(preset) {
                        assert_eq!(direct[name], if kept { "F32" } else { want }, "{title} {preset} {name}, direct");
                    }
                    compared += 1;
                }
            }
        }
    }
    assert_eq!((compared, refused, misfits), (124_740, 13 * 11, 3 * 265));
}

/// The quantized files equal those of the patched quantizer in bytes, order and metadata.
#[test]
fn quantized_files_equal_those_of_comfyui_ggufs_quantizer() {
    let models = models();
    let mut compared = 0;
    for line in golden("quantized.txt").lines() {
        let [sum, size, model, most, preset] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let wide = made(&models[&format!("{model} {most}")], &most.to_uppercase());
        let recipe = Recipe::new(preset);
        let ours = convert::convert(&wide, &recipe, None).unwrap();
        assert_eq!((convert::sha256(&ours).as_str(), ours.len()), (sum, size.parse().unwrap()), "{model} {preset}");
        compared += 1;
    }
    assert_eq!(compared, 57);
}

/// A kernel with five dimensions is stored with its original shape in the metadata; one written by another tool stays
/// unchanged.
#[test]
fn five_dimensional_kernels_are_kept() {
    let text = format!("\n{}", golden("layers.txt"));
    let (title, lines) = sections(&text).find(|(title, _)| title.starts_with("wan ")).unwrap();
    let recipe = |preset: &str| Recipe::new(preset);
    let made = plan(&layers(title, &lines), &recipe("Q4_0"), None).unwrap();
    let gguf::Parsed::Header(header) = gguf::parse(made.header(), made.size).unwrap() else { panic!() };
    let kernel = header.tensors().iter().find(|tensor| tensor.name == "patch_embedding.weight").unwrap();
    assert_eq!((kernel.dtype.name, &*kernel.shape), ("F32", &[2, 2, 1, 36 * 5120][..]));
    let note = header.get("comfy.gguf.orig_shape.patch_embedding.weight").unwrap();
    let Value::Array(note) = note else { panic!("{note:?}") };
    let dims: Vec<_> = note.iter().map(|item| item.as_u64()).collect();
    assert_eq!(dims, [5120, 36, 1, 2, 2].map(Some));

    let pairs = [gguf::encode_pair("general.architecture", &Value::String(b"wan"))];
    let shape = [2, 2, 1, 36, 64];
    let record = Record { name: "patch_embedding.weight", shape: &shape, dtype: TensorType::F32 };
    let written = gguf::write_header(&pairs, &[record], 32).unwrap();
    let gguf::Parsed::Header(header) = gguf::parse(&written.header, written.size).unwrap() else { panic!() };
    let again = recipe::plan(&header, &recipe("Q4_K_M"), None).unwrap();
    assert_eq!((again.tensors[0].to.name, &*again.tensors[0].shape), ("F32", &shape[..]));
}

/// The layouts that the patched quantizer rejects are rejected with every preset. It also rejects most IQ presets, for
/// which llama-quantize's rules apply here.
#[test]
fn rejects_other_layouts_and_accepts_iq_presets() {
    let file = &models()["flux-whole bf16"];
    let iq4 = convert::header(&made(file, "IQ4_XS")).unwrap();
    assert_eq!(dtypes(&iq4)["single_blocks.0.linear1.weight"], "IQ4_XS");
    assert_eq!(dtypes(&iq4)["double_blocks.0.img_mlp.0.weight"], "IQ4_NL", "rows of 288 are blocks of 32");
    assert_eq!(dtypes(&iq4)["guidance_in.in_layer.weight"], "BF16");

    let mut wide = made(file, "BF16");
    let at = wide.windows(18).position(|bytes| bytes == b"single_blocks.0.li").unwrap();
    wide[at..at + 18].copy_from_slice(b"first_stage_model.");
    let recipe = |preset: &str| Recipe::new(preset);
    let planned = |preset| recipe::plan(&convert::header(&wide).unwrap(), &recipe(preset), None);
    assert_eq!(planned("Q8_0").unwrap_err().code(), Code::UNSUPPORTED);
    assert!(planned("COPY").is_ok());
}
