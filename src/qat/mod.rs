//! Fake quantization for quantization-aware training, and its gradients.
