/** What `--help` says. */

const QUANTIZE = `Usage: quantpress quantize [options] IN [OUT] PRESET [THREADS]
       quantpress quantize --target-size SIZE [options] IN OUT [THREADS]

Makes a smaller model file: the bytes llama-quantize writes for the same model, preset and options.

  IN       a GGUF or safetensors file, or its http(s) address; of a model in several files the first shard
           (NAME-00001-of-00003.gguf), the index (model.safetensors.index.json) or the folder. Of safetensors, diffusion
           models become the GGUF that ComfyUI-GGUF loads; language models (Llama, Mistral, Qwen2, Qwen3, SmolLM, BERT)
           the one that llama.cpp's convert_hf_to_gguf.py writes: give the folder, which has their tokenizer too.
           Anything else is refused, unless --plain asks for a plain container
  OUT      the file to write; beside IN as ggml-model-PRESET.gguf if it is left out
  PRESET   Q4_K_M is a good first choice; Q8_0 and Q6_K lose less, smaller ones more
           NF4 and FP4 make of a folder of Hugging Face's one that transformers loads through bitsandbytes
  THREADS  as --threads

Options (the names are llama-quantize's):
  --imatrix FILE               importance matrix: which columns matter
  --include-weights NAME       use the importance matrix only for tensors whose names contain NAME (repeatable)
  --exclude-weights NAME       do not use it for tensors whose names contain NAME (repeatable)
  --pure                       one type for all tensors, no mixture
  --leave-output-tensor        keep output.weight as it is
  --output-tensor-type TYPE    the type of output.weight
  --token-embedding-type TYPE  the type of token_embd.weight
  --tensor-type REGEX=TYPE     the type of tensors whose names match (repeatable, the first match decides)
  --tensor-type-file FILE      the same, from a file
  --allow-requantize           quantize again what is quantized already, at the cost of quality
  --target-size SIZE           no preset: choose each tensor's type so that the file has SIZE at most (300MB, 1.5G) and the
                               error, as quantpress analyze measures it, is least
  --target-bpw N               the same for N bits per weight (4.2)
  --override-kv KEY=TYPE:VALUE set metadata; TYPE is int, float, bool or str (repeatable)
  --prune-layers L,L,...       leave layers out
  --keep-split                 write as many files as IN has, OUT-00001-of-00003.gguf and so on
  --split-max-size SIZE        write files of SIZE at most (500MB, 2G), named the same; browsers load files below 2 GB
  --pre-tokenizer NAME         what GGUF calls the way a tokenizer cuts text, if the files of a folder do not tell
  --plain                      write the tensors of a safetensors model under their own names, as architecture plain, which
                               no program runs: for models that cannot be converted
  --double-quant               NF4, FP4: the scales in 8 bits
  --exclude-module NAME        NF4, FP4: leave a module as it is, such as lm_head (which is in any case) (repeatable)
  --dry-run                    say what would be done, and the size; write nothing
  --threads N                  workers to use; 0 works without any (default: one for each core, up to 8)
  --report FILE                measure in the same pass what is lost of each tensor; say it with the type and the rule
                               that chose it, and write it as JSON
  --manifest FILE              write hashes of the file and of each tensor: as JSON for quantpress verify (OUT.manifest.json
                               is where it looks), FILE.sha256 for sha256sum -c, FILE.hashes for llama-gguf-hash -c
  --resume                     go on where a run of the same command was killed or interrupted; keep what is done
                               when this one is
  --quiet                      say nothing unless it fails`;

const INSPECT = `Usage: quantpress inspect [--all] [--json] FILE

Shows what is in a model file: its metadata, its tensors, and how many bytes each type takes.

  FILE    a GGUF or safetensors file, or its http(s) address; a folder, an index or a first shard for several
  --all   metadata values in full: long texts and arrays are cut by default
  --json  everything as JSON, for programs`;

const ANALYZE = `Usage: quantpress analyze [options] FILE

Tries formats on a sample of the rows of every tensor, and says what each would lose; nothing is written.

  FILE                a GGUF or safetensors file, or its http(s) address

Options:
  --formats F,F,...   the formats to try (default: all that are written)
  --imatrix FILE      importance matrix: formats use it, and errors of important columns count more
  --sample N          weights of each tensor to look at (default: 262144; slow formats take an eighth), or all
  --threads N         workers to use; 0 works without any
  --json              all figures as JSON, for programs
  --quiet             show no progress`;

const DIFF = `Usage: quantpress diff [options] A B

Compares two models, of any types: metadata, and the weights of tensors of the same name. The exit code is 0 if nothing
differs, 1 if something does, and 2 if they cannot be compared.

  A, B         GGUF or safetensors files, or http(s) addresses; errors are those of B against A

Options:
  --threads N  workers to use; 0 works without any
  --json       as JSON, for programs
  --quiet      say nothing, only give the exit code`;

const VERIFY = `Usage: quantpress verify [options] FILE

Reads a model file again: is its header sound, is every block of every tensor, and are its hashes those of a manifest?
What is wrong is said on stdout; the exit code is 0 if nothing is and 1 if something is.

  FILE             a GGUF file, or its http(s) address

Options:
  --manifest FILE  what --manifest of quantize, sha256sum or llama-gguf-hash has written (default: FILE.manifest.json,
                   if it is there)
  --write FILE     write the hashes as they are: JSON, or by the name's ending .sha256 or .hashes
  --quiet          say only what is wrong`;

/** The help of each command. */
export const HELP: Record<string, string> = {
  quantize: QUANTIZE,
  inspect: INSPECT,
  analyze: ANALYZE,
  diff: DIFF,
  verify: VERIFY,
};

/** The help of the whole program. */
export function overview(): string {
  return `Usage: quantpress COMMAND ...

  quantize IN OUT PRESET   make a smaller model file
  inspect FILE             show what is in a model file
  analyze FILE             try all formats on a sample, and say what each would lose
  diff A B                 compare two model files
  verify FILE              check a model file, and its hashes

quantpress COMMAND --help says more; quantpress --version says which this is.`;
}
