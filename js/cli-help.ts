/** What `--help` says. */

const QUANTIZE = `Usage: quantpress quantize [options] IN [OUT] PRESET [THREADS]

Makes a smaller model file: the bytes llama-quantize writes for the same model, preset and options.

  IN       a GGUF file, or its http(s) address
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
  --quiet                      say nothing unless it fails`;

const INSPECT = `Usage: quantpress inspect [--json] FILE

Shows what is in a model file: its metadata, its tensors, and how many bytes each type takes.

  FILE    a GGUF file, or its http(s) address
  --json  as JSON, for programs`;

/** The help of each command. */
export const HELP: Record<string, string> = { quantize: QUANTIZE, inspect: INSPECT };

/** The help of the whole program. */
export function overview(): string {
  return `Usage: quantpress COMMAND ...

  quantize IN OUT PRESET   make a smaller model file
  inspect FILE             show what is in a model file

quantpress COMMAND --help says more; quantpress --version says which this is.`;
}
