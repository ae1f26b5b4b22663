//! The mixes: which type a category of tensors gets with a preset, and why.
//!
//! A tensor belongs to the first [`Section`] whose conditions are true. A section has stages; in each stage the first
//! rule that applies sets the type, and later stages can depend on it. If no rule applies, a tensor gets the preset's
//! default type. Source: llama.cpp `llama_tensor_get_type_impl`. Its rules for `attn_qkv` alone follow those for all
//! attention values and are never reached, so they are omitted here.

use super::category::Category;
use super::hparams::HParams;
use super::preset::{PresetSet, ftype};
use crate::container::gguf::{Tensor, TensorType};

/// The inputs of the conditions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub ftype: u32,
    pub category: Category,
    pub name: &'a str,
    pub tensor: &'a Tensor,
    pub hparams: &'a HParams,
    pub has_importance: bool,
    pub tied: bool,
    /// The index of the tensor in its category, and the size of the category.
    pub index: u64,
    pub of: u64,
    /// The type chosen so far.
    pub dtype: TensorType,
}

/// A condition.
#[derive(Clone, Copy, Debug)]
enum Condition {
    Is(Category),
    Values,
    /// The tensor is the output, or tied embeddings used as the output.
    OutputRole,
    Preset(PresetSet),
    Architecture(&'static str),
    NotArchitecture(&'static str),
    NameHas(&'static [&'static str]),
    /// Experts stacked in one tensor.
    Stacked,
    RowsDoNotFit,
    TypeIs(&'static [TensorType]),
    TypeIsNot(TensorType),
    /// At least four query heads share a key/value head.
    SharedHeads,
    SharedHeadsOrFourExperts,
    EightExperts,
    NotEightExperts,
    SeventyB,
    NoImportance,
    WithImportance,
    /// The first n of its category.
    FirstFew(u64),
    /// The first `1/n` of its category.
    FirstOneOf(u64),
    /// All but the first and the last eighth.
    Middle,
    /// The first and the last eighth, and every third in between (llama.cpp's `use_more_bits`).
    MoreBits,
}

impl Condition {
    fn holds(self, s: &Context) -> bool {
        match self {
            Condition::Is(category) => s.category == category,
            Condition::Values => s.category.is_values(),
            Condition::OutputRole => s.category == Category::Output || s.tied && s.category == Category::TokenEmbedding,
            Condition::Preset(set) => set.has(s.ftype),
            Condition::Architecture(name) => s.hparams.architecture == name,
            Condition::NotArchitecture(name) => s.hparams.architecture != name,
            Condition::NameHas(parts) => parts.iter().any(|part| s.name.contains(part)),
            Condition::Stacked => s.tensor.dimension(2) > 1,
            Condition::RowsDoNotFit => !s.tensor.row_length().is_multiple_of(s.dtype.weights),
            Condition::TypeIs(dtypes) => dtypes.contains(&s.dtype),
            Condition::TypeIsNot(dtype) => s.dtype != dtype,
            Condition::SharedHeads => s.hparams.gqa >= 4,
            Condition::SharedHeadsOrFourExperts => s.hparams.gqa >= 4 || s.hparams.experts >= 4,
            Condition::EightExperts => s.hparams.experts == 8,
            Condition::NotEightExperts => s.hparams.experts != 8,
            Condition::SeventyB => s.hparams.seventy_b,
            Condition::NoImportance => !s.has_importance,
            Condition::WithImportance => s.has_importance,
            Condition::FirstFew(count) => s.index < count,
            Condition::FirstOneOf(parts) => s.index < s.of / parts,
            Condition::Middle => s.index >= s.of / 8 && s.index < 7 * s.of / 8,
            Condition::MoreBits => {
                let eighth = s.of / 8;
                s.index < eighth || s.index >= 7 * s.of / 8 || (s.index - eighth) % 3 == 2
            }
        }
    }
}

/// The type for these presets under these conditions.
#[derive(Clone, Copy, Debug)]
struct Rule {
    presets: PresetSet,
    when: &'static [Condition],
    dtype: TensorType,
    why: &'static str,
}

const fn rule(presets: PresetSet, when: &'static [Condition], dtype: TensorType, why: &'static str) -> Rule {
    Rule { presets, when, dtype, why }
}

/// A category of tensors and its rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    when: &'static [Condition],
    /// Whether tensors of this section are counted, for rules that depend on the index.
    pub counts: bool,
    /// Whether, in a mixture-of-experts model, the layer is read from the name, because experts are not in order.
    pub layer_from_name: bool,
    stages: &'static [&'static [Rule]],
}

const SECTION: Section = Section { when: &[], counts: false, layer_from_name: false, stages: &[] };
const LAYERED: Section = Section { counts: true, layer_from_name: true, ..SECTION };

/// The section a tensor belongs to.
pub(super) fn section(s: &Context) -> &'static Section {
    SECTIONS.iter().find(|section| section.when.iter().all(|when| when.holds(s))).unwrap_or(&SECTION)
}

impl Section {
    /// Whether this is the section of the output and of tied embeddings.
    pub fn is_output(&self) -> bool {
        matches!(self.when, [OutputRole])
    }

    /// The type chosen by the rules, and the reason of the last rule that applied, if any.
    pub fn choose(&self, mut s: Context) -> (TensorType, Option<&'static str>) {
        let mut why = None;
        for stage in self.stages {
            let applies = |rule: &&Rule| rule.presets.has(s.ftype) && rule.when.iter().all(|when| when.holds(&s));
            if let Some(rule) = stage.iter().find(applies) {
                if rule.dtype != s.dtype || why.is_none() {
                    why = Some(rule.why);
                }
                s.dtype = rule.dtype;
            }
        }
        (s.dtype, why)
    }
}

macro_rules! on {
    ($($name:ident)+) => { PresetSet::of(&[$(ftype::$name),+]) };
}
use Condition::*;
use TensorType as T;

const ALL: PresetSet = PresetSet::ALL;
const LOW: PresetSet = on![IQ2_XXS IQ2_XS IQ1_S IQ2_S IQ2_M IQ1_M];

/// A tensor belongs to the first section whose conditions are true.
const SECTIONS: &[Section] = &[
    Section {
        when: &[Architecture("glm5-next"), NameHas(&["attn_q_a", "attn_q_b", "nextn.eh_proj"])],
        stages: &[&[rule(ALL, &[], T::Q8_0, "this architecture's low-rank queries stay at 8 bits")]],
        ..SECTION
    },
    Section { when: &[OutputRole], stages: &[OUTPUT], ..SECTION },
    Section { when: &[Preset(on![MXFP4_MOE])], stages: &[MXFP4_MOE], ..SECTION },
    Section { when: &[Is(Category::TokenEmbedding)], stages: &[EMBEDDING], ..SECTION },
    Section { when: &[Preset(LOW), Values], counts: true, stages: &[LOW_VALUES], ..SECTION },
    Section { when: &[Preset(LOW), Is(Category::AttentionK)], stages: &[LOW_KEYS], ..SECTION },
    Section { when: &[Preset(LOW), Is(Category::FfnDown)], counts: true, stages: &[LOW_DOWN], ..SECTION },
    Section { when: &[Preset(LOW), Is(Category::AttentionOutput)], stages: &[LOW_ATTENTION_OUTPUT], ..SECTION },
    Section { when: &[Preset(LOW)], ..SECTION },
    Section { when: &[Values], counts: true, stages: &[VALUES, VALUES_70B, VALUES_EXPERTS], ..SECTION },
    Section { when: &[Is(Category::AttentionK)], stages: &[KEYS], ..SECTION },
    Section { when: &[Is(Category::AttentionQ)], stages: &[QUERIES], ..SECTION },
    Section { when: &[Is(Category::FfnDown)], stages: &[DOWN], ..LAYERED },
    Section { when: &[Is(Category::AttentionOutput)], stages: &[ATTENTION_OUTPUT], ..SECTION },
    Section { when: &[Is(Category::FfnGate)], stages: &[GATE_UP], ..LAYERED },
    Section { when: &[Is(Category::FfnUp)], stages: &[GATE_UP], ..LAYERED },
];

const OUTPUT: &[Rule] = &[
    rule(on![MXFP4_MOE], &[], T::Q8_0, "the output does not belong to the experts"),
    rule(ALL, &[Architecture("falcon")], T::Q8_0, "falcon's output stays at 8 bits"),
    rule(ALL, &[RowsDoNotFit], T::Q8_0, "the output's rows are not a multiple of the block size of the preset's type"),
    rule(
        on![IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ2_S IQ2_M IQ1_M],
        &[],
        T::Q5_K,
        "the output decides every token: 5 bits in the smallest presets",
    ),
    rule(ALL, &[TypeIsNot(T::Q8_0)], T::Q6_K, "the output decides every token: at least 6 bits"),
];

const MXFP4_MOE: &[Rule] = &[
    rule(ALL, &[Stacked, NotArchitecture("bailingmoe3")], T::MXFP4, "stacked experts"),
    // This architecture also stacks the projections of its attention.
    rule(ALL, &[Stacked, Is(Category::FfnUp)], T::MXFP4, "stacked experts"),
    rule(ALL, &[Stacked, Is(Category::FfnGate)], T::MXFP4, "stacked experts"),
    rule(ALL, &[Stacked, Is(Category::FfnDown)], T::MXFP4, "stacked experts"),
    rule(ALL, &[], T::Q8_0, "does not belong to the experts"),
];

const EMBEDDING: &[Rule] = &[
    rule(on![IQ2_XXS IQ2_XS IQ1_S IQ1_M], &[], T::Q2_K, EMBEDDING_WHY),
    rule(on![IQ2_S IQ2_M IQ3_XXS], &[], T::IQ3_S, EMBEDDING_WHY),
    rule(on![TQ1_0 TQ2_0 Q2_0], &[], T::Q4_K, EMBEDDING_WHY),
];
const EMBEDDING_WHY: &str = "embeddings are looked up, not multiplied: a plain type is enough";

const LOW_VALUES: &[Rule] = &[
    rule(LOW, &[SharedHeadsOrFourExperts], T::Q4_K, "attention values that many heads or experts share are small"),
    rule(on![IQ2_S IQ2_M], &[], T::IQ3_S, VALUES_WHY),
    rule(LOW, &[], T::Q2_K, VALUES_WHY),
];
const VALUES_WHY: &str = "attention values are sensitive";

const LOW_KEYS: &[Rule] = &[rule(LOW, &[EightExperts], T::Q4_K, EXPERTS_WHY)];
const EXPERTS_WHY: &str = "attention is small compared with eight experts";

const LOW_DOWN: &[Rule] = &[
    rule(on![IQ2_S IQ2_M], &[FirstOneOf(8)], T::IQ3_S, FIRST_DOWN_WHY),
    rule(LOW, &[FirstOneOf(8)], T::Q2_K, FIRST_DOWN_WHY),
];
const FIRST_DOWN_WHY: &str = "ffn_down of the first layers is sensitive";

const LOW_ATTENTION_OUTPUT: &[Rule] = &[
    rule(LOW, &[EightExperts], T::Q5_K, EXPERTS_WHY),
    rule(on![IQ1_S IQ1_M], &[], T::IQ2_XXS, ATTENTION_OUTPUT_WHY),
    rule(on![IQ2_S IQ2_M], &[], T::IQ3_S, ATTENTION_OUTPUT_WHY),
];
const ATTENTION_OUTPUT_WHY: &str = "attention output keeps more bits in this preset";

const VALUES: &[Rule] = &[
    rule(on![Q2_K Q2_K_S IQ3_XXS IQ3_XS IQ3_S], &[SharedHeads], T::Q4_K, SHARED_WHY),
    rule(on![Q2_K], &[], T::Q3_K, VALUES_WHY),
    rule(on![IQ3_XXS], &[NoImportance], T::IQ3_S, "attention values without importance"),
    rule(on![IQ3_XXS], &[], T::IQ3_XXS, "attention values with importance"),
    rule(on![IQ3_M], &[], T::Q4_K, VALUES_WHY),
    rule(on![Q3_K_M], &[FirstFew(2)], T::Q5_K, "attention values of the first two layers"),
    rule(on![Q3_K_M], &[], T::Q4_K, VALUES_WHY),
    rule(on![Q3_K_L], &[], T::Q5_K, VALUES_WHY),
    rule(on![IQ4_NL IQ4_XS], &[SharedHeads], T::Q5_K, SHARED_WHY),
    rule(on![Q4_K_M Q5_K_M], &[MoreBits], T::Q6_K, "attention values of the layers that keep more bits"),
    rule(on![Q4_K_S], &[FirstFew(4)], T::Q5_K, "attention values of the first four layers"),
];
const SHARED_WHY: &str = "attention values that many heads share are small";

/// In 70B models the values have an eighth of the size of the queries.
const VALUES_70B: &[Rule] =
    &[rule(ALL, &[SeventyB, TypeIs(&[T::Q3_K, T::Q4_K])], T::Q5_K, "a 70B model's attention values are small")];

const VALUES_EXPERTS: &[Rule] = &[rule(ALL, &[EightExperts], T::Q8_0, EXPERTS_WHY)];

const KEYS: &[Rule] = &[rule(ALL, &[EightExperts], T::Q8_0, EXPERTS_WHY), QUERIES_XS, QUERIES_XXS];
const QUERIES: &[Rule] = &[QUERIES_XS, QUERIES_XXS];
const QUERIES_XS: Rule = rule(on![IQ3_XS], &[], T::IQ3_XXS, QUERIES_WHY);
const QUERIES_XXS: Rule = rule(on![IQ3_XXS], &[], T::IQ2_S, QUERIES_WHY);
const QUERIES_WHY: &str = "queries and keys tolerate fewer bits in this preset";

const DOWN: &[Rule] = &[
    rule(on![Q2_K], &[], T::Q3_K, DOWN_WHY),
    rule(on![Q2_K_S], &[FirstOneOf(8)], T::Q4_K, FIRST_DOWN_WHY),
    rule(on![IQ3_XXS], &[NoImportance, FirstOneOf(8)], T::Q4_K, FIRST_DOWN_WHY),
    rule(on![IQ3_XXS], &[NoImportance], T::Q3_K, "ffn_down without importance"),
    rule(on![Q3_K_M], &[FirstOneOf(16)], T::Q5_K, FIRST_DOWN_WHY),
    rule(on![Q3_K_M], &[NotArchitecture("falcon")], T::Q4_K, DOWN_WHY),
    rule(on![Q3_K_M], &[MoreBits], T::Q4_K, MORE_DOWN_WHY),
    rule(on![Q3_K_M], &[], T::Q3_K, "falcon's ffn_down"),
    rule(on![IQ3_M], &[FirstOneOf(8)], T::Q4_K, FIRST_DOWN_WHY),
    rule(on![IQ3_M], &[EightExperts, MoreBits], T::Q4_K, MORE_DOWN_WHY),
    rule(on![Q3_K_L], &[Architecture("falcon")], T::Q4_K, "falcon's ffn_down"),
    rule(on![Q3_K_L], &[], T::Q5_K, DOWN_WHY),
    rule(on![Q4_K_M], &[Architecture("falcon"), FirstOneOf(16)], T::Q6_K, FIRST_DOWN_WHY),
    rule(on![Q4_K_M], &[Architecture("falcon"), MoreBits], T::Q5_K, MORE_DOWN_WHY),
    rule(on![Q4_K_M], &[Architecture("falcon")], T::Q4_K, "falcon's ffn_down"),
    rule(on![Q4_K_M Q5_K_M], &[MoreBits], T::Q6_K, MORE_DOWN_WHY),
    rule(on![IQ4_NL IQ4_XS], &[FirstOneOf(8), NoImportance], T::Q5_K, FIRST_DOWN_WHY),
    rule(on![Q4_K_S], &[NotArchitecture("falcon"), FirstOneOf(8)], T::Q5_K, FIRST_DOWN_WHY),
    // With an importance matrix, ffn_down of the first layers degrades in Q4_0 and Q5_0; without one, in Q4_1 and Q5_1.
    rule(on![Q4_0], &[WithImportance, FirstOneOf(8)], T::Q4_1, "ffn_down of the first layers with importance"),
    rule(on![Q5_0], &[WithImportance, FirstOneOf(8)], T::Q5_1, "ffn_down of the first layers with importance"),
];
const DOWN_WHY: &str = "ffn_down keeps more bits in this preset";
const MORE_DOWN_WHY: &str = "ffn_down of the layers that keep more bits";

const ATTENTION_OUTPUT: &[Rule] = &[
    rule(on![Q3_K_L], &[Architecture("falcon")], T::Q4_K, ATTENTION_OUTPUT_WHY),
    rule(
        on![Q2_K IQ3_XS IQ3_XXS Q3_K_S Q3_K_M IQ4_NL Q4_K_S Q4_K_M IQ3_S IQ3_M IQ4_XS],
        &[NotArchitecture("falcon"), EightExperts],
        T::Q5_K,
        EXPERTS_WHY,
    ),
    rule(on![Q2_K], &[NotArchitecture("falcon"), NotEightExperts], T::Q3_K, ATTENTION_OUTPUT_WHY),
    rule(on![IQ3_XXS], &[NotArchitecture("falcon"), NotEightExperts], T::IQ3_S, ATTENTION_OUTPUT_WHY),
    rule(on![Q3_K_M IQ3_M], &[NotArchitecture("falcon"), NotEightExperts], T::Q4_K, ATTENTION_OUTPUT_WHY),
    rule(on![Q3_K_L], &[NotArchitecture("falcon"), NotEightExperts], T::Q5_K, ATTENTION_OUTPUT_WHY),
];

const GATE_UP: &[Rule] = &[rule(on![IQ3_XS], &[Middle], T::IQ3_XXS, "the middle layers tolerate fewer bits")];
