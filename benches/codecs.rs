//! Speed of every encoder and decoder compared with native ggml on one thread in the same run: the ratio matters, not
//! the machine.
//!
//! `cargo bench --bench codecs [-- Q4_K ...]` compares this crate as native code. Built for wasm32 it is the module
//! that `node benches/codecs.js` loads in Node and in Chromium, to compare the same code in WebAssembly.
#![allow(clippy::unwrap_used, clippy::panic)] // no library code

#[path = "../tests/support/mod.rs"]
mod support;

use quantpress::Codec;
use support::weights::{DISTRIBUTIONS, IMPORTANCE, Rng};

/// A row length typical of models.
const ROW: usize = 4096;

/// The data on which one format is measured.
struct Subject {
    codec: &'static Codec,
    weights: Vec<f32>,
    importance: Vec<f32>,
    bytes: Vec<u8>,
    decoded: Vec<f32>,
}

impl Subject {
    fn new(codec: &'static Codec, rows: usize) -> Self {
        let mut rng = Rng::new(1);
        let weights = DISTRIBUTIONS[0].1(&mut rng, rows * ROW);
        let importance = IMPORTANCE[1].1.unwrap()(&mut rng, ROW);
        let bytes = vec![0; rows * ROW / codec.weights * codec.bytes];
        Subject { codec, weights, importance, bytes, decoded: vec![0.0; rows * ROW] }
    }

    fn encode(&mut self) {
        self.codec.encode_rows(&self.weights, ROW, None, &mut self.bytes).unwrap();
    }

    fn encode_weighted(&mut self) {
        self.codec.encode_rows(&self.weights, ROW, Some(&self.importance), &mut self.bytes).unwrap();
    }

    fn decode(&mut self) {
        self.codec.decode(&self.bytes, &mut self.decoded).unwrap();
    }

    /// An upper bound for decoders: copies as many floats unchanged.
    fn copy(&mut self) {
        self.decoded.copy_from_slice(std::hint::black_box(&self.weights));
    }
}

#[cfg(target_arch = "wasm32")]
mod exports {
    #![allow(unsafe_code)] // exported names are unsafe attributes

    use super::*;
    use std::cell::RefCell;

    thread_local!(static SUBJECT: RefCell<Option<Subject>> = const { RefCell::new(None) });

    fn with(run: impl FnOnce(&mut Subject)) {
        SUBJECT.with_borrow_mut(|subject| run(subject.as_mut().unwrap()));
    }

    #[unsafe(no_mangle)]
    extern "C" fn set_up(id: u32, rows: usize) {
        SUBJECT.set(Some(Subject::new(Codec::by_id(id).unwrap(), rows)));
    }
    #[unsafe(no_mangle)]
    extern "C" fn encode() {
        with(Subject::encode);
    }
    #[unsafe(no_mangle)]
    extern "C" fn weighted() {
        with(Subject::encode_weighted);
    }
    #[unsafe(no_mangle)]
    extern "C" fn decode() {
        with(Subject::decode);
    }
    #[unsafe(no_mangle)]
    extern "C" fn copy() {
        with(Subject::copy);
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod native {
    use super::*;
    use quantpress::formats;
    use std::time::{Duration, Instant};
    use support::ggml::Ggml;

    /// The shortest of many runs, alternating between ours and theirs so that a busy machine affects both.
    pub fn race(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64) {
        let mut best = [f64::INFINITY; 2];
        let start = Instant::now();
        let mut rounds = 0;
        while rounds < 3 || start.elapsed() < Duration::from_millis(400) {
            for (best, run) in best.iter_mut().zip([&mut ours as &mut dyn FnMut(), &mut theirs]) {
                let start = Instant::now();
                run();
                *best = best.min(start.elapsed().as_secs_f64());
            }
            rounds += 1;
        }
        (best[0], best[1])
    }

    /// Million weights per second, ours and theirs.
    type Speeds = Option<[f64; 2]>;

    /// The results for one format, and the time ggml takes to build its tables, in milliseconds.
    struct Measured {
        encode: Speeds,
        weighted: Speeds,
        decode: Speeds,
        /// Floats that are only copied.
        copy: f64,
        tables: f64,
    }

    fn measure(ggml: &Ggml, codec: &'static Codec, rows: usize) -> Measured {
        let mut subject = Subject::new(codec, rows);
        let millions = subject.weights.len() as f64 / 1e6;
        let (weights, importance) = (subject.weights.clone(), subject.importance.clone());
        let mut theirs = vec![0; subject.bytes.len()];
        let mut encoding = |importance: Option<&[f32]>| {
            let ours = || match importance {
                None => subject.encode(),
                Some(_) => subject.encode_weighted(),
            };
            race(ours, || ggml.encode(codec, &weights, ROW, importance, &mut theirs))
        };
        let mut speeds = [None; 3];
        let start = Instant::now();
        ggml.prepare(codec);
        let tables = start.elapsed().as_secs_f64() * 1e3;
        if codec.can_encode() {
            speeds[0] = (!codec.needs_importance).then(|| encoding(None));
            speeds[1] = Some(encoding(Some(&importance)));
        }
        if let Some(decode) = ggml.decoder(codec) {
            let (bytes, mut out) = (subject.bytes.clone(), vec![0.0; weights.len()]);
            speeds[2] = Some(race(|| subject.decode(), || decode(&bytes, &mut out)));
        }
        let [encode, weighted, decode] =
            speeds.map(|speeds| speeds.map(|(ours, theirs)| [millions / ours, millions / theirs]));
        let mut source = Subject::new(codec, rows);
        let (copy, _) = race(|| source.copy(), || {});
        Measured { encode, weighted, decode, copy: millions / copy, tables }
    }

    fn json(speeds: Speeds) -> String {
        speeds.map_or("null".into(), |[ours, theirs]| format!("[{ours:.2},{theirs:.2}]"))
    }

    fn cell(speeds: Speeds) -> String {
        speeds.map_or("-".into(), |[ours, theirs]| format!("{ours:8.1} / {theirs:8.1} = {:4.2}", ours / theirs))
    }

    pub fn main() {
        let encoders = || formats().iter().filter(|codec| codec.can_encode());
        if std::env::args().any(|arg| arg == "--names") {
            let names: Vec<_> = encoders().map(|codec| format!("{:?}", codec.name)).collect();
            return println!("[{}]", names.join(","));
        }
        let ggml = Ggml::load().unwrap();
        let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
        let as_json = std::env::args().any(|arg| arg == "--json");
        if !as_json {
            println!("million weights per second, ours / native ggml = ratio; one thread");
            println!("{:8} {:>26} {:>26} {:>26}", "", "encode", "with importance", "decode");
        }
        let named =
            |codec: &&Codec| wanted.is_empty() || wanted.iter().any(|name| name.eq_ignore_ascii_case(codec.name));
        for codec in encoders().filter(named) {
            let rows = if codec.bits_per_weight() < 5.0 { 8 } else { 32 };
            let Measured { encode, weighted, decode, copy, tables } = measure(&ggml, codec, rows);
            if as_json {
                let [encode, weighted, decode] = [encode, weighted, decode].map(json);
                let Codec { name, id, .. } = codec;
                println!(
                    r#"{{"name":"{name}","id":{id},"rows":{rows},"encode":{encode},"weighted":{weighted},"decode":{decode},"copy":{copy:.2},"tables":{tables:.2}}}"#
                );
            } else {
                let [encode, weighted, decode] = [encode, weighted, decode].map(cell);
                println!("{:8} {encode:>26} {weighted:>26} {decode:>26}", codec.name);
            }
        }
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
fn main() {
    native::main();
}

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(any(target_arch = "wasm32", all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))))]
fn main() {
    println!("nothing to compare with: the prebuilt reference library exists for linux-x64 only");
}
