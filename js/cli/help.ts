/** The text of `--help`. */

/** The options for models at URLs, with the column in which their descriptions begin. */
function urlOptions(column: number): string {
  const lines = [
    ['--attempts N', 'tries per request to a URL (default: 5)'],
    ['--idle-timeout S', 'seconds that a server may be silent before a retry, or none (default: 30)'],
    ['--max-wait S', 'the longest pause in seconds before a retry (default: 60)'],
  ] as const;
  return lines.map(([option, text]) => `  ${option.padEnd(column)}${text}`).join('\n');
}

const QUANTIZE = `Usage: quantpress quantize [options] IN [OUT] PRESET [THREADS]
       quantpress quantize --target-size SIZE [options] IN OUT [THREADS]

Quantizes a model. The output is byte-identical to llama-quantize's for the same model, preset and options.

  IN       a GGUF or safetensors file, or its http(s) URL; for a model in several files, the first shard
           (NAME-00001-of-00003.gguf), the index (model.safetensors.index.json) or the folder. Diffusion models in
           safetensors become the GGUF that ComfyUI-GGUF loads. Language models (Llama, Mistral, Qwen2, Qwen3, SmolLM,
           BERT) become the GGUF that llama.cpp's convert_hf_to_gguf.py writes; pass their folder, which has the tokenizer.
           Other models are rejected, unless --plain is given
  OUT      the file to write (default: ggml-model-PRESET.gguf in the folder of IN)
  PRESET   Q4_K_M is a good first choice; Q8_0 and Q6_K are larger and closer to the original
           NF4 and FP4 turn a Hugging Face folder into one that transformers loads through bitsandbytes
  THREADS  the same as --threads

Options (the names are llama-quantize's):
  --imatrix FILE               importance matrix (imatrix), as llama-imatrix writes it
  --include-weights NAME       use the importance matrix only for tensors whose names contain NAME (repeatable)
  --exclude-weights NAME       do not use it for tensors whose names contain NAME (repeatable)
  --pure                       one type for all tensors
  --leave-output-tensor        do not quantize output.weight
  --output-tensor-type TYPE    the type of output.weight
  --token-embedding-type TYPE  the type of token_embd.weight
  --tensor-type REGEX=TYPE     the type of tensors whose names match (repeatable, the first match decides)
  --tensor-type-file FILE      the same, from a file
  --allow-requantize           allow requantizing quantized tensors, at the cost of quality
  --target-size SIZE           instead of a preset: choose each tensor's type so that the file has at most SIZE (300MB,
                               1.5G) and the weight error measured by quantpress analyze is smallest
  --target-bpw N               the same, with the size given in bits per weight (4.2)
  --override-kv KEY=TYPE:VALUE set metadata; TYPE is int, float, bool or str (repeatable)
  --prune-layers L,L,...       remove layers
  --keep-split                 write as many shards as IN has (OUT-00001-of-00003.gguf and so on)
  --split-max-size SIZE        write shards of at most SIZE (500MB, 2G); browsers load files below 2 GB
  --pre-tokenizer NAME         the value of tokenizer.ggml.pre, if it cannot be determined from the folder
  --plain                      for models that cannot be converted: write the tensors of a safetensors model under their own
                               names, as architecture plain, which no program can run
  --double-quant               NF4, FP4: store the scales in 8 bits
  --exclude-module NAME        NF4, FP4: do not quantize a module (repeatable; lm_head never is)
  --dry-run                    print the plan and the size; write nothing
  --threads N                  number of workers; 0 runs without workers (default: one per core, at most 8)
  --report FILE                measure the weight error of each tensor in the same pass; print it with the type and the
                               rule that chose it, and write it as JSON
  --manifest FILE              write the hashes of the file and of each tensor: JSON for quantpress verify (which looks for
                               OUT.manifest.json), FILE.sha256 for sha256sum -c, FILE.hashes for llama-gguf-hash -c
  --resume                     continue an interrupted run of the same command; if this run is interrupted, keep its partial
                               file
${urlOptions(29)}
  --quiet                      print nothing unless the command fails`;

const INSPECT = `Usage: quantpress inspect [--all] [--json] FILE

Shows the metadata and tensors of a model file, and how many bytes each type takes.

  FILE    a GGUF or safetensors file, or its http(s) URL; a folder, an index or a first shard for a model in several files
  --all   print metadata values in full: by default long strings and arrays are cut
  --json  print everything as JSON

${urlOptions(18)}`;

const ANALYZE = `Usage: quantpress analyze [options] FILE

Measures the weight error of each format on a sample of the rows of every tensor. Writes nothing.

  FILE                a GGUF or safetensors file, or its http(s) URL

Options:
  --formats F,F,...   the formats to measure (default: all that can be written)
  --imatrix FILE      importance matrix: the encoders use it, and errors are weighted by it
  --sample N          weights to sample per tensor, or all (default: 262144; an eighth for slow formats)
  --threads N         number of workers; 0 runs without workers
${urlOptions(20)}
  --json              print all figures as JSON
  --quiet             do not show progress`;

const IMATRIX = `Usage: quantpress imatrix [options] MODEL TEXT OUT

Runs a model on a calibration text and writes the importance matrix that quantize --imatrix takes: the file of
llama-imatrix, with values that differ by rounding. Memory does not grow with the model.

  MODEL  a GGUF file, best in F16, BF16 or F32, or its http(s) URL. Architectures: llama (and Mistral), smollm3, qwen2,
         qwen3, qwen3moe, gemma2, gemma3, phi3, olmo2
  TEXT   a text file; one line break at its end is ignored
  OUT    the file to write

Options (the names are llama-imatrix's):
  -c, --ctx-size N    tokens per chunk (default: 512, or the model's context length if that is shorter)
  --chunks N          run at most N chunks
  --process-output    collect the inputs of output.weight too
  --parse-special     the names of special tokens in TEXT become those tokens
${urlOptions(20)}
  --json              print the result as JSON
  --quiet             print nothing unless the command fails`;

const PERPLEXITY = `Usage: quantpress perplexity [options] MODEL TEXT
       quantpress perplexity --against ORIGINAL [options] MODEL TEXT

Measures how well a model predicts a text, with the definitions of llama-perplexity. Memory does not grow with the model.

  MODEL  a GGUF file of any types, or its http(s) URL. For the architectures see quantpress imatrix --help
  TEXT   a text file; one line break at its end is ignored

Options (the names are llama-perplexity's):
  --against ORIGINAL  the GGUF file that MODEL was quantized from: compare the predictions of both, as
                      llama-perplexity --kl-divergence does, without a file of predictions
  -c, --ctx-size N    tokens per chunk, of which the second half is scored (default: 512, or the model's context
                      length if that is shorter)
  --chunks N          run at most N chunks
  --parse-special     the names of special tokens in TEXT become those tokens
${urlOptions(20)}
  --json              print all figures as JSON
  --quiet             do not show progress`;

const DIFF = `Usage: quantpress diff [options] A B

Compares two models of any types: their metadata, and the weights of tensors with the same name. The exit code is 0 if
they are equal, 1 if they differ, and 2 if they cannot be compared.

  A, B         GGUF or safetensors files, or http(s) URLs; errors are those of B relative to A

Options:
  --threads N       number of workers; 0 runs without workers
${urlOptions(18)}
  --json            print JSON
  --quiet           print nothing; only set the exit code`;

const VERIFY = `Usage: quantpress verify [options] FILE

Checks the header of a model file, every block of every tensor, and its hashes against a manifest. Prints the problems on
stdout; the exit code is 1 if there are any, and otherwise 0.

  FILE             a GGUF file, or its http(s) URL

Options:
  --manifest FILE  hashes written by quantize --manifest, sha256sum or llama-gguf-hash (default: FILE.manifest.json
                   if it exists)
  --write FILE     write the hashes of FILE: as JSON, or in the form of the extension .sha256 or .hashes
${urlOptions(17)}
  --quiet          print only problems`;

/** The help of each command. */
export const HELP: Record<string, string> = {
  quantize: QUANTIZE,
  inspect: INSPECT,
  analyze: ANALYZE,
  imatrix: IMATRIX,
  perplexity: PERPLEXITY,
  diff: DIFF,
  verify: VERIFY,
};

/** The help of the whole program. */
export function overview(): string {
  return `Usage: quantpress COMMAND ...

  quantize IN OUT PRESET   quantize a model
  inspect FILE             show the metadata and tensors of a model
  analyze FILE             measure the weight error of each format on a sample
  imatrix MODEL TEXT OUT   make an importance matrix
  perplexity MODEL TEXT    measure a model on a text, or compare it with its original
  diff A B                 compare two models
  verify FILE              check a model file and its hashes

quantpress COMMAND --help describes a command; quantpress --version prints the version.`;
}
