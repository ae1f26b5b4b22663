//! QLoRA's 4-bit formats: codebooks, block-wise absmax, double quantization.
