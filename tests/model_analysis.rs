//! The analysis of a model as a state machine: the same figures in any order of completion, and of long rows in pieces.

use crate::support::weights::Rng;
use quantpress::Code;
use quantpress::analysis::{Histogram, WeightError, error_histogram};
use quantpress::container::gguf::TensorType;
use quantpress::job::{
    Analysis, AnalysisOptions, AnalyzedTensor, Histograms, Measure, Measured, NextStep, TensorHistograms,
};
use quantpress::recipe::{Sampled, Stratum, analyze_rows};
use quantpress::{dequantize, quantize};

fn little_endian(weights: &[f32]) -> Vec<u8> {
    weights.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn tensor(name: &str, shape: &[u64], offset: u64) -> AnalyzedTensor {
    let bytes = 4 * shape.iter().product::<u64>();
    AnalyzedTensor {
        name: name.into(),
        from: TensorType::F32,
        shape: shape.to_vec(),
        offset,
        bytes,
        permuted_head_rows: 0,
    }
}

/// A source with a matrix, a vector and a stack of matrices.
fn source() -> (Vec<u8>, Vec<AnalyzedTensor>) {
    let mut rng = Rng::new(3);
    let weights: Vec<f32> = (0..512 * 40 + 512 + 256 * 6 * 3).map(|_| rng.gauss() as f32).collect();
    let places = [("matrix", &[512, 40][..], 0), ("vector", &[512], 512 * 160), ("stack", &[256, 6, 3], 512 * 164)];
    (little_endian(&weights), places.map(|(name, shape, offset)| tensor(name, shape, offset)).to_vec())
}

fn read(source: &[u8], ranges: &[(u64, u64)]) -> Vec<u8> {
    ranges.iter().flat_map(|(offset, length)| &source[*offset as usize..(offset + length) as usize]).copied().collect()
}

/// Serialized and read again, as between a page and its workers.
fn measure(measure: &Measure, bytes: &[u8]) -> Measured {
    let found = Measure::from_bytes(&measure.to_bytes()).unwrap().run(bytes).unwrap();
    assert_eq!(Measured::from_bytes(&found.to_bytes()).unwrap(), found);
    found
}

/// Runs an analysis with `width` steps in flight, completing the latest one first.
fn run(analysis: &mut Analysis, source: &[u8], width: usize) -> usize {
    let (mut flying, mut strata) = (Vec::new(), 0);
    loop {
        let next = analysis.next().unwrap();
        let ended = matches!(next, NextStep::Finished);
        if let NextStep::Step(step) = next {
            flying.push((step.id, measure(&step.measure, &read(source, &step.ranges))));
            if flying.len() < width {
                continue;
            }
        }
        let Some((id, found)) = flying.pop() else {
            assert!(ended, "waits for nothing");
            return strata;
        };
        strata += usize::from(analysis.complete(id, found).unwrap().is_some());
    }
}

fn analysis(tensors: Vec<AnalyzedTensor>, options: AnalysisOptions) -> quantpress::Result<Analysis> {
    let mut analysis = Analysis::new(options)?;
    tensors.into_iter().for_each(|tensor| analysis.add(vec![tensor]));
    analysis.check_names().map(|()| analysis)
}

fn figures(sample: Option<u64>, width: usize) -> String {
    let (source, tensors) = source();
    let formats = ["Q4_K", "Q8_0", "IQ4_XS", "IQ2_XS"].map(str::to_owned);
    let mut options = AnalysisOptions::default().with_formats(formats);
    options.sample = sample;
    let mut analysis = analysis(tensors, options).unwrap();
    assert_eq!(run(&mut analysis, &source, width), analysis.total());
    format!("{:?}", (0..analysis.tensor_count()).map(|index| analysis.tensor(index)).collect::<Vec<_>>())
}

#[test]
fn figures_do_not_depend_on_the_order_of_completion() {
    for sample in [None, Some(4096)] {
        let expected = figures(sample, 1);
        for width in [2, 5, 100] {
            assert_eq!(figures(sample, width), expected, "{sample:?} {width}");
        }
    }
}

#[test]
fn every_format_has_its_figures_or_the_reason_why_not() {
    let (source, tensors) = source();
    let formats = ["Q8_0", "IQ2_XS"].map(str::to_owned);
    let mut analysis = analysis(tensors, AnalysisOptions::default().with_formats(formats)).unwrap();
    run(&mut analysis, &source, 3);
    let matrix = analysis.tensor(0).unwrap();
    assert_eq!((matrix.sampled, matrix.formats.len()), (512 * 40, 2));
    let errors = matrix.formats[0].result.unwrap();
    assert_eq!((errors.bytes, errors.sampled), ((512 * 40 / 32 * 34) as f64, (512 * 40) as f64));
    let whole = analyze_rows(&source[..512 * 160], "F32", 512, &["Q8_0".to_owned()], None, None).unwrap();
    let relative = whole[0].as_ref().map(|sums| (sums.error / sums.original).sqrt()).unwrap();
    assert!((errors.figures.relative_rmse / relative - 1.0).abs() < 1e-12);
    assert_eq!(matrix.formats[1].result.unwrap_err().code, "NEEDS_IMPORTANCE");
    let vector = analysis.tensor(1).unwrap();
    assert_eq!((vector.sampled, vector.formats.len()), (0, 0), "vectors are not quantized");
}

#[test]
fn unknown_names_and_results_of_other_steps_are_refused() {
    let code = |options| analysis(source().1, options).err().unwrap().code();
    let names = |name: &str| [name.to_owned()];
    assert_eq!(code(AnalysisOptions::default().with_formats(names("Q9_K"))), Code::UNKNOWN_NAME);
    assert_eq!(code(AnalysisOptions::default().with_tensors(names("other"))), Code::UNKNOWN_NAME);
    let chosen = AnalysisOptions::default().with_tensors(names("stack"));
    let mut analysis = analysis(source().1, chosen).unwrap();
    assert_eq!((analysis.tensor_count(), analysis.name(0)), (1, Some("stack")));
    assert_eq!(analysis.complete(7, Measured::Squares(None)).unwrap_err().code(), Code::ARGUMENT);
}

/// The histograms of a tensor, with `width` steps in flight.
fn histograms(source: &[u8], tensor: &AnalyzedTensor, format: Option<&str>, width: usize) -> TensorHistograms {
    let mut job = Histograms::new(tensor.clone(), format.map(str::to_owned), 20, None, None).unwrap();
    let mut flying = Vec::new();
    loop {
        let next = job.next().unwrap();
        let ended = matches!(next, NextStep::Finished);
        if let NextStep::Step(step) = next {
            flying.push(measure(&step.measure, &read(source, &step.ranges)));
            if flying.len() < width {
                continue;
            }
        }
        match flying.pop() {
            Some(found) => job.complete(found).unwrap(),
            None if ended => return job.finish().unwrap(),
            None => panic!("waits for nothing"),
        }
    }
}

#[test]
fn histograms_in_two_passes_equal_those_of_the_whole_tensor() {
    let (source, tensors) = source();
    let weights: Vec<f32> = source[..512 * 160].as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let decoded = dequantize(&quantize(&weights, "Q4_K", 512, None).unwrap(), "Q4_K").unwrap();
    for width in [1, 7] {
        let found = histograms(&source, &tensors[0], Some("Q4_K"), width);
        assert_eq!(found.sampled, 512 * 40);
        assert_eq!(found.weights, Histogram::of(&weights, 20).unwrap());
        assert_eq!(found.errors, Some(error_histogram(&weights, &decoded, 20).unwrap()));
        assert_eq!(histograms(&source, &tensors[0], None, width).errors, None);
    }
    let code =
        |shape: &[u64], bins| Histograms::new(tensor("a", shape, 0), None, bins, None, None).err().unwrap().code();
    assert_eq!((code(&[32, 2], 0), code(&[32, 0], 4)), (Code::RANGE, Code::NO_DATA));
}

#[test]
fn the_weight_error_of_a_file_counts_unknown_tensors_as_the_others() {
    let of = |tensors: &[(f64, Option<f64>)]| {
        let mut error = WeightError::default();
        tensors.iter().for_each(|(weights, relative)| error.add(*weights, *relative));
        error.value()
    };
    let (changed, copied, unknown) = ((300.0, Some(0.1)), (100.0, Some(0.0)), (600.0, None));
    assert_eq!(of(&[changed, copied]), Some((300.0 * (0.1 * 0.1) / 400.0f64).sqrt()));
    assert_eq!(of(&[changed, copied, unknown]), Some((300.0 * (0.1 * 0.1) * 3.0 / 1000.0f64).sqrt()));
    assert_eq!((of(&[]), of(&[copied]), of(&[copied, unknown])), (Some(0.0), Some(0.0), None));
}

#[test]
fn strata_are_spread_over_the_tensor_inside_one_matrix_each_and_bounded() {
    let tensor = |shape: &'static [u64], bytes| Sampled { shape, offset: 7, bytes, permuted_head_rows: 0 };
    let stack = tensor(&[512, 4096, 8], 2 * 512 * 4096 * 8);
    let strata = stack.strata(Some(1 << 18));
    assert_eq!(strata.len(), 16);
    let mut places = std::collections::BTreeSet::new();
    for (index, Stratum { ranges, columns, rows, matrix, .. }) in (0..).zip(&strata) {
        let [(offset, length)] = ranges[..] else { panic!("{ranges:?}") };
        let start = (offset - 7) / 1024;
        assert_eq!(((offset - 7) % 1024, *columns, length), (0, 512, rows * 1024));
        assert_eq!((start / 4096, (start + rows - 1) / 4096, start / 2048), (*matrix, *matrix, index));
        places.insert(start % 128);
    }
    assert!(places.len() > 8, "{places:?}");
    let all = stack.strata(None);
    assert_eq!(all.iter().map(|stratum| stratum.rows).sum::<u64>(), 4096 * 8);
    assert!(all.iter().all(|stratum| stratum.rows * stratum.columns <= 1 << 20));
    // Endless rows: pieces of them, in whole blocks.
    let endless = tensor(&[1 << 32, 2], 1 << 34);
    let pieces = endless.strata(Some(1 << 18));
    assert_eq!(pieces.iter().map(|piece| piece.columns * piece.rows).collect::<Vec<_>>(), [1 << 14; 16]);
    let row = |piece: &Stratum| (piece.ranges[0].0 - 7) / 2 - piece.column;
    assert_eq!(pieces.iter().map(row).collect::<Vec<_>>(), [[0; 8], [1 << 32; 8]].concat());
    assert!(pieces.iter().all(|piece| piece.column % 256 == 0 && piece.column + (1 << 14) <= 1 << 32));
    let every = endless.strata(None);
    assert_eq!(every.iter().map(|piece| piece.columns * piece.rows).sum::<u64>(), 1 << 33);
    assert_eq!(every.iter().map(|piece| piece.columns * piece.rows).max(), Some(1 << 20));
    assert_eq!(tensor(&[512, 0], 0).strata(Some(100)), []);
}
