/** What `--help` says. */

const QUANTIZE = `Usage: quantpress quantize [options] IN [OUT] PRESET [THREADS]

Makes a smaller model file: the bytes llama-quantize writes for the same model, preset and options.

  IN       a GGUF or safetensors file, or its http(s) address. Of safetensors, diffusion models become the GGUF that
           ComfyUI-GGUF loads; language models have to be made GGUF first; anything else becomes a plain container
  OUT      the file to write; beside IN as ggml-model-PRESET.gguf if it is left out
  PRESET   Q4_K_M is a good first choice; Q8_0 and Q6_K lose less, smaller ones more
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
  --override-kv KEY=TYPE:VALUE set metadata; TYPE is int, float, bool or str (repeatable)
  --prune-layers L,L,...       leave layers out
  --dry-run                    say what would be done, and the size; write nothing
  --threads N                  workers to use; 0 works without any (default: one for each core, up to 8)
  --report FILE                write what was done to each tensor as JSON
  --manifest FILE              write hashes of the file and of each tensor: as JSON for quantpress verify (OUT.manifest.json
                               is where it looks), FILE.sha256 for sha256sum -c, FILE.hashes for llama-gguf-hash -c
  --resume                     go on where a run of the same command was killed or interrupted; keep what is done
                               when this one is
  --quiet                      say nothing unless it fails`;

const INSPECT = `Usage: quantpress inspect [--json] FILE

Shows what is in a model file: its metadata, its tensors, and how many bytes each type takes.

  FILE    a GGUF or safetensors file, or its http(s) address
  --json  as JSON, for programs`;

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
export const HELP: Record<string, string> = { quantize: QUANTIZE, inspect: INSPECT, verify: VERIFY };

/** The help of the whole program. */
export function overview(): string {
  return `Usage: quantpress COMMAND ...

  quantize IN OUT PRESET   make a smaller model file
  inspect FILE             show what is in a model file
  verify FILE              check a model file, and its hashes

quantpress COMMAND --help says more; quantpress --version says which this is.`;
}
