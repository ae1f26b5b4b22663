//! Quantizes a weight to 4 bits as in QLoRA, and exchanges it with bitsandbytes.
//!
//! `cargo run --example qlora`

use quantpress::affine::quantization_mse;
use quantpress::bench::generate_gaussian_weights;
use quantpress::nf4::{
    DataType4Bit, Quantize4BitOptions, Tensor4Bit, dequantize_4bit, dequantize_4bit_double, from_state_dict,
    quantize_4bit, quantize_4bit_double,
};

/// Runs the example; public so that a test can call it.
pub fn main() -> quantpress::Result<()> {
    run().map(|_| ())
}

/// Prints the table and returns the mean squared errors in the order of [`DataType4Bit::ALL`].
pub fn run() -> quantpress::Result<[f64; 3]> {
    let shape = [512, 512];
    let weights = generate_gaussian_weights(shape[0] * shape[1], 0.0, 0.02, Some(1))?;
    let mut errors = [0.0; 3];
    println!("{:6} {:>12} {:>12}", "type", "bytes", "mse");
    for (data_type, error) in DataType4Bit::ALL.into_iter().zip(&mut errors) {
        let tensor = quantize_4bit(&weights, &Quantize4BitOptions::default().with_data_type(data_type))?;
        *error = quantization_mse(&weights, &dequantize_4bit(&tensor)?)?;
        println!("{:6} {:12} {:12.3e}", data_type.name(), tensor.memory_bytes(), error);
    }

    // Double quantization: the scales are quantized to 8 bits.
    let double = quantize_4bit_double(&weights, &Quantize4BitOptions::default())?;
    let error = quantization_mse(&weights, &dequantize_4bit_double(&double)?)?;
    println!("{:6} {:12} {error:12.3e}", "double", double.memory_bytes());
    println!("double quantization saves {} bytes", double.double_quant_savings());

    // The tensors that bitsandbytes stores in a safetensors file for this weight.
    let tensors = double.to_state_dict("layer.weight", &shape, "bfloat16")?;
    for tensor in &tensors {
        println!("{:50} {:4} {:?}", tensor.name, tensor.dtype.name(), tensor.shape);
    }
    let loaded = from_state_dict(&tensors, "layer.weight")?;
    assert_eq!(loaded.tensor, Tensor4Bit::Double(double));
    Ok(errors)
}
