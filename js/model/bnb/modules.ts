/**
 * Which tensors of a Hugging Face model bitsandbytes quantizes: the weights of linear layers, but for those that `transformers`
 * leaves alone. What is kept and what config.json lists are two sides of one decision: `transformers` builds a 4-bit layer for
 * every linear layer whose name no entry of the list matches, and then needs 4-bit weights for it.
 *
 * Source: `get_keys_to_not_convert`, `should_convert_module` and the `_keep_in_fp32_modules` of transformers 5.24 (Apache-2.0).
 */

import { QuantpressError } from '../../engine/error.js';
import type { SourceType, TensorInfo } from '../model.js';

/** The types that bitsandbytes decodes to, by their names in safetensors: weights of others stay as they are. */
export const DTYPES: Partial<Record<SourceType, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** Modules that a type of model keeps in F32, whatever its configuration lists: `_keep_in_fp32_modules`. */
const PRECISE: readonly (readonly [types: string, modules: readonly string[]])[] = [
  ['t5 mt5 umt5 udop pop2piano', ['wo']],
  ['blip-2', ['qformer', 'query_tokens']],
  ['glm_moe_dsa deepseek_v32 axk2 mistral_large4 mistral_large4_text', ['indexer.weights_proj']],
  [
    'deepseek_v4',
    ['gate_proj', 'kv_proj', 'indexer.gate_proj', 'indexer.kv_proj', 'indexer.scorer.weights_proj'].map(
      (part) => `self_attn.compressor.${part}`,
    ),
  ],
];

/** Output layers that are not called lm_head, and the classes that have them, without what follows in {@link HEADS}. */
const OUTPUTS: readonly (readonly [module: string, classes: string])[] = [
  [
    'cls.predictions.decoder',
    'Bert BigBird Deberta DebertaV2 Ernie FNet LayoutLM MegatronBert MobileBert Mra NomicBert Nystromformer RemBert RoCBert RoFormer SqueezeBert Tapas VisualBert Yoso',
  ],
  [
    'lm_head.decoder',
    'BertGeneration Camembert Data2VecText Esmc Gte IBert JinaEmbeddingsV3 Longformer Luke MPNet Reformer Roberta RobertaPreLayerNorm XLMRoberta XLMRobertaXL Xmod',
  ],
  ['lm_head.out_proj', 'T5Gemma T5Gemma2'],
  ['predictions.decoder', 'Albert'],
  ['proj_out', 'Whisper Moonshine Canary CohereAsr'],
  ['output_projection', 'BioGpt TrOCR'],
  ['generator_lm_head', 'ConvBert Electra'],
  ['vocab_projector', 'DistilBert'],
  ['pred_layer.proj', 'Flaubert XLM'],
  ['embed_out', 'GPTNeoX GPTNeoXJapanese'],
  ['decoder', 'ModernBert ModernBertDecoder'],
  ['head.decoder', 'Ultrabert'],
  ['head', 'Rwkv'],
  ['lm_loss', 'XLNet'],
  ['output', 'Git'],
];

const HEADS = /(For(CausalLM|MaskedLM|PreTraining|ConditionalGeneration)|(With)?LMHeadModel|Decoder)$/;

/** The outputs of models within models, and of those whose class has several. */
const OUTPUT =
  /(^|\.)lm_heads?(\.\d+)?(\.decoder|\.out_proj)?$|(^|\.|_)predictions\.decoder$|(^|\.)output_projection$|^(proj_out|embed_out|logits_dense|unembedding_projection|mmm_text_head\.decoder|audio_lm_head)$/;

/** Heads that are the last module of a model: with a bias that is its last parameter, and they are quantized. */
const LAST = /^(score|classifier)$/;

/** Parts of names of two-dimensional weights that are no linear layers. */
const TABLES: readonly (readonly [part: RegExp, why: string])[] = [
  [/(^|\.)\w*embed\w*\.|(^|\.)w[tp]e\./i, 'a table of embeddings'],
  [/(^|\.)shared\.weight$/, 'a table of embeddings'],
  [/relative_attention_bias\./, 'a table of embeddings'],
  [/norm\w*\.weight$/i, 'a norm'],
  // transformers keeps experts in one parameter each, which is no linear layer.
  [/\.experts\.|\.router\.|\.(mlp|block_sparse_moe)\.gate\./, 'of a mixture of experts'],
];

/** Weights that are stored the other way round. */
const TRANSPOSED = /\.(c_attn|c_fc|c_proj)\.weight$/;

/** What config.json says of the kind of the model. */
export interface ModelKind {
  /** `architectures[0]`. */
  readonly class: string;
  /** Its `model_type`, and those of the models within it. */
  readonly types: ReadonlySet<string>;
}

/** The kind of a model by its config.json; one without says nothing. */
export function kindOf(config: Record<string, unknown> | undefined): ModelKind {
  const types = new Set<string>();
  const visit = (value: unknown, depth: number) => {
    if (typeof value !== 'object' || value === null || depth > 3) return;
    for (const [key, member] of Object.entries(value)) {
      if (key === 'model_type' && typeof member === 'string') types.add(member);
      else visit(member, depth + 1);
    }
  };
  visit(config, 0);
  const [named] = Array.isArray(config?.architectures) ? config.architectures : [];
  return { class: typeof named === 'string' ? named : '', types };
}

/** What becomes of the tensors of a model. */
export interface ModuleChoice {
  /** Why a tensor stays as it is; nothing if it is quantized. */
  whyKept(tensor: TensorInfo): string | undefined;
  /** The modules that `transformers` must not look for 4-bit weights in. */
  readonly skipped: readonly string[];
}

/** Chooses what is quantized. `excluded` are names of modules, or parts of them. */
export function chooseModules(
  tensors: readonly TensorInfo[],
  kind: ModelKind,
  excluded: readonly string[],
): ModuleChoice {
  const names = new Set(tensors.map(({ name }) => name));
  const precise = PRECISE.filter(([types]) => types.split(' ').some((type) => kind.types.has(type)));
  const inF32 = precise.flatMap(([, modules]) => modules);
  const output = outputOf(kind.class);
  const why = (tensor: TensorInfo): string | undefined => {
    const module = moduleOf(tensor);
    if (module === undefined) return 'not the weight of a linear layer';
    if (!DTYPES[tensor.type]) return 'its type';
    if (excluded.some((part) => `.${module}.`.includes(`.${part}.`))) return 'the recipe excludes it';
    if (matches(module, inF32)) return 'transformers keeps it in F32';
    if (isOutput(module, output, names)) return 'the output decides every token';
    const table = TABLES.find(([part]) => part.test(tensor.name));
    if (table) return table[1];
    if (!TRANSPOSED.test(tensor.name)) return undefined;
    const message = `tensor '${tensor.name}' is stored the other way round (Conv1D of GPT-2), which is not converted to 4 bits`;
    throw new QuantpressError('UNSUPPORTED', message, { tensor: tensor.name });
  };
  const kept = new Map<string, string>();
  for (const tensor of tensors) {
    const reason = why(tensor);
    if (reason !== undefined) kept.set(tensor.name, reason);
  }
  // The output may be tied to the embeddings, and have no tensor of its own; what is excluded may not be there at all.
  const skipped = new Set([...(output === undefined ? [] : [output]), ...excluded]);
  for (const tensor of tensors) {
    const module = moduleOf(tensor);
    if (module !== undefined && kept.has(tensor.name)) skipped.add(module);
  }
  // A name of the list may match more than it means: what it matches is kept, and in the list itself.
  for (let again = true; again; ) {
    again = false;
    const patterns = [...skipped].map(pattern);
    for (const tensor of tensors) {
      const module = moduleOf(tensor);
      if (module === undefined || kept.has(tensor.name) || !patterns.some((test) => test(module))) continue;
      kept.set(tensor.name, 'its name matches that of a skipped module');
      again = !skipped.has(module) || again;
      skipped.add(module);
    }
  }
  return { whyKept: ({ name }) => kept.get(name), skipped: [...skipped] };
}

/** The module that a two-dimensional weight is of. */
function moduleOf({ name, shape }: TensorInfo): string | undefined {
  return name.endsWith('.weight') && shape.length === 2 ? name.slice(0, -'.weight'.length) : undefined;
}

/** What the output layer is called that a class leaves alone; of CTC it has a bias, which is the last parameter: it is quantized. */
function outputOf(named: string): string | undefined {
  if (named.endsWith('ForCTC')) return undefined;
  const stem = named.replace(HEADS, '');
  const found = stem === named ? undefined : OUTPUTS.find(([, classes]) => classes.split(' ').includes(stem));
  return found?.[0] ?? 'lm_head';
}

function isOutput(module: string, output: string | undefined, names: ReadonlySet<string>): boolean {
  if (output === undefined) return false;
  if (module === output || OUTPUT.test(module)) return true;
  return LAST.test(module) && !names.has(`${module}.bias`);
}

/** Whether `transformers` takes a module for one of these: from the start up to the end of a part, or at the end. */
export function matches(module: string, names: readonly string[]): boolean {
  return names.some((name) => pattern(name)(module));
}

function pattern(name: string): (module: string) => boolean {
  // It reads names as regular expressions, and names of modules have nothing special to these but the dot.
  const start = new RegExp(`^(?:${name.replace(/[\\^$*+?()[\]{}|]/g, '\\$&')})(?:(?<=\\.)|(?=\\.|$))`);
  return (module) => start.test(module) || module.endsWith(name);
}
