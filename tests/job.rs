//! Conversions as a state machine: the same bytes in any order of completion and after any interruption.

use crate::support::convert::{Disk, header, sha256};
use quantpress::Code;
use quantpress::container::gguf::{Record, TensorType, Value, encode_pair, write_header};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::job::{Identifier, Identity, Job, JobOptions, Journal, JournalTile, Next, Work};
use quantpress::recipe::{Plan, Recipe, TensorTypeRule, encode_tile, plan};
use std::path::{Path, PathBuf};

fn whale() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-whale")
}

fn model() -> Vec<u8> {
    std::fs::read(whale().join("tiny-whale-f16.gguf")).unwrap()
}

fn recipe(preset: &str) -> Recipe {
    Recipe::new(preset)
}

/// The recorded hash of the output of llama.cpp's library for Tiny Whale with a preset.
fn recorded(preset: &str, with: &str) -> String {
    let record = std::fs::read_to_string(whale().join("quantized.txt")).unwrap();
    let line =
        record.lines().find(|line| line.ends_with(&format!(" {preset}")) && line.split(' ').nth(1) == Some(with));
    line.unwrap_or_else(|| panic!("{preset} {with}")).split(' ').next().unwrap().to_owned()
}

fn options(change: impl FnOnce(&mut JobOptions)) -> JobOptions {
    let mut options = JobOptions::default();
    change(&mut options);
    options
}

fn plan_of(model: &[u8], recipe: &Recipe) -> Plan {
    plan(&header(model).unwrap(), recipe, None).unwrap()
}

fn identity(plan: &Plan, recipe: &Recipe) -> Identity {
    Identity::new(plan, recipe, "a source".to_owned(), String::new())
}

#[test]
fn tasks_completed_in_any_order_give_the_bytes_of_the_reference() {
    let model = model();
    let recipe = recipe("Q4_K_M");
    for (seed, width, ordered, hashes) in
        [(1, 1, false, false), (2, 7, false, true), (3, 16, true, true), (4, 3, true, false)]
    {
        let mut disk = Disk { width, seed, ..Disk::default() };
        let options = options(|options| {
            (options.ordered, options.hashes, options.errors, options.window) = (ordered, hashes, true, width);
        });
        let job = Job::new(plan_of(&model, &recipe), options).unwrap();
        let report = disk.run(job, &model, None).unwrap().unwrap();
        assert_eq!(sha256(&disk.bytes()), recorded("Q4_K_M", "plain"), "{width} tasks at once");
        if hashes {
            assert_eq!(report.sha256.as_deref(), Some(recorded("Q4_K_M", "plain").as_str()));
        }
    }
}

#[test]
fn a_report_does_not_depend_on_the_order_of_results() {
    let model = model();
    let recipe = recipe("Q3_K_S").with_split_max_size(500_000);
    let report = |seed, width| {
        let options = options(|options| (options.errors, options.hashes) = (true, true));
        let mut disk = Disk { width, seed, ..Disk::default() };
        let report = disk.run(Job::new(plan_of(&model, &recipe), options).unwrap(), &model, None).unwrap().unwrap();
        for (shard, file) in report.shards.iter().zip(&disk.files) {
            assert_eq!((shard.size, shard.sha256.as_deref()), (file.len() as u64, Some(sha256(file).as_str())));
        }
        for (tensor, planned) in report.tensors.iter().zip(&plan_of(&model, &recipe).tensors) {
            let place = planned.place;
            let bytes = &disk.bytes()[place.offset as usize..(place.offset + place.bytes) as usize];
            assert_eq!(tensor.hashes.as_ref().unwrap().sha256, sha256(bytes), "{}", tensor.name);
            let error = tensor.error.unwrap();
            assert_eq!(error.rmse == 0.0, tensor.from == tensor.to, "{}", tensor.name);
            assert!(error.sqnr_db > 5.0 && error.cosine_similarity > 0.9, "{}: {error:?}", tensor.name);
        }
        assert!(report.shards.len() > 2);
        report
    };
    assert_eq!(report(1, 1), report(5, 9));
}

/// Simulates a power failure in the middle of every single write and resumes from the disk.
#[test]
fn a_conversion_killed_at_any_write_resumes_to_the_same_bytes_and_report() {
    let model = model();
    let recipe = recipe("Q8_0").with_split_max_size(3_000_000);
    let job = |hashes| {
        let options = options(|options| (options.journal, options.errors, options.hashes) = (true, true, hashes));
        Job::new(plan_of(&model, &recipe), options).unwrap()
    };
    let identity = identity(&plan_of(&model, &recipe), &recipe);
    let mut whole = Disk { width: 4, ..Disk::default() };
    let want = whole.run(job(true), &model, Some(&identity)).unwrap().unwrap();
    let want_plain = Disk { width: 4, ..Disk::default() }.run(job(false), &model, Some(&identity)).unwrap().unwrap();
    assert!(whole.writes > 40, "{} writes", whole.writes);
    let mut resumed = 0;
    for kill in 0..whole.writes {
        // Hashing takes most of the time.
        let hashes = kill % 8 == 0;
        let mut disk = Disk { width: 4, seed: kill as u64, writes_left: Some(kill), ..Disk::default() };
        assert_eq!(disk.run(job(hashes), &model, Some(&identity)).unwrap(), None);
        disk.writes_left = None;
        let report = disk.run(job(hashes), &model, Some(&identity)).unwrap().unwrap();
        assert!(disk.bytes() == whole.bytes(), "killed at write {kill}");
        let want = if hashes { &want } else { &want_plain };
        let same = report.tensors == want.tensors && report.shards == want.shards && report.sha256 == want.sha256;
        assert!(same, "killed at write {kill}");
        resumed = resumed.max(report.bytes_resumed);
    }
    assert!(resumed > want.source_bytes / 2);
}

#[test]
fn journal_entries_are_verified_against_the_file() {
    let model = model();
    let recipe = recipe("Q8_0");
    let options = options(|options| options.journal = true);
    let job = || Job::new(plan_of(&model, &recipe), options).unwrap();
    let identity = identity(&plan_of(&model, &recipe), &recipe);
    let mut whole = Disk::default();
    whole.run(job(), &model, Some(&identity)).unwrap().unwrap();
    // All tiles are in the journal. One byte in a thousand is damaged; some lines are torn, some duplicated, some
    // false.
    let mut disk = whole.clone();
    disk.files[0].iter_mut().step_by(100_003).for_each(|byte| *byte ^= 1);
    disk.journal.iter_mut().skip(identity.head().len()).step_by(797).for_each(|byte| *byte ^= 1);
    let lie = JournalTile { offset: 1 << 40, length: u64::MAX >> 12, hash: "0".repeat(16), errors: None };
    disk.journal.extend([lie.line(), lie.line(), b"\n00000000 {\"offset\":".to_vec()].concat());
    let report = disk.run(job(), &model, Some(&identity)).unwrap().unwrap();
    assert!(disk.bytes() == whole.bytes());
    assert!(report.bytes_resumed > 0 && report.bytes_resumed < report.source_bytes);
}

#[test]
fn a_journal_of_another_job_is_rejected_with_the_difference() {
    let model = model();
    let recipe = recipe("Q8_0");
    let ours = identity(&plan_of(&model, &recipe), &recipe);
    let changed = |theirs: Identity| {
        let journal = Journal::parse(&theirs.head()).unwrap();
        assert_eq!(journal.identity, theirs);
        let mut job = Job::new(plan_of(&model, &recipe), JobOptions::default()).unwrap();
        let error = job.resume(&ours, journal).unwrap_err();
        assert!(error.message().starts_with("cannot resume: "), "{error}");
        (error.code(), error.details().first().map(|(_, value)| format!("{value:?}")).unwrap_or_default())
    };
    for part in ["engine", "source", "imatrix", "recipe"] {
        let mut theirs = ours.clone();
        let field = match part {
            "engine" => &mut theirs.engine,
            "source" => &mut theirs.source,
            "imatrix" => &mut theirs.imatrix,
            _ => &mut theirs.recipe,
        };
        *field = "something \"else\"\n\\".to_owned();
        assert_eq!(changed(theirs), (Code::CHANGED, format!("Text({part:?})")));
    }
    let nameless = Identity { source: String::new(), ..ours.clone() };
    assert_eq!(changed(nameless).0, Code::UNSUPPORTED);
    for options in [
        recipe.clone().with_pure(true),
        recipe.clone().with_override_kv(vec!["a=int:1".to_owned()]),
        recipe.clone().with_preset("q8_0".to_owned()),
    ] {
        assert_ne!(identity(&plan_of(&model, &recipe), &options).recipe, ours.recipe, "{options:?}");
    }
}

/// Recorded from journals of the npm package. With equal identities, each can resume the other's interrupted runs.
#[test]
fn a_job_has_the_same_identity_as_in_the_npm_package() {
    let model = model();
    let of = |recipe: &Recipe| identity(&plan_of(&model, recipe), recipe).recipe;
    let whole = "03c6d2b66a0379a994e2927dc0da90d1084716d8fb66877b90ecd08e2ab81a70 6456575488058038b70c842f1a1cba73d2427d82ee9237264b3a859e1e19d9f3";
    let split = "78713a95d78dfe37ff7c5f146aa4d5359620077d5c1f086accf722afe1122f47 4f94980bf39687d19bd6a6eaf81e2e294208630c86e3185f7188b6ba2eafab59";
    assert_eq!(of(&recipe("Q4_K_M")), whole);
    assert_eq!(of(&recipe("Q8_0").with_split_max_size(500_000)), split);
    // A line of its journal.
    let line = "\n8a797b54 {\"offset\":30304,\"length\":215040,\"hash\":\"88058bc98165d866\",\"note\":[262144,0.6310139466541855,2642.955175075235,2643.0506952229666,2642.6874281757796,0.0071563720703125,0,0]}\n";
    let journal = [identity(&plan_of(&model, &recipe("Q4_K_M")), &recipe("Q4_K_M")).head(), line.into()].concat();
    let tile = Journal::parse(&journal).unwrap().tiles.remove(&30304).unwrap();
    assert_eq!((tile.length, tile.errors.unwrap().error), (215_040, 0.631_013_946_654_185_5));
    assert_eq!(tile.line(), line.as_bytes());
}

#[test]
fn damaged_journals_are_read_up_to_the_damage() {
    let identity = Identity { engine: "1".into(), source: "s".into(), imatrix: String::new(), recipe: "r".into() };
    let tiles: Vec<JournalTile> =
        (0..5).map(|i| JournalTile { offset: i * 100, length: 100, hash: format!("{i:016x}"), errors: None }).collect();
    let bytes = [identity.head(), tiles.iter().flat_map(JournalTile::line).collect()].concat();
    assert_eq!(Journal::parse(&bytes).unwrap().tiles.len(), 5);
    let head = identity.head().len();
    for cut in 0..bytes.len() {
        match Journal::parse(&bytes[..cut]) {
            Some(journal) => assert!(cut >= head && journal.tiles.values().all(|tile| tiles.contains(tile))),
            None => assert!(cut < head, "cut at {cut}"),
        }
        let mut flipped = bytes.clone();
        flipped[cut] ^= 0x20;
        if let Some(journal) = Journal::parse(&flipped) {
            assert!(journal.identity == identity && journal.tiles.values().all(|tile| tiles.contains(tile)), "{cut}");
        }
    }
}

#[test]
fn a_task_is_plain_data() {
    let model = model();
    let matrix = ImportanceMatrix::parse(&std::fs::read(whale().join("tiny-whale.imatrix.gguf")).unwrap()).unwrap();
    let plan = plan(&header(&model).unwrap(), &recipe("IQ4_XS"), Some(&matrix)).unwrap();
    let mut job = Job::new(plan, JobOptions::default()).unwrap();
    let mut weighted = 0;
    while let Next::Task(task) = job.next() {
        let json = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<quantpress::job::Task>(&json).unwrap(), task);
        assert_eq!(quantpress::job::Task::from_bytes(&task.to_bytes()).unwrap(), task);
        weighted += usize::from(matches!(&task.work, Work::Encode { importance: Some(_), .. }));
    }
    assert!(weighted > 10);
}

#[test]
fn an_error_names_its_tensor_row_and_column() {
    let mut model = model();
    let tensor = header(&model).unwrap().tensors().iter().find(|t| t.name == "blk.1.ffn_up.weight").unwrap().clone();
    let (row, column) = (3, 5);
    let at = tensor.offset as usize + 2 * (row * tensor.row_length() as usize + column);
    model[at..at + 2].copy_from_slice(&0x7e00u16.to_le_bytes()); // NaN
    let job = Job::new(plan_of(&model, &recipe("Q4_K_M")), JobOptions::default()).unwrap();
    let error = Disk::default().run(job, &model, None).unwrap_err();
    assert!(matches!(error.code(), Code::NON_FINITE | Code::INVALID_BLOCK), "{error}");
    assert!(error.message().starts_with("tensor 'blk.1.ffn_up.weight'"), "{error}");
}

/// A model with one tensor whose rows are longer than a tile.
fn long_rows(name: &str, row: usize, rows: usize) -> Vec<u8> {
    let (shape, dtype) = ([row as u64, rows as u64], TensorType::F16);
    let pairs = [encode_pair("general.architecture", &Value::String(b"llama"))];
    let written = write_header(&pairs, &[Record { name, shape: &shape, dtype }], 32).unwrap();
    let weights: Vec<u8> = (0..row * rows)
        .flat_map(|i| {
            let x = ((i * 2_654_435_761) >> 7 & 0x3ff) as u16;
            // F16 values of 2^-4 to 2^4 with both signs.
            ((x & 1) << 15 | (11 + (x >> 1 & 7)) << 10 | x).to_le_bytes()
        })
        .collect();
    [written.header, weights].concat()
}

#[test]
fn rows_longer_than_a_tile_are_cut_and_give_the_bytes_of_whole_rows() {
    let (name, row, rows) = ("blk.0.ffn_up.weight", (1 << 20) + 512, 2);
    let model = long_rows(name, row, rows);
    let importance: Vec<f32> = (0..row).map(|i| 1.0 + (i % 7) as f32).collect();
    let entry =
        [&(name.len() as i32).to_le_bytes()[..], name.as_bytes(), &1i32.to_le_bytes(), &(row as i32).to_le_bytes()];
    let values: Vec<u8> = importance.iter().flat_map(|x| x.to_le_bytes()).collect();
    let matrix = ImportanceMatrix::parse(&[&1i32.to_le_bytes()[..], &entry.concat(), &values].concat()).unwrap();
    let weights = &model[header(&model).unwrap().tensors()[0].offset as usize..];
    for matrix in [None, Some(&matrix)] {
        let plan = plan(&header(&model).unwrap(), &recipe("Q4_K_S"), matrix).unwrap();
        let (place, to) = (plan.tensors[0].place, plan.tensors[0].to.name);
        let whole = encode_tile(weights, "F16", to, row, matrix.map(|_| importance.as_slice()), 0).unwrap();
        for width in [1, 4] {
            let mut disk = Disk { width, seed: 3, ..Disk::default() };
            let options = options(|options| options.errors = true);
            let report = disk.run(Job::new(plan.clone(), options).unwrap(), &model, None).unwrap().unwrap();
            let bytes = disk.bytes();
            assert!(bytes[place.offset as usize..(place.offset + place.bytes) as usize] == whole, "{to}");
            assert!(report.tensors[0].error.unwrap().sqnr_db > 15.0);
        }
    }
}

/// The plan of a model of this many tensors, with a header of 60 bytes for each.
fn plan_of_many(count: usize, recipe: &Recipe) -> Plan {
    let names: Vec<String> = (0..count).map(|i| format!("blk.{i}.ffn_up.weight")).collect();
    let records: Vec<_> = names.iter().map(|name| Record { name, shape: &[32, 2], dtype: TensorType::F16 }).collect();
    let written = write_header(&[encode_pair("general.architecture", &Value::String(b"llama"))], &records, 32).unwrap();
    let mut file = written.header;
    file.resize(written.size as usize, 0);
    plan_of(&file, recipe)
}

#[test]
fn a_plan_is_identified_in_steps_of_bounded_work() {
    let recipe = recipe("Q8_0");
    for (count, fewest) in [(3, 1), (9_000, 3), (40_000, 12)] {
        let plan = plan_of_many(count, &recipe);
        let mut identifier = Identifier::new(&recipe);
        let steps = (1..).find(|_| identifier.step(&plan)).unwrap();
        // A megabyte of the header, and 4096 tensors.
        let most = plan.header().len().div_ceil(1 << 20) + count.div_ceil(4096);
        assert!((fewest..=most).contains(&steps), "{steps} steps for {count} tensors");
        let stepwise = identifier.finish("a source".to_owned(), String::new());
        assert_eq!(stepwise, identity(&plan, &recipe));
    }
}

#[test]
fn headers_are_returned_in_pieces_and_hashed_as_a_whole() {
    let model = model();
    let recipe = recipe("Q8_0").with_split_max_size(1_500_000);
    let plan = plan_of(&model, &recipe);
    let options = options(|options| (options.hashes, options.errors) = (true, true));
    let mut whole = Disk { width: 3, ..Disk::default() };
    let want = whole.run(Job::new(plan.clone(), options).unwrap(), &model, None).unwrap().unwrap();
    for most in [100, 5000] {
        let mut job = Job::new(plan.clone(), options).unwrap();
        let mut files = vec![Vec::new(); plan.shards.len()];
        let mut pieces = 0;
        while let Some(writes) = job.start_piece(most) {
            for write in writes {
                assert!(write.bytes.len() <= most && write.offset == files[write.file].len() as u64);
                files[write.file].extend(write.bytes);
                pieces += 1;
            }
        }
        let expected: usize = plan.shards.iter().map(|shard| shard.header.len().div_ceil(most)).sum();
        assert_eq!(pieces, expected);
        for (file, shard) in files.iter().zip(&plan.shards) {
            assert!(*file == shard.header);
        }
        let mut disk = Disk { width: 3, files, ..Disk::default() };
        assert_eq!(disk.run(job, &model, None).unwrap().unwrap(), want);
        assert!(disk.bytes() == whole.bytes());
    }
}

#[test]
fn headers_of_further_files_leave_room_for_as_many_tasks_as_the_window_has() {
    let model = model();
    let recipe = recipe("Q8_0").with_split_max_size(100_000);
    let options = options(|options| (options.hashes, options.window) = (true, 4));
    let mut job = Job::new(plan_of(&model, &recipe), options).unwrap();
    assert!(job.files().len() > 4);
    job.start();
    let tasks = std::iter::from_fn(|| match job.next() {
        Next::Task(task) => Some(task),
        Next::Wait | Next::Finished => None,
    });
    assert_eq!(tasks.count(), 4);
}

/// A resumed run compares these, so they must not depend on how they are computed.
#[test]
fn identities_are_those_of_earlier_journals() {
    let model = model();
    let rule = TensorTypeRule::new("ffn_up", "Q8_0").with_why("a \"reason\"");
    let split = recipe("Q3_K_S").with_tensor_types(vec![rule]).with_split_max_size(100_000);
    let cases = [
        (
            recipe("Q4_K_M"),
            "03c6d2b66a0379a994e2927dc0da90d1084716d8fb66877b90ecd08e2ab81a70 6456575488058038b70c842f1a1cba73d2427d82ee9237264b3a859e1e19d9f3",
        ),
        (
            split,
            "2ef1ede914b17df6b2385ffda35779aa671798545c0feb41f593119bcc699410 df79d7d0e6095c8d7a5dda733f5ccaef4c9cb5021e1d529e7c2f36b52ff527de",
        ),
    ];
    for (recipe, known) in cases {
        assert_eq!(identity(&plan_of(&model, &recipe), &recipe).recipe, known);
    }
}
