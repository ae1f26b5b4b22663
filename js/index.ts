/**
 * Everything the package offers but `init`, which each entry (browser.ts, node.ts, workerd.ts, slim.ts, inline.ts) adds
 * with the place where it finds the engine.
 *
 * A room of the engine is one file here, named as the room is: it documents the types, checks the arguments that the
 * engine cannot (check.ts), and makes each call by `call` (wasm.ts), which also gives errors their type. format.ts is the
 * pattern. Add a line below for a new one.
 */

export { QuantpressError, errorKinds, type ErrorCode, type ErrorDetails, type ErrorKind } from './error.js';
export { isReady, type InitOptions, type WasmInput } from './wasm.js';
export * from './format.js';
export {
  analyzeModel,
  type AnalyzeModelOptions,
  type AnalyzeProgress,
  type FormatAnalysis,
  type FormatError,
  type FormatRefusal,
  type ModelAnalysis,
  type TensorAnalysis,
} from './analyze.js';
export { tensorHistogram, type TensorHistogram, type TensorHistogramOptions } from './analyze-histogram.js';
export { bestMix, type BestMixOptions, type Mix, type MixedTensor, type MixTarget } from './best-mix.js';
export { diffModels, type DiffOptions, type MetadataDiff, type ModelDiff, type TensorDiff } from './diff.js';
export { weightError, type ErrorFigures } from './error-sums.js';
export type { FileEntry, FileReference, FolderEntry } from './file-identity.js';
export {
  openImportance,
  type Importance,
  type ImportanceEntry,
  type ImportanceInput,
} from './model-importance.js';
export { fourBitConfig } from './four-bit-plan.js';
export {
  planModel,
  presets,
  type Plan,
  type PlannedShard,
  type PlannedTensor,
  type PlanOptions,
  type Preset,
  type Recipe,
} from './model-plan.js';
export type { MetadataArray, MetadataArrayOf, MetadataScalar, MetadataValue } from './metadata.js';
export type { ChosenFiles, ChosenFolder, ModelInput } from './model-files.js';
export {
  openModel,
  type Model,
  type ReadTensorOptions,
  type SourceType,
  type TensorInfo,
} from './model.js';
export {
  manifestOf,
  manifestText,
  parseManifest,
  type ExpectedHashes,
  type Manifest,
  type ManifestTensor,
} from './manifest.js';
export type { RunnerOptions } from './pool.js';
export type { Progress } from './quantize-progress.js';
export {
  quantizeModel,
  type QuantizeModelOptions,
  type Report,
  type ReportedShard,
  type ReportedTensor,
} from './quantize.js';
export { openSource, type OpenFile, type SourceInput } from './source-open.js';
export type { UrlOptions } from './url-options.js';
export type { FileIdentity, Source, SourceDescription } from './source.js';
export { BlobTarget, MemoryTarget } from './target-memory.js';
export { openTarget, type ChosenFile, type TargetInput, type TargetSet, type TargetShard } from './target-open.js';
export { OpfsTarget } from './target-opfs.js';
export type { AccessHandle } from './target-web-file.js';
export type { ResumableTarget, Target } from './target.js';
export { verifyModel, type Problem, type Verification, type VerifyOptions } from './verify.js';
export * from './analysis.js';
export * from './bench.js';
export * from './calibrate.js';
export type { Scheme } from './scheme.js';
export * from './affine.js';
export * from './gguf.js';
export * from './nf4.js';
export * from './qat.js';
