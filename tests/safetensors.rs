//! safetensors: every rule of the format, one error for each violation, and the conversion of models to GGUF.

use quantpress::Code;
use quantpress::container::gguf::{self, TensorType};
use quantpress::container::safetensors::{Parsed, SafetensorsHeader, parse, parse_index};
use quantpress::convert::{Folder, plan};
use quantpress::recipe::{Recipe, decode_to_f32, encode_tile};

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn header(bytes: &[u8]) -> SafetensorsHeader {
    match parse(bytes, bytes.len() as u64).unwrap() {
        Parsed::Header(header) => *header,
        Parsed::NeedsMore(bytes) => panic!("{bytes} more"),
    }
}

fn recipe(preset: &str) -> Recipe {
    Recipe::new(preset)
}

/// A model of tensors with these names and shapes.
fn model(dtype: &str, bytes: usize, tensors: &[(&str, &[usize])]) -> Folder {
    let mut at = 0;
    let records: Vec<String> = tensors
        .iter()
        .map(|(name, shape)| {
            let start = at;
            at += shape.iter().product::<usize>() * bytes;
            format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{at}]}}"#)
        })
        .collect();
    let bytes = file(&format!("{{{}}}", records.join(",")), at);
    let mut folder = Folder::default();
    folder.add(header(&bytes), bytes.len() as u64).unwrap();
    folder
}

#[test]
fn a_partial_header_asks_for_the_missing_bytes() {
    let text = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},
        "a":{"dtype":"F8_E4M3","shape":[],"data_offsets":[12,13]},"z":{"dtype":"I64","shape":[0,4],"data_offsets":[13,13]}}  "#;
    let bytes = file(text, 13);
    let parsed = header(&bytes);
    assert_eq!(parsed.metadata, [("format".to_owned(), "pt".to_owned())]);
    let names: Vec<_> = parsed.tensors.iter().map(|t| (t.name.as_str(), t.dtype, t.bytes)).collect();
    let want = [("b", TensorType::BF16, 12), ("a", TensorType::F8_E4M3, 1), ("z", TensorType::I64, 0)];
    assert_eq!(names, want);
    assert_eq!(parsed.tensors[1].offset, parsed.data_start + 12);
    for cut in 0..bytes.len() {
        match parse(&bytes[..cut], bytes.len() as u64).unwrap() {
            Parsed::NeedsMore(needed) => assert!(needed > cut as u64 && needed <= bytes.len() as u64),
            Parsed::Header(found) => assert_eq!(*found, parsed),
        }
        assert!(parse(&bytes[..cut], cut as u64).is_err(), "a file truncated at {cut}");
    }
}

#[test]
fn each_kind_of_damage_to_a_file_has_its_error() {
    let one = |record: &str, data| file(&format!(r#"{{"a":{record}}}"#), data);
    let cases = [
        (Code::TRUNCATED, "needs at least 8", vec![1, 2, 3]),
        (Code::TOO_LARGE, "the limit is 100000000", u64::MAX.to_le_bytes().to_vec()),
        (Code::TRUNCATED, "ends within its header", 9u64.to_le_bytes().to_vec()),
        (Code::MAGIC, "not a JSON object", file("[]", 0)),
        (Code::MALFORMED, "expected", file("{x}", 0)),
        (
            Code::MALFORMED,
            "twice",
            file(
                r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
                0,
            ),
        ),
        (Code::MALFORMED, "__metadata__ contains", file(r#"{"__metadata__":{"a":1}}"#, 0)),
        (Code::MALFORMED, "no dtype", one(r#"{"shape":[1],"data_offsets":[0,1]}"#, 1)),
        (Code::UNSUPPORTED, "dtype F4", one(r#"{"dtype":"F4","shape":[2],"data_offsets":[0,1]}"#, 1)),
        (Code::MALFORMED, "shape is not a list", one(r#"{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}"#, 1)),
        (Code::MALFORMED, "must have two", one(r#"{"dtype":"U8","shape":[1],"data_offsets":[0]}"#, 1)),
        (Code::MALFORMED, "before its start", one(r#"{"dtype":"U8","shape":[1],"data_offsets":[1,0]}"#, 1)),
        (Code::MALFORMED, "takes 8 bytes", one(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#, 4)),
        (
            Code::TOO_LARGE,
            "more weights",
            one(r#"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}"#, 4),
        ),
        (Code::TOO_LARGE, "9 dimensions", one(r#"{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}"#, 1)),
        (
            Code::MALFORMED,
            "inside another",
            file(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
                3,
            ),
        ),
        (Code::MALFORMED, "before tensor 'a'", one(r#"{"dtype":"U8","shape":[1],"data_offsets":[1,2]}"#, 2)),
        (Code::MALFORMED, "at the end", one(r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#, 2)),
        (Code::TRUNCATED, "the file has", one(r#"{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#, 1)),
    ];
    for (code, words, bytes) in cases {
        let error = parse(&bytes, bytes.len() as u64).unwrap_err();
        assert!(error.code() == code && error.message().contains(words), "{words}: {error}");
    }
}

#[test]
fn an_index_names_files_of_its_own_folder() {
    let index = parse_index(br#"{"metadata":{},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}"#).unwrap();
    assert_eq!(index.files, ["1.safetensors", "2.safetensors"]);
    for bad in ["{}", r#"{"weight_map":{}}"#, r#"{"weight_map":{"a":"../x"}}"#, r#"{"weight_map":{"a":1}}"#] {
        assert_eq!(parse_index(bad.as_bytes()).unwrap_err().code(), Code::MALFORMED, "{bad}");
    }
}

#[test]
fn rejects_an_index_that_names_anything_but_a_file_of_its_own_folder() {
    let index = |name: &str| {
        let quoted = name.replace('\\', "\\\\").replace('\0', "\\u0000").replace('\n', "\\n");
        parse_index(format!(r#"{{"weight_map":{{"a":"{quoted}"}}}}"#).as_bytes())
    };
    let hostile = [
        "http:127.0.0.1:4391?x",
        "https://host/x",
        "file:secret",
        "file:///etc/passwd",
        "data:,x",
        "blob:x",
        "C:x",
        "C:\\x",
        "x.safetensors:stream",
        "..",
        ".",
        "...",
        "",
        "../x",
        "a/../../x",
        "/etc/passwd",
        "//host/x",
        "\\\\host\\x",
        "..\\x",
        "a\\b",
        "a/b",
        "./a",
        "a//b",
        "%2e%2e%2fx",
        "%2E%2E/x",
        "a%00",
        "%2fetc",
        "a\0b",
        "a\nb",
        "a\u{7f}",
        "a\u{9b}b",
        "x.",
        "x ",
    ];
    for name in hostile {
        let error = index(name).unwrap_err();
        assert!(error.code() == Code::MALFORMED && error.message().contains("same folder"), "{name:?}: {error}");
    }
    for name in ["model 1.safetensors", "模型-é.safetensors", "100% ok #1?.safetensors", "..x", "-a", "a&b=c", "a%zz"]
    {
        assert_eq!(index(name).unwrap().files, [name]);
    }
}

/// The values of all F8 codes, from `ml_dtypes`: see the README next to the file.
#[test]
fn eight_bit_floats_equal_those_of_ml_dtypes() {
    let golden = include_str!("golden/float8/values.txt");
    for line in golden.lines() {
        let (dtype, values) = line.split_once(' ').unwrap();
        let bits: Vec<u32> = values.split(' ').map(|hex| u32::from_str_radix(hex, 16).unwrap()).collect();
        assert_eq!(bits.len(), 256);
        let bytes: Vec<u8> = (0..=255).collect();
        for (byte, (found, want)) in
            decode_to_f32(&bytes, TensorType::by_name(dtype).unwrap()).unwrap().iter().zip(bits).enumerate()
        {
            let want = f32::from_bits(want);
            assert!(found.to_bits() == want.to_bits() || found.is_nan() && want.is_nan(), "{dtype} {byte:02x}");
        }
    }
}

#[test]
fn heads_are_interleaved_as_in_llama_cpp() {
    // Two heads with four rows of one I8: halves (0 1)(2 3) become 0 2 1 3.
    let rows = [0, 1, 2, 3, 4, 5, 6, 7];
    assert_eq!(encode_tile(&rows, "I8", "I8", 1, None, 4).unwrap(), [0, 2, 1, 3, 4, 6, 5, 7]);
    assert_eq!(encode_tile(&rows[..6], "I8", "I8", 1, None, 4).unwrap_err().code(), Code::LENGTH);
}

#[test]
fn each_diffusion_architecture_is_recognised_by_its_keys() {
    let cases: &[(&str, &[&str])] = &[
        ("flux", &["double_blocks.0.img_attn.proj.weight"]),
        ("sd3", &["joint_blocks.0.x_block.attn.qkv.weight"]),
        ("aura", &["double_layers.3.modX.1.weight"]),
        (
            "hidream",
            &["caption_projection.0.linear.weight", "double_stream_blocks.0.block.ff_i.shared_experts.w3.weight"],
        ),
        ("cosmos", &["blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_cross_attn.1.weight"]),
        (
            "ltxv",
            &[
                "adaln_single.emb.timestep_embedder.linear_2.weight",
                "transformer_blocks.27.scale_shift_table",
                "caption_projection.linear_2.weight",
            ],
        ),
        (
            "hyvid",
            &["double_blocks.0.img_attn_proj.weight", "txt_in.individual_token_refiner.blocks.1.self_attn_qkv.weight"],
        ),
        ("wan", &["blocks.0.self_attn.norm_q.weight", "text_embedding.2.weight", "head.modulation"]),
        ("sdxl", &["label_emb.0.0.weight"]),
        ("sd1", &["down_blocks.0.downsamplers.0.conv.weight"]),
        ("lumina2", &["cap_embedder.1.weight", "context_refiner.0.attention.qkv.weight"]),
    ];
    for (architecture, keys) in cases {
        for prefix in ["", "model.diffusion_model.", "diffusion_model.", "model.", "net."] {
            let names: Vec<String> = keys.iter().map(|key| format!("{prefix}{key}")).collect();
            let tensors: Vec<(&str, &[usize])> =
                names.iter().map(|name| (name.as_str(), [64, 64].as_slice())).collect();
            let planned = plan(&model("BF16", 2, &tensors), &recipe("BF16"), None).unwrap();
            let gguf::Parsed::Header(header) = gguf::parse(planned.header(), planned.size).unwrap() else { panic!() };
            assert_eq!(header.get("general.architecture").unwrap().as_str(), Some(*architecture));
            assert!(header.tensors().iter().all(|tensor| keys.contains(&tensor.name.as_str())));
        }
    }
    let banned = model("F16", 2, &[("transformer_blocks.0.attn.norm_added_k.weight", &[64])]);
    assert_eq!(plan(&banned, &recipe("F16"), None).unwrap_err().code(), Code::UNSUPPORTED);
}

#[test]
fn small_precise_and_odd_tensors_follow_comfyui_ggufs_rules() {
    let tensors: &[(&str, &[usize])] = &[
        ("label_emb.0.0.weight", &[64, 64]),
        ("a.bias", &[2048]),
        ("a.small.weight", &[32, 32]),
        ("a.conv.weight", &[64, 4, 3, 3]),
        ("a.five.weight", &[2, 8, 1, 2, 256]),
    ];
    let planned = plan(&model("F32", 4, tensors), &recipe("F16"), None).unwrap();
    let gguf::Parsed::Header(header) = gguf::parse(planned.header(), planned.size).unwrap() else { panic!() };
    let found: Vec<_> = header.tensors().iter().map(|t| (t.dtype.name, t.shape.to_vec())).collect();
    let want = [
        ("F16", vec![256, 16]),
        ("F32", vec![2048]),
        ("F32", vec![256, 4]),
        ("F16", vec![256, 9]),
        ("F32", vec![256, 2, 1, 16]),
    ];
    assert_eq!(found, want);
    let shape = header.get("comfy.gguf.orig_shape.a.conv.weight").unwrap().as_array().unwrap();
    let dims: Vec<_> = shape.iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!((shape.element.name, dims), ("int32", vec![64, 4, 3, 3]));
    let five = header.get("comfy.gguf.orig_shape.a.five.weight").unwrap().as_array().unwrap();
    assert_eq!(five.len, 5);
}

#[test]
fn a_plain_container_is_written_only_on_request() {
    let plain = |preset: &str| recipe(preset).with_plain(true);
    let folder = model("F8_E4M3", 1, &[("a", &[4, 256]), ("b", &[7])]);
    let error = plan(&folder, &recipe("F16"), None).unwrap_err();
    assert!(error.code() == Code::UNSUPPORTED && error.message().contains("--plain"), "{error}");
    let planned = plan(&folder, &plain("F16"), None).unwrap();
    let gguf::Parsed::Header(header) = gguf::parse(planned.header(), planned.size).unwrap() else { panic!() };
    assert_eq!(header.get("general.architecture").unwrap().as_str(), Some("plain"));
    let dtypes: Vec<_> = planned.tensors.iter().map(|t| (t.from.name, t.to.name)).collect();
    assert_eq!(dtypes, [("F8_E4M3", "F16"), ("F8_E4M3", "F32")]);
    let quantized = plan(&model("BF16", 2, &[("a.weight", &[4, 256])]), &plain("Q4_0"), None).unwrap();
    assert_eq!((quantized.tensors[0].from.name, quantized.tensors[0].to.name), ("BF16", "Q4_0"));
    let llama = model("F16", 2, &[("model.layers.0.self_attn.q_proj.weight", &[4, 4])]);
    assert_eq!(plan(&llama, &recipe("F16"), None).unwrap_err().code(), Code::UNSUPPORTED);
    assert!(plan(&llama, &plain("F16"), None).is_ok());
    let wide = model("U32", 4, &[("a", &[4])]);
    assert_eq!(plan(&wide, &plain("F16"), None).unwrap_err().code(), Code::UNSUPPORTED);
    // The result is an ordinary GGUF file, and a GGUF file cannot be made plain.
    assert!(quantpress::recipe::plan(&header, &plain("F32"), None).is_ok());
}

/// config.json decides, whatever the names of the tensors.
#[test]
fn rejects_an_unsupported_class_by_name() {
    let classes = [
        ("FalconForCausalLM", "transformer.h.0.self_attention.query_key_value.weight", "convert_hf_to_gguf.py"),
        ("T5ForConditionalGeneration", "encoder.block.0.layer.0.SelfAttention.q.weight", "convert_hf_to_gguf.py"),
        ("Lfm2ForCausalLM", "model.layers.0.conv.conv.weight", "convert_hf_to_gguf.py"),
        ("MambaForCausalLM", "backbone.layers.0.mixer.in_proj.weight", "convert_hf_to_gguf.py"),
        ("RwkvForCausalLM", "rwkv.blocks.0.attention.key.weight", "convert_hf_to_gguf.py"),
        ("DistilBertModel", "transformer.layer.0.attention.q_lin.weight", "convert_hf_to_gguf.py"),
        ("GemmaForCausalLM", "model.layers.0.self_attn.q_proj.weight", "convert_hf_to_gguf.py"),
        ("WhisperForConditionalGeneration", "model.encoder.conv1.weight", "whisper.cpp"),
        // A name that is also in the table of diffusion models.
        ("XForCausalLM", "double_blocks.0.img_attn.proj.weight", "convert_hf_to_gguf.py"),
    ];
    for (class, tensor, advice) in classes {
        let mut folder = model("BF16", 2, &[(tensor, &[64, 64])]);
        folder.set_name("flan");
        folder.add_file("config.json", format!(r#"{{"architectures": ["{class}"]}}"#).into_bytes());
        let error = plan(&folder, &recipe("F16"), None).unwrap_err();
        let said = format!("flan/config.json: {class} cannot be converted. ");
        assert_eq!(error.code(), Code::UNSUPPORTED, "{error}");
        assert!(error.message().starts_with(&said) && error.message().contains(advice), "{error}");
        assert!(plan(&folder, &recipe("F16").with_plain(true), None).is_ok());
    }
    // Without a class in config.json: diffusers' own key, the table, or nothing.
    for (config, tensor, code, words) in [
        (
            r#"{"_class_name": "QwenImageTransformer2DModel"}"#,
            "transformer_blocks.0.img_mod.1.weight",
            Code::UNSUPPORTED,
            "QwenImage",
        ),
        (
            r#"{"_class_name": "FluxTransformer2DModel"}"#,
            "transformer_blocks.0.attn.norm_added_k.weight",
            Code::UNSUPPORTED,
            "original layout",
        ),
        (r#"{"model_type": "llama"}"#, "model.embed_tokens.weight", Code::MALFORMED, "no 'architectures'"),
        ("{", "model.embed_tokens.weight", Code::MALFORMED, "config.json"),
    ] {
        let mut folder = model("BF16", 2, &[(tensor, &[64, 64])]);
        folder.add_file("config.json", config.into());
        let error = plan(&folder, &recipe("F16"), None).unwrap_err();
        assert!(error.code() == code && error.message().contains(words), "{words}: {error}");
    }
    let mut unet = model("BF16", 2, &[("label_emb.0.0.weight", &[64, 64])]);
    unet.add_file("config.json", br#"{"_class_name": "UNet2DConditionModel"}"#.to_vec());
    assert!(plan(&unet, &recipe("F16"), None).is_ok());
}

#[test]
fn rejects_other_files_by_what_they_look_like() {
    for (tensor, words) in [
        ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "a LoRA adapter"),
        ("diffusion_model.double_blocks.0.img_attn.proj.lora_A.weight", "a LoRA adapter"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", "a LoRA adapter"),
        ("first_stage_model.decoder.up.0.block.0.conv1.weight", "a VAE"),
        ("encoder.down_blocks.0.resnets.0.conv1.weight", "a VAE"),
        ("transformer_blocks.0.img_mod.1.weight", "Qwen-Image"),
        ("text_model.encoder.layers.0.self_attn.k_proj.weight", "a text encoder (CLIP)"),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", "a text encoder (T5)"),
        ("control_model.input_blocks.0.0.weight", "a ControlNet"),
        ("model.layers.0.self_attn.q_proj.weight", "open its folder"),
        ("weights", "do not belong to a known model"),
    ] {
        let error = plan(&model("F16", 2, &[(tensor, &[64, 64])]), &recipe("Q8_0"), None).unwrap_err();
        assert_eq!(error.code(), Code::UNSUPPORTED);
        assert!(error.message().contains(words) && error.message().contains(tensor), "{tensor}: {error}");
        assert!(error.message().contains("--plain"), "{error}");
    }
}

/// Weights without their scales would be off by a factor of hundreds: ComfyUI's scaled F8 and mixed formats, and
/// others.
#[test]
fn tensors_that_belong_to_other_tensors_are_never_ignored() {
    let weight = "double_blocks.0.img_attn.proj";
    for prefix in ["", "diffusion_model.", "model.diffusion_model."] {
        for companion in [
            "scale_weight",
            "weight_scale",
            "weight_scale_2",
            "comfy_quant",
            "scale_input",
            "input_scale",
            "weight.absmax",
        ] {
            let (name, other) = (format!("{prefix}{weight}.weight"), format!("{prefix}{weight}.{companion}"));
            let folder = model("F8_E4M3", 1, &[(&name, &[64, 64]), (&other, &[1])]);
            let error = plan(&folder, &recipe("F16"), None).unwrap_err();
            assert!(error.code() == Code::UNSUPPORTED && error.message().contains(companion), "{companion}: {error}");
        }
        let (name, marker) = (format!("{prefix}{weight}.weight"), format!("{prefix}scaled_fp8"));
        let folder = model("F8_E4M3", 1, &[(&name, &[64, 64]), (&marker, &[2])]);
        assert!(plan(&folder, &recipe("Q4_0"), None).unwrap_err().message().contains("scaled_fp8"));
        assert!(folder.refuse_codes().is_err());
        // F8 without scales, and tensors named scale that are weights.
        let (name, norm) =
            (format!("{prefix}{weight}.weight"), format!("{prefix}double_blocks.0.img_attn.norm.key_norm.scale"));
        let folder = model("F8_E4M3", 1, &[(&name, &[64, 64]), (&norm, &[64])]);
        assert_eq!(plan(&folder, &recipe("F16"), None).unwrap().tensors.len(), 2);
        assert!(folder.refuse_codes().unwrap_err().message().contains("F8_E4M3"));
    }
    let text = r#"{"__metadata__":{"_quantization_metadata":"{}"},"double_blocks.0.img_attn.proj.weight":{"dtype":"U8","shape":[2048],"data_offsets":[0,2048]}}"#;
    let bytes = file(text, 2048);
    let mut folder = Folder::default();
    folder.add(header(&bytes), bytes.len() as u64).unwrap();
    assert_eq!(plan(&folder, &recipe("F16"), None).unwrap_err().code(), Code::UNSUPPORTED);
}

#[test]
fn rejects_a_tensor_in_two_files_unless_they_are_shards_of_one_model() {
    let mut folder = model("F16", 2, &[("a", &[4])]);
    let bytes = file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8);
    assert_eq!(folder.add(header(&bytes), bytes.len() as u64).unwrap_err().code(), Code::MALFORMED);
    assert_eq!((folder.tensors().len(), folder.tensors()[0].dtype), (1, TensorType::F16));
    folder.add_shard(header(&bytes), bytes.len() as u64);
    assert_eq!((folder.tensors().len(), folder.tensors()[0].dtype), (1, TensorType::F32));
}
