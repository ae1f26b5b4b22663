//! Integer quantization: parameters, granularity, packed codes.
