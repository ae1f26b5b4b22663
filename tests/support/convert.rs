//! A driver of `job` that converts files in memory.
#![allow(dead_code)] // not every test uses all of it

use quantpress::Result;
use quantpress::container::gguf::{Header, Parsed, parse};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::job::{ByteRange, Identity, Job, JobOptions, Journal, Next, Read, Report};
use quantpress::recipe::{Plan, Recipe, plan};
use sha2::{Digest, Sha256};

/// The header of a file in memory.
pub fn header(file: &[u8]) -> Result<Header> {
    match parse(file, file.len() as u64)? {
        Parsed::Header(header) => Ok(*header),
        Parsed::NeedsMore(bytes) => panic!("the parser has the whole file but requests {bytes} bytes"),
    }
}

/// The output of a recipe for a file.
pub fn convert(file: &[u8], recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Vec<u8>> {
    written(&plan(&header(file)?, recipe, importance)?, file)
}

/// The output of a plan for a file, with all files concatenated.
pub fn written(plan: &Plan, file: &[u8]) -> Result<Vec<u8>> {
    let mut disk = Disk::default();
    let job = Job::new(plan.clone(), JobOptions::default())?;
    disk.run(job, file, None)?;
    Ok(disk.bytes())
}

/// The output of a conversion, and its journal.
#[derive(Clone, Default)]
pub struct Disk {
    pub files: Vec<Vec<u8>>,
    pub journal: Vec<u8>,
    /// The number of writes until a simulated power failure.
    pub writes_left: Option<usize>,
    /// The number of tasks in flight, which are completed in any order.
    pub width: usize,
    pub seed: u64,
    pub writes: usize,
}

impl Disk {
    pub fn bytes(&self) -> Vec<u8> {
        self.files.concat()
    }

    /// Runs a job to the end, or until the power failure.
    pub fn run(&mut self, mut job: Job, source: &[u8], resume: Option<&Identity>) -> Result<Option<Report>> {
        if let Some(identity) = resume {
            match Journal::parse(&self.journal) {
                Some(journal) => job.resume(identity, journal)?,
                None => self.journal = identity.head(),
            }
        }
        self.files.resize(job.files().len(), Vec::new());
        for write in job.start() {
            if !self.write(write.file, write.offset, &write.bytes) {
                return Ok(None);
            }
        }
        let mut under_way = Vec::new();
        loop {
            match job.next() {
                Next::Task(task) => under_way.push(task),
                Next::Finished => break,
                Next::Wait => assert!(!under_way.is_empty(), "the job waits although no task is in flight"),
            }
            if under_way.len() < self.width && !under_way.is_empty() && !self.random().is_multiple_of(3) {
                continue;
            }
            if under_way.is_empty() {
                continue;
            }
            let index = self.random() as usize % under_way.len();
            let task = under_way.swap_remove(index);
            let bytes = match task.read {
                Read::Source(range) => read(source, &range),
                Read::Output(range) => {
                    let file = job.files().iter().rposition(|file| file.offset <= range.offset).unwrap();
                    let start = (range.offset - job.files()[file].offset) as usize;
                    let rest = self.files[file].get(start..).unwrap_or(&[]);
                    rest[..rest.len().min(range.length as usize)].to_vec()
                }
            };
            let id = task.id;
            let step = job.complete(task.run(bytes)?)?;
            for write in &step.writes {
                if !self.write(write.file, write.offset, &write.bytes) {
                    return Ok(None);
                }
            }
            self.journal.extend(step.entry.unwrap_or_default());
            job.written(id);
        }
        for (file, planned) in self.files.iter().zip(job.files()) {
            assert_eq!(file.len() as u64, planned.size, "a file does not have the planned size");
        }
        job.finish().map(Some)
    }

    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }

    /// Returns false if the power failed before the last byte.
    fn write(&mut self, file: usize, offset: u64, bytes: &[u8]) -> bool {
        self.writes += 1;
        let fails = self.writes_left == Some(0);
        let bytes = if fails { &bytes[..bytes.len() / 2] } else { bytes };
        let (file, start) = (&mut self.files[file], offset as usize);
        file.resize(file.len().max(start + bytes.len()), 0);
        file[start..start + bytes.len()].copy_from_slice(bytes);
        self.writes_left = self.writes_left.map(|left| left.saturating_sub(1));
        !fails
    }
}

/// Reads a range of a source, in one or two halves.
pub fn read(source: &[u8], range: &ByteRange) -> Vec<u8> {
    let (start, length) = (range.offset as usize, range.length as usize);
    match range.second {
        None => source[start..start + length].to_vec(),
        Some(second) => {
            let second = second as usize;
            [&source[start..start + length / 2], &source[second..second + length / 2]].concat()
        }
    }
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
