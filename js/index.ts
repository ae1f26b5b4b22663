/**
 * All exports of the package except `init`, which each entry (browser.ts, node.ts, workerd.ts, slim.ts, inline.ts) adds
 * with the location of the engine.
 *
 * Each module of the engine has one file here with the same name: it documents the types, checks the arguments that the
 * engine cannot check (check.ts), and makes each call through `call` (wasm.ts), which also converts errors. format.ts
 * is an example. Add a line below for a new one.
 */

export { QuantpressError, errorKinds, type ErrorCode, type ErrorDetails, type ErrorKind } from './engine/error.js';
export {
  isReady,
  type InitOptions,
  type ModuleInput,
  type ModuleInputs,
  type WasmInput,
  type WasmPlace,
} from './engine/wasm.js';
export * from './numerics/format.js';
export {
  analyzeModel,
  type AnalyzeModelOptions,
  type AnalyzeProgress,
  type FormatAnalysis,
  type FormatError,
  type FormatRefusal,
  type ModelAnalysis,
  type TensorAnalysis,
} from './model/analyze/analyze.js';
export { tensorHistogram, type TensorHistogram, type TensorHistogramOptions } from './model/analyze/histogram.js';
export { bestMix, type BestMixOptions, type Mix, type MixedTensor, type MixTarget } from './model/best-mix/best-mix.js';
export {
  diffModels,
  type DiffOptions,
  type DiffProgress,
  type MetadataDiff,
  type ModelDiff,
  type TensorDiff,
} from './model/diff.js';
export {
  compareModels,
  evaluateModel,
  type Estimate,
  type EvaluatedText,
  type Evaluation,
  type ModelComparison,
  type Percentile,
} from './model/evaluate/evaluate.js';
export { importanceOf, type ImportanceOptions, type ImportanceResult } from './model/evaluate/importance-of.js';
export type { RunOptions, RunProgress } from './model/evaluate/run.js';
export { weightError, type ErrorFigures } from './numerics/distortion.js';
export type { FileEntry, FileReference, FolderEntry } from './io/file-identity.js';
export {
  openImportance,
  type Importance,
  type ImportanceEntry,
  type ImportanceInput,
} from './model/importance.js';
export { bnbConfig } from './model/bnb/config.js';
export {
  planModel,
  presets,
  type BnbPreset,
  type Plan,
  type PlannedShard,
  type PlannedTensor,
  type PlanOptions,
  type Preset,
  type PresetName,
  type Recipe,
} from './model/plan.js';
export type {
  MetadataArray,
  MetadataArrayOf,
  MetadataNumberType,
  MetadataScalar,
  MetadataType,
  MetadataValue,
  NestedArray,
  NestedArrayOf,
} from './model/metadata.js';
export type { ChosenFiles, ChosenFolder, ModelInput } from './model/files.js';
export {
  openModel,
  type Model,
  type ReadTensorOptions,
  type SourceType,
  type TensorInfo,
} from './model/model.js';
export {
  manifestOf,
  manifestText,
  parseManifest,
  type ExpectedHashes,
  type Manifest,
  type ManifestTensor,
} from './model/manifest.js';
export type { RunnerOptions } from './pool/pool.js';
export type { Progress } from './model/quantize/progress.js';
export {
  quantizeModel,
  type QuantizeModelOptions,
  type QuantizeResult,
  type Report,
  type ReportedShard,
  type ReportedTensor,
} from './model/quantize/quantize.js';
export { openSource, type OpenFile, type SourceInput } from './io/source/open.js';
export type { UrlOptions } from './io/source/url-options.js';
export type { FileIdentity, Source, SourceDescription } from './io/source/source.js';
export { BlobTarget, MemoryTarget, type Written } from './io/target/memory.js';
export { openTarget, type ChosenFile, type TargetInput, type TargetSet, type TargetShard } from './io/target/open.js';
export { OpfsTarget } from './io/target/opfs.js';
export type { AccessHandle } from './io/target/web-file.js';
export type { ResumableTarget, Target } from './io/target/target.js';
export {
  verifyModel,
  type Problem,
  type Verification,
  type VerifyOptions,
  type VerifyProgress,
} from './model/verify.js';
export * from './numerics/analysis.js';
export * from './numerics/bench.js';
export * from './numerics/calibrate.js';
export type { CompleteScheme, Scheme } from './numerics/scheme.js';
export * from './numerics/affine.js';
export * from './numerics/block-tensor.js';
export * from './numerics/nf4.js';
export * from './numerics/histogram.js';
export * from './numerics/learned.js';
export * from './numerics/pact.js';
export * from './numerics/qat.js';
