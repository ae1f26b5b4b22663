/** Tiny Whale, and the hashes of its files by llama.cpp's own llama_model_quantize. */

// Without `node:url`, because pages read it too.
const fixture = (name: string) =>
  decodeURIComponent(new URL(`../../fixtures/tiny-whale/${name}`, import.meta.url).pathname);

/** The model, in F16. */
export const WHALE = fixture('tiny-whale-f16.gguf');

/** Its importance matrix. */
export const WHALE_IMATRIX = fixture('tiny-whale.imatrix.gguf');

/** The text of its importance matrix. */
export const WHALE_CALIBRATION = fixture('calib.txt');

/** Held-out text. */
export const WHALE_TEXT = fixture('eval.txt');

/**
 * The SHA-256 of the files that `llama_model_quantize` writes: npm @node-llama-cpp/linux-x64 3.22.1 (llama.cpp v0.5.0),
 * called with default options. tests/oracle compares with the live library.
 */
export const WHALE_SHA256 = {
  Q4_0: 'a58fd7cbc20905d3d699365c2bc0d1b8151085c2f6e43ff3134c3a71c28ce13e',
  Q8_0: 'a94007d613d578b9338b82268446d01855bb952a037b0680f15a6cac60e54463',
  Q6_K: '0921afa99b82802607110b47875a6e5e227ded193d3b51703de94e3c7566bec2',
  Q4_K_M: '8c2e1dc293339415aa8307262d5875cedc138ef5ecd80846c5bd5edfc8d9e1db',
  F16: '5517576ebac51954945b6b4a46416bac094098368eaa16bf3cedafe4af417b28',
} as const;

/**
 * The same for `llama-quantize --imatrix tiny-whale.imatrix.gguf tiny-whale-f16.gguf OUT Q4_K_M`, run in the fixture's folder
 * (the tool stores the matrix's name as given). Generated with the real tool when the model was made.
 */
export const WHALE_IMATRIX_SHA256 = '1e0fd3ac6d2cdbd38aaffcd23fa7f6fd772d1e7910b0f065ae7de8a3e92bb3b0';

/** The Hugging Face folder it was trained in, without its weights. */
export const WHALE_FOLDER = fixture('tiny-whale-hf');

/**
 * The SHA-256 of the file that convert_hf_to_gguf.py writes from that folder with `--outtype f16`, with gpt-2 as its
 * pre-tokenizer: see tests/golden/language/README.md.
 */
export const WHALE_FOLDER_SHA256 = '4f8e7345773df2e9686c45a6632c3d8f7bd5bdbea58e97f69a856e39af0636f5';
