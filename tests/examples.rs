//! Runs every cargo example to the end.

macro_rules! examples {
    ($($name:ident: $file:literal,)+) => {
        $(
            #[path = $file]
            mod $name;

            #[test]
            fn $name() {
                $name::main().unwrap();
            }
        )+

        #[test]
        fn all_examples_are_tested() {
            let mut listed = [$(stringify!($name)),+].map(|name| format!("{name}.rs"));
            listed.sort();
            let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
            let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut found: Vec<String> = names.filter(|name| name.ends_with(".rs")).collect();
            found.sort();
            assert_eq!(found, listed);
        }
    };
}

examples! {
    benchmark: "../examples/benchmark.rs",
    calibration: "../examples/calibration.rs",
    error_analysis: "../examples/error_analysis.rs",
    granularity: "../examples/granularity.rs",
    qat: "../examples/qat.rs",
    qlora: "../examples/qlora.rs",
    quantize_file: "../examples/quantize_file.rs",
}

/// The results that the examples demonstrate.
#[test]
fn nf4_has_the_lowest_error_on_gaussian_weights() {
    let [nf4, fp4, int4] = qlora::run().unwrap();
    assert!(nf4 < int4 && nf4 < fp4, "{nf4} {fp4} {int4}");
}

#[test]
fn finer_granularity_takes_more_bytes() {
    let rows = granularity::run().unwrap();
    assert_eq!(rows.len(), 15);
    for width in rows.chunks(3) {
        assert!(width[0].mse > width[1].mse && width[1].mse >= width[2].mse, "{width:?}");
        assert!(width[0].memory_bytes < width[1].memory_bytes && width[1].memory_bytes < width[2].memory_bytes);
    }
}

#[test]
fn training_with_quantization_beats_rounding_afterwards() {
    let [floats, ptq, qat] = qat::run().unwrap();
    assert!(qat > ptq && floats > 0.85, "floats {floats}, PTQ {ptq}, QAT {qat}");
}
