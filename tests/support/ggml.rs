//! ggml's own library (npm `@node-llama-cpp/linux-x64`), loaded at run time: the reference for all comparisons.
#![allow(unsafe_code)] // calls a C library; every call states why it is sound

use libloading::{Library, Symbol};
use quantpress::Codec;
use std::ffi::{c_char, c_int, c_void};
use std::path::PathBuf;

type ToFloat = unsafe extern "C" fn(*const c_void, *mut f32, i64);
type QuantizeChunk = unsafe extern "C" fn(c_int, *const f32, *mut c_void, i64, i64, i64, *const f32) -> usize;

/// `struct ggml_type_traits` of ggml 0.25.
#[repr(C)]
struct TypeTraits {
    type_name: *const c_char,
    blck_size: i64,
    blck_size_interleave: i64,
    type_size: usize,
    is_quantized: bool,
    to_float: Option<ToFloat>,
    from_float_ref: Option<unsafe extern "C" fn()>,
}

/// The reference's result for one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// Bytes that `ggml_validate_row_data` accepts.
    Bytes(Vec<u8>),
    /// Bytes that it rejects.
    Invalid,
    /// The reference aborted.
    Aborted,
}

/// The loaded library.
pub struct Ggml(Library);

impl Ggml {
    /// The path of the library: `QUANTPRESS_GGML`, or the npm development dependency.
    pub fn path() -> PathBuf {
        const PACKAGE: &str = "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so";
        std::env::var_os("QUANTPRESS_GGML")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(PACKAGE), PathBuf::from)
    }

    pub fn load() -> Result<Self, String> {
        let path = Self::path();
        // SAFETY: loading runs the library's initializers, which only set up its own tables.
        unsafe { Library::new(&path) }.map(Ggml).map_err(|error| {
            format!("the reference library is missing: {error}; run `npm ci` or set QUANTPRESS_GGML to libggml-base.so")
        })
    }

    fn symbol<T>(&self, name: &str) -> Option<Symbol<'_, T>> {
        // SAFETY: all callers use functions of the C API with their types as declared in ggml.h.
        unsafe { self.0.get(name.as_bytes()).ok() }
    }

    fn required<T>(&self, name: &str) -> Symbol<'_, T> {
        self.symbol(name).unwrap_or_else(|| panic!("the reference library has no {name}"))
    }

    fn traits(&self, codec: &Codec) -> &TypeTraits {
        let get = self.required::<unsafe extern "C" fn(c_int) -> *const TypeTraits>("ggml_get_type_traits");
        // SAFETY: the id is in the library's table, which is static.
        unsafe { &*get(codec.id as c_int) }
    }

    /// Weights and bytes per block.
    pub fn sizes(&self, codec: &Codec) -> (usize, usize) {
        let traits = self.traits(codec);
        (traits.blck_size as usize, traits.type_size)
    }

    pub fn name(&self, codec: &Codec) -> String {
        // SAFETY: the name is a static C string.
        unsafe { std::ffi::CStr::from_ptr(self.traits(codec).type_name) }.to_string_lossy().into_owned()
    }

    pub fn needs_importance(&self, codec: &Codec) -> bool {
        let requires = self.required::<unsafe extern "C" fn(c_int) -> bool>("ggml_quantize_requires_imatrix");
        // SAFETY: a pure function of the id.
        unsafe { requires(codec.id as c_int) }
    }

    /// Builds the tables that a format needs, so that child processes inherit them.
    pub fn prepare(&self, codec: &Codec) {
        let init = self.required::<unsafe extern "C" fn(c_int)>("ggml_quantize_init");
        // SAFETY: builds static tables, protected by the library's own lock.
        unsafe { init(codec.id as c_int) }
    }

    fn is_valid(&self, codec: &Codec, bytes: &[u8]) -> bool {
        let validate =
            self.required::<unsafe extern "C" fn(c_int, *const c_void, usize) -> bool>("ggml_validate_row_data");
        // SAFETY: reads `bytes.len()` bytes.
        unsafe { validate(codec.id as c_int, bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Whether `ggml_validate_row_data` accepts each chunk of `len` bytes. Runs in a child process, because the
    /// function prints.
    pub fn validate(&self, codec: &Codec, bytes: &[u8], len: usize) -> Vec<bool> {
        let mut shared = Shared::new(bytes.len() / len);
        let answers = shared.bytes();
        assert!(in_child(|| self.judge(codec, bytes, len, answers)), "ggml_validate_row_data ended its process");
        shared.bytes().iter().map(|&valid| valid == 1).collect()
    }

    fn judge(&self, codec: &Codec, bytes: &[u8], len: usize, answers: &mut [u8]) {
        for (chunk, valid) in bytes.chunks_exact(len).zip(answers) {
            *valid = u8::from(self.is_valid(codec, chunk));
        }
    }

    /// The reference's decoder of whole blocks, if the format has one.
    pub fn decoder(&self, codec: &Codec) -> Option<impl Fn(&[u8], &mut [f32])> {
        let by_name = || {
            self.symbol::<ToFloat>(&format!("dequantize_row_{}", codec.name.to_lowercase().replace("_k", "_K")))
                .map(|symbol| *symbol)
        };
        let decode = self.traits(codec).to_float.or_else(by_name)?;
        let Codec { weights, bytes, .. } = *codec;
        Some(move |blocks: &[u8], out: &mut [f32]| {
            assert_eq!(blocks.len() / bytes * weights, out.len());
            // Blocks contain 16-bit fields (Q8_K: a float).
            assert!(blocks.is_empty() || blocks.as_ptr().addr().is_multiple_of(4));
            // SAFETY: reads the blocks of `out.len()` weights and writes as many floats.
            unsafe { decode(blocks.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64) };
        })
    }

    /// Decodes whole blocks with the reference; `None` if it has no decoder for the format.
    pub fn decode(&self, codec: &Codec, bytes: &[u8]) -> Option<Vec<f32>> {
        let mut out = vec![0.0; bytes.len() / codec.bytes * codec.weights];
        self.decoder(codec)?(bytes, &mut out);
        Some(out)
    }

    /// Encodes rows in this process; only for rows on which the reference does not abort.
    pub fn encode(&self, codec: &Codec, weights: &[f32], row: usize, importance: Option<&[f32]>, out: &mut [u8]) {
        let chunk = self.required::<QuantizeChunk>("ggml_quantize_chunk");
        let rows = weights.len() / row;
        assert_eq!(out.len(), weights.len() / codec.weights * codec.bytes);
        assert!(importance.is_none_or(|importance| importance.len() == row));
        let importance = importance.map_or(std::ptr::null(), <[f32]>::as_ptr);
        // SAFETY: reads `rows * row` weights and `row` importance values, and writes `out.len()` bytes.
        unsafe {
            let (src, dst) = (weights.as_ptr(), out.as_mut_ptr().cast());
            chunk(codec.id as c_int, src, dst, 0, rows as i64, row as i64, importance);
        }
    }

    /// Encodes rows in a child process, so that an abort of the reference becomes a result.
    pub fn encode_rows(&self, codec: &Codec, weights: &[f32], row: usize, importance: Option<&[f32]>) -> Vec<Row> {
        let row_bytes = row / codec.weights * codec.bytes;
        let run = |weights: &[f32]| {
            let rows = weights.len() / row;
            let mut shared = Shared::new(rows * (row_bytes + 1));
            let (bytes, valid) = shared.bytes().split_at_mut(rows * row_bytes);
            let ended = in_child(|| {
                self.encode(codec, weights, row, importance, bytes);
                self.judge(codec, bytes, row_bytes, valid);
            });
            ended.then(|| {
                let (bytes, valid) = shared.bytes().split_at(rows * row_bytes);
                let row = |(bytes, &valid): (&[u8], &u8)| {
                    let kept = valid == 1 || codec.carries_non_finite();
                    if kept { Row::Bytes(bytes.to_vec()) } else { Row::Invalid }
                };
                bytes.chunks_exact(row_bytes).zip(valid).map(row).collect::<Vec<_>>()
            })
        };
        // If any row aborts, one child process per row finds out which.
        run(weights).unwrap_or_else(|| {
            weights.chunks_exact(row).map(|row| run(row).map_or(Row::Aborted, |rows| rows[0].clone())).collect()
        })
    }
}

/// Memory that a child process writes and its parent reads.
struct Shared(*mut c_void, usize);

impl Shared {
    fn new(len: usize) -> Self {
        // SAFETY: a fresh anonymous mapping.
        let at = unsafe {
            let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            libc::mmap(std::ptr::null_mut(), len.max(1), protection, flags, -1, 0)
        };
        assert_ne!(at, libc::MAP_FAILED);
        Shared(at, len)
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has this length, is zeroed, and lives as long as self; the child has ended when the
        // parent reads.
        unsafe { std::slice::from_raw_parts_mut(self.0.cast(), self.1) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped.
        unsafe { libc::munmap(self.0, self.1.max(1)) };
    }
}

/// Runs `work` in a forked child process; returns whether it finished.
fn in_child(work: impl FnOnce()) -> bool {
    // SAFETY: this process has one thread, so the child may do whatever the parent may; it never returns from here.
    unsafe {
        match libc::fork() {
            -1 => panic!("cannot fork: {}", std::io::Error::last_os_error()),
            0 => {
                // The reference prints before it aborts, and dumps core; neither is useful.
                libc::close(1);
                libc::close(2);
                let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                libc::setrlimit(libc::RLIMIT_CORE, &none);
                libc::setenv(c"GGML_NO_BACKTRACE".as_ptr(), c"1".as_ptr(), 1);
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
                libc::_exit(i32::from(!ended))
            }
            child => {
                let mut status = 0;
                while libc::waitpid(child, &mut status, 0) == -1 {}
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
            }
        }
    }
}
