//! `quantize_file`: whole files by path, with threads, interrupted runs and aliased paths.

#![cfg(feature = "fs")]

use crate::support::convert::{convert, sha256};
use crate::support::folders;
use quantpress::Code;
use quantpress::fs::{ABORTED, QuantizeOptions, SAME_FILE, quantize_file};
use quantpress::job::Report;
use quantpress::recipe::Recipe;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn whale() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-whale")
}

fn recipe(preset: &str) -> Recipe {
    Recipe::new(preset)
}

/// A temporary folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("quantpress-files-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A copy of Tiny Whale.
    fn model(&self) -> PathBuf {
        let path = self.at("whale.gguf");
        fs::copy(whale().join("tiny-whale-f16.gguf"), &path).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn options<'a>(change: impl FnOnce(&mut QuantizeOptions<'a>)) -> QuantizeOptions<'a> {
    let mut options = QuantizeOptions::default();
    change(&mut options);
    options
}

/// The presets without a search; `QUANTPRESS_ALL=1` runs all. tests/whale.rs covers all presets with the same state
/// machine.
const FAST: &[&str] =
    &["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16", "BF16", "F32", "Q1_0", "Q2_0", "TQ2_0", "Q4_K_M"];

#[test]
fn a_preset_writes_the_recorded_reference_file_with_any_number_of_threads() {
    let folder = Folder::new();
    let record = fs::read_to_string(whale().join("quantized.txt")).unwrap();
    let all = std::env::var_os("QUANTPRESS_ALL").is_some();
    let mut seen = 0;
    for line in record.lines() {
        let [hash, with, size, preset] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        // The record with an importance matrix does not name its file, as `quantize_file` does.
        if with == "imatrix" || !(all || FAST.contains(&preset)) {
            continue;
        }
        seen += 1;
        let options = options(|options| {
            options.threads = NonZero::new([1, 2, 5][seen % 3]);
            options.hashes = seen % 2 == 0;
        });
        let out = folder.at("out.gguf");
        let report = quantize_file(whale().join("tiny-whale-f16.gguf"), &out, &recipe(preset), &options).unwrap();
        let bytes = fs::read(&out).unwrap();
        assert_eq!((bytes.len().to_string().as_str(), sha256(&bytes).as_str()), (size, hash), "{preset}");
        assert_eq!((report.size, report.sha256.as_deref().unwrap_or(hash)), (bytes.len() as u64, hash), "{preset}");
    }
    assert!(seen > 8 && folder.names() == ["out.gguf"], "{seen} {:?}", folder.names());
}

#[test]
fn writes_the_file_of_llama_quantize() {
    // Output of `llama-quantize --imatrix tiny-whale.imatrix.gguf tiny-whale-f16.gguf OUT Q4_K_M`, as run by Tiny
    // Whale's authors.
    const HASH: &str = "1e0fd3ac6d2cdbd38aaffcd23fa7f6fd772d1e7910b0f065ae7de8a3e92bb3b0";
    let (folder, model) = (Folder::new(), whale().join("tiny-whale-f16.gguf"));
    let options = options(|options| options.imatrix = Some(whale().join("tiny-whale.imatrix.gguf")));
    let recipe = recipe("Q4_K_M").with_imatrix_file("tiny-whale.imatrix.gguf");
    quantize_file(model, folder.at("out.gguf"), &recipe, &options).unwrap();
    assert_eq!(sha256(&fs::read(folder.at("out.gguf")).unwrap()), HASH);
}

#[test]
fn shards_are_written_read_and_preserved() {
    let folder = Folder::new();
    let split = recipe("F16").with_split_max_size(2_000_000);
    let report =
        quantize_file(whale().join("tiny-whale-f16.gguf"), folder.at("split.gguf"), &split, &options(|_| {})).unwrap();
    let names: Vec<String> = (1..=4).map(|n| format!("split-{n:05}-of-00004.gguf")).collect();
    assert_eq!((folder.names(), report.shards.len()), (names.clone(), 4));
    let first = folder.at(&names[0]);
    // The joined shards give the same file as the whole model.
    quantize_file(&first, folder.at("whole.gguf"), &recipe("Q4_0"), &options(|_| {})).unwrap();
    let model = fs::read(whale().join("tiny-whale-f16.gguf")).unwrap();
    let joined = fs::read(folder.at("whole.gguf")).unwrap();
    assert_eq!(joined.len(), convert(&model, &recipe("Q4_0"), None).unwrap().len());
    let kept = recipe("Q4_0").with_keep_split(true);
    let report = quantize_file(&first, folder.at("kept.gguf"), &kept, &options(|_| {})).unwrap();
    assert_eq!(report.shards.len(), 4);
    for (n, shard) in (1..=4).zip(&report.shards) {
        let path = folder.at(&format!("kept-{n:05}-of-00004.gguf"));
        assert_eq!(fs::metadata(path).unwrap().len(), shard.size);
    }
}

#[test]
fn a_hugging_face_folder_becomes_the_file_of_llama_cpps_script() {
    let folder = Folder::new();
    let sums = fs::read_to_string(folders::golden().join("sha256.txt")).unwrap();
    assert!(sums.lines().count() > 10);
    for line in sums.lines() {
        let [name, outtype, sum, size] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let model = folders::write_folder(name, &folder.0);
        quantize_file(&model, folder.at("out.gguf"), &recipe(outtype), &options(|_| {})).unwrap();
        let made = fs::read(folder.at("out.gguf")).unwrap();
        assert_eq!((sha256(&made).as_str(), made.len().to_string().as_str()), (sum, size), "{name} {outtype}");
    }
}

/// Runs until `tiles` tiles have been written, then aborts.
fn aborted(model: &Path, out: &Path, recipe: &Recipe, tiles: usize, resume: bool) -> quantpress::Result<Report> {
    let (abort, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    let progress = |_: &quantpress::job::Progress| {
        if seen.fetch_add(1, Ordering::Relaxed) + 1 >= tiles {
            abort.store(true, Ordering::Relaxed);
        }
    };
    let options = options(|options| {
        options.threads = NonZero::new(2);
        (options.abort, options.resume) = (Some(&abort), resume);
        options.progress = Some(&progress);
        (options.hashes, options.errors) = (true, true);
    });
    quantize_file(model, out, recipe, &options)
}

#[test]
fn an_aborted_conversion_leaves_nothing_or_a_resumable_file() {
    let folder = Folder::new();
    let (model, out) = (folder.model(), folder.at("out.gguf"));
    let recipe = recipe("Q6_K").with_split_max_size(1_000_000);
    let want = aborted(&model, &folder.at("want.gguf"), &recipe, usize::MAX, false).unwrap();
    let before = folder.names();
    for tiles in [1, 10, 30] {
        assert_eq!(aborted(&model, &out, &recipe, tiles, false).unwrap_err().code(), ABORTED);
        assert_eq!(folder.names(), before, "no leftover files without resume");
    }
    for tiles in [1, 10, 20] {
        assert_eq!(aborted(&model, &out, &recipe, tiles, true).unwrap_err().code(), ABORTED);
        assert!(folder.names().iter().any(|name| name.ends_with(".interrupted.part")), "{:?}", folder.names());
    }
    let other = recipe.clone().with_pure(true);
    let refused = aborted(&model, &out, &other, 1, true).unwrap_err();
    assert_eq!(refused.code(), Code::CHANGED, "{refused}");
    // The npm package leaves an empty journal next to every further shard.
    let second = format!(".out-00002-of-{:05}.gguf", want.shards.len());
    assert!(folder.at(&format!("{second}.interrupted.part")).is_file());
    fs::write(folder.at(&format!("{second}.interrupted.journal")), "").unwrap();
    let report = aborted(&model, &out, &recipe, usize::MAX, true).unwrap();
    assert!(report.bytes_resumed > 0, "a rejected resume keeps the partial file");
    assert!(report.tensors == want.tensors && report.shards == want.shards && report.sha256 == want.sha256);
    for n in 1..=want.shards.len() {
        let name = |stem: &str| folder.at(&format!("{stem}-{n:05}-of-{:05}.gguf", want.shards.len()));
        assert!(fs::read(name("out")).unwrap() == fs::read(name("want")).unwrap());
    }
    assert!(folder.names().iter().all(|name| !name.starts_with('.')), "{:?}", folder.names());
}

#[test]
fn progress_rises_to_the_end() {
    let folder = Folder::new();
    let seen = Mutex::new(Vec::new());
    let progress = |progress: &quantpress::job::Progress| seen.lock().unwrap().push(progress.clone());
    let options = options(|options| {
        options.threads = NonZero::new(3);
        options.progress = Some(&progress);
    });
    quantize_file(whale().join("tiny-whale-f16.gguf"), folder.at("out.gguf"), &recipe("Q8_0"), &options).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted_by_key(|progress| progress.bytes_done));
    let last = seen.last().unwrap();
    assert_eq!((last.bytes_done, last.tensors_done), (last.bytes_total, last.tensors_total));
}

#[cfg(unix)]
#[test]
fn rejects_an_output_that_is_an_input_under_any_name() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let model = folder.model();
    let before = fs::read(&model).unwrap();
    fs::create_dir(folder.at("deep")).unwrap();
    symlink(&model, folder.at("soft.gguf")).unwrap();
    fs::hard_link(&model, folder.at("hard.gguf")).unwrap();
    fs::hard_link(&model, folder.at("set-00001-of-00001.gguf")).unwrap();
    let matrix = folder.at("matrix.gguf");
    fs::copy(whale().join("tiny-whale.imatrix.gguf"), &matrix).unwrap();
    let names = folder.names();
    let with_matrix = options(|options| options.imatrix = Some(matrix.clone()));
    for out in ["whale.gguf", "soft.gguf", "hard.gguf", "deep/../whale.gguf", "matrix.gguf"] {
        let refused = quantize_file(&model, folder.at(out), &recipe("Q4_0"), &with_matrix).unwrap_err();
        assert_eq!(refused.code(), SAME_FILE, "{out}: {refused}");
    }
    let split = recipe("Q4_0").with_split_max_size(1 << 40);
    assert_eq!(quantize_file(&model, folder.at("set.gguf"), &split, &with_matrix).unwrap_err().code(), SAME_FILE);
    let hf = folders::write_folder("qwen3", &folder.0);
    for out in ["config.json", "model.safetensors", "tokenizer.json"] {
        let refused = quantize_file(&hf, hf.join(out), &recipe("F16"), &options(|_| {}));
        assert_eq!(refused.unwrap_err().code(), SAME_FILE, "{out}");
    }
    assert!(fs::read(&model).unwrap() == before);
    assert_eq!(folder.names().into_iter().filter(|name| name != "qwen3").collect::<Vec<_>>(), names);
    // A dangling symbolic link remains a link, and the file it points to is written.
    symlink(folder.at("behind.gguf"), folder.at("link.gguf")).unwrap();
    quantize_file(&model, folder.at("link.gguf"), &recipe("Q4_0"), &options(|_| {})).unwrap();
    assert!(folder.at("link.gguf").is_symlink() && folder.at("behind.gguf").is_file());
}

#[test]
fn rejects_unwritable_outputs_before_any_work() {
    let folder = Folder::new();
    let model = folder.model();
    let code = |out: PathBuf| quantize_file(&model, out, &recipe("Q4_0"), &options(|_| {})).unwrap_err().code();
    assert_eq!(code(PathBuf::new()), Code::ARGUMENT);
    assert_eq!(code(folder.at("folder/")), Code::ARGUMENT);
    assert_eq!(code(folder.0.clone()), Code::UNSUPPORTED);
    assert_eq!(code(folder.at("nowhere/out.gguf")), Code::NOT_FOUND);
    let missing = quantize_file(folder.at("no.gguf"), folder.at("out.gguf"), &recipe("Q4_0"), &options(|_| {}));
    assert_eq!(missing.unwrap_err().code(), Code::NOT_FOUND);
    assert_eq!(folder.names(), ["whale.gguf"]);
    // A name of the maximum length of file systems.
    let long = folder.at(&format!("{}.gguf", "n".repeat(250)));
    quantize_file(&model, &long, &recipe("Q4_0"), &options(|_| {})).unwrap();
    assert!(long.is_file());
}

/// The disk is real where the test may mount one; elsewhere the unit tests of `src/fs/target.rs` have made-up ones.
#[cfg(target_os = "linux")]
#[test]
fn rejects_an_output_larger_than_the_free_space_before_any_work() {
    let folder = Folder::new();
    let (model, disk) = (folder.model(), folder.at("disk"));
    fs::create_dir(&disk).unwrap();
    let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(&disk).output();
    let mounted = mount.is_ok_and(|output| output.status.success());
    // The file of F32 has 16 MB; without a small disk it fits, and both outcomes are checked.
    let out = disk.join("out.gguf");
    let result = quantize_file(&model, &out, &recipe("F32"), &options(|options| options.resume = true));
    let left = fs::read_dir(&disk).unwrap().count();
    if mounted {
        assert!(std::process::Command::new("umount").arg(&disk).status().unwrap().success());
        let error = result.unwrap_err();
        assert_eq!((error.code(), left), (Code::NO_SPACE, 0));
        assert!(error.message().contains("bytes, but the disk has only"), "{error}");
    } else {
        assert_eq!((result.unwrap().size > 2 << 20, left), (true, 1));
    }
}
