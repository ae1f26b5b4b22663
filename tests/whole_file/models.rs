//! Small generated models, one for every condition in the rules.
//!
//! Row lengths are realistic, but there are few rows: neither side needs more, and every format runs on every model.

use crate::support::weights::Rng;
use quantpress::container::gguf::{Record, TensorType, Value, encode_pair, write_header};
use quantpress::half::{bf16_from_f32, f16_from_f32};

/// The shape of a generated model.
#[derive(Clone)]
pub struct Spec {
    pub name: &'static str,
    pub architecture: &'static str,
    pub layers: u64,
    pub width: u64,
    pub hidden: u64,
    pub heads: u32,
    pub kv_heads: u32,
    pub experts: u64,
    pub tied: bool,
    pub alignment: u32,
    pub dtype: TensorType,
    /// Fused attention, as in falcon.
    pub joined: bool,
    /// Latent attention: `attn_kv_b` instead of `attn_v`.
    pub latent: bool,
    /// Tensors whose names are never quantized, or only by some rules.
    pub oddities: bool,
}

pub const BASE: Spec = Spec {
    name: "plain",
    architecture: "llama",
    layers: 9,
    width: 256,
    hidden: 512,
    heads: 4,
    kv_heads: 2,
    experts: 0,
    tied: false,
    alignment: 32,
    dtype: TensorType::F16,
    joined: false,
    latent: false,
    oddities: false,
};

pub fn specs() -> Vec<Spec> {
    vec![
        BASE,
        Spec { name: "bf16", dtype: TensorType::BF16, layers: 2, ..BASE },
        Spec { name: "f32", dtype: TensorType::F32, layers: 2, ..BASE },
        Spec { name: "tied", tied: true, layers: 16, ..BASE },
        Spec { name: "gqa8", heads: 8, kv_heads: 1, ..BASE },
        Spec { name: "odd576", width: 576, hidden: 96, layers: 3, ..BASE },
        Spec { name: "odd100", width: 100, hidden: 320, layers: 3, ..BASE },
        Spec { name: "moe8", experts: 8, layers: 8, hidden: 256, ..BASE },
        Spec { name: "moe4", experts: 4, layers: 8, hidden: 256, ..BASE },
        Spec { name: "falcon", architecture: "falcon", joined: true, layers: 17, ..BASE },
        Spec { name: "latent", latent: true, ..BASE },
        Spec { name: "seventy", layers: 80, hidden: 256, heads: 4, kv_heads: 2, ..BASE },
        Spec { name: "odd-names", oddities: true, layers: 2, ..BASE },
        Spec { name: "align64", alignment: 64, layers: 2, ..BASE },
    ]
}

/// The number of rows of most tensors.
const ROWS: u64 = 3;

/// A tensor's name, shape and dtype.
type Made = (String, Vec<u64>, TensorType);

fn tensors(spec: &Spec) -> Vec<Made> {
    let Spec { width, hidden, .. } = *spec;
    let mut out = Vec::new();
    let mut add = |name: String, shape: &[u64]| {
        let dtype = if shape.len() < 2 || name.ends_with("_norm.weight") { TensorType::F32 } else { spec.dtype };
        out.push((name, shape.to_vec(), dtype));
    };
    add("token_embd.weight".into(), &[width, ROWS + 4]);
    add("output_norm.weight".into(), &[width]);
    // Layers in reverse order, because the reference sorts them.
    for layer in (0..spec.layers).rev() {
        let mut add = |name: &str, shape: &[u64]| add(format!("blk.{layer}.{name}.weight"), shape);
        add("attn_norm", &[width]);
        if spec.joined {
            add("attn_qkv", &[width, ROWS + 2]);
        } else {
            add("attn_q", &[width, ROWS]);
            add("attn_k", &[width, ROWS - 1]);
            add(if spec.latent { "attn_kv_b" } else { "attn_v" }, &[width, ROWS - 1]);
        }
        add("attn_output", &[width, ROWS]);
        if spec.experts > 0 {
            add("ffn_gate_inp", &[width, spec.experts]);
            add("ffn_gate_exps", &[width, ROWS, spec.experts]);
            add("ffn_up_exps", &[width, ROWS, spec.experts]);
            add("ffn_down_exps", &[hidden, ROWS, spec.experts]);
        } else {
            add("ffn_gate", &[width, ROWS]);
            add("ffn_up", &[width, ROWS]);
            add("ffn_down", &[hidden, ROWS]);
        }
        if spec.oddities {
            add("ssm_conv1d", &[4, width]);
            add("time_mix_w1", &[width, 32]);
            add("attn_q_norm", &[width, 2]);
            add("some_other", &[width, 8]);
            add("one_row", &[width, 1]);
        }
    }
    if spec.oddities {
        add("per_layer_token_embd.weight".into(), &[width, 16]);
        add("per_layer_model_proj.weight".into(), &[width, 16]);
        add("position_embd.weight".into(), &[width, 16]);
        add("rope_freqs.weight".into(), &[width]);
        add("table".into(), &[width, 16]);
        add("output.bias".into(), &[width, 2]);
        out.push(("some.ids".into(), vec![16, 2], TensorType::I32));
        return out;
    }
    if !spec.tied {
        add("output.weight".into(), &[width, ROWS + 4]);
    }
    out
}

fn metadata(spec: &Spec) -> Vec<Vec<u8>> {
    let arch = spec.architecture;
    let key = |name: &str| format!("{arch}.{name}");
    let number = |name: &str, value: u64| encode_pair(&key(name), &Value::U32(value as u32));
    let mut pairs = vec![
        encode_pair("general.architecture", &Value::String(arch.as_bytes())),
        encode_pair("general.file_type", &Value::U32(1)),
        encode_pair("general.name", &Value::String(b"generated")),
        encode_pair("general.quantization_version", &Value::U32(1)),
        number("context_length", 64),
        number("embedding_length", spec.width),
        number("block_count", spec.layers),
        number("feed_forward_length", spec.hidden),
        number("attention.head_count", spec.heads.into()),
        number("attention.head_count_kv", spec.kv_heads.into()),
        encode_pair(&key("attention.layer_norm_rms_epsilon"), &Value::F32(1e-5)),
        encode_pair(&key("attention.layer_norm_epsilon"), &Value::F32(1e-5)),
        encode_pair("some.flag", &Value::Bool(true)),
    ];
    if spec.experts > 0 {
        pairs.push(number("expert_count", spec.experts));
        pairs.push(number("expert_used_count", 2));
    }
    if spec.alignment != 32 {
        pairs.push(encode_pair("general.alignment", &Value::U32(spec.alignment)));
    }
    pairs
}

fn weights(dtype: TensorType, count: u64, rng: &mut Rng) -> Vec<u8> {
    let values = (0..count).map(|_| (rng.gauss() * 0.05) as f32);
    match dtype {
        TensorType::F32 => values.flat_map(f32::to_le_bytes).collect(),
        TensorType::F16 => values.flat_map(|x| f16_from_f32(x).to_le_bytes()).collect(),
        TensorType::BF16 => values.flat_map(|x| bf16_from_f32(x).to_le_bytes()).collect(),
        _ => (0..count as u32).flat_map(u32::to_le_bytes).collect(),
    }
}

/// Writes a complete GGUF file.
pub fn file(spec: &Spec, rng: &Rng) -> Vec<u8> {
    let tensors = tensors(spec);
    let records: Vec<_> = tensors.iter().map(|(name, shape, dtype)| Record { name, shape, dtype: *dtype }).collect();
    let written = write_header(&metadata(spec), &records, spec.alignment).unwrap();
    let mut out = written.header;
    for ((name, shape, dtype), place) in tensors.iter().zip(written.places) {
        out.extend(weights(*dtype, shape.iter().product(), &mut rng.fork(name)));
        out.resize((place.offset + place.padded) as usize, 0);
    }
    out
}

/// Writes an importance matrix in the legacy format for all matrices.
pub fn importance(spec: &Spec, rng: &Rng) -> Vec<u8> {
    let multiplied = |(name, shape, _): &Made| {
        shape.len() > 1 && name.starts_with("blk.") && name.ends_with("weight") && !name.contains("norm")
    };
    let measured: Vec<_> = tensors(spec).into_iter().filter(multiplied).collect();
    let text = |text: &str| [&(text.len() as i32).to_le_bytes(), text.as_bytes()].concat();
    let mut out = (measured.len() as i32).to_le_bytes().to_vec();
    for (name, shape, _) in measured {
        let count = shape[0] * shape.get(2).copied().unwrap_or(1);
        let mut rng = rng.fork(&name);
        out.extend(text(&name));
        out.extend(7i32.to_le_bytes());
        out.extend((count as i32).to_le_bytes());
        out.extend((0..count).flat_map(|_| ((rng.gauss().powi(2)) as f32).to_le_bytes()));
    }
    out.extend(11i32.to_le_bytes());
    out.extend(text("generated text"));
    out
}
