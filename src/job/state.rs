//! The state of a conversion.

use super::api::{File, JobOptions, Next, Progress, Step, Write};
use super::digest::Digest;
use super::journal::{Identity, Journal, JournalTile};
use super::report::{ErrorFigures, Report, ReportedShard, ReportedTensor};
use super::task::{Done, Read, Task, Work};
use super::tiles::{ByteRange, TILE_WEIGHTS, Tile, bytes_of, tiles};
use crate::analysis::ErrorSums;
use crate::error::{Code, Error, Result};
use crate::format::{Codec, mean_square};
use crate::recipe::Plan;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// A tile that is being worked on.
struct UnderWay {
    tile: Tile,
    /// What an earlier run has noted of it, if that is being checked.
    known: Option<JournalTile>,
}

/// A row that is longer than a tile, in a format that weighs by row: its mean square is needed before its first piece.
struct LongRow {
    tensor: usize,
    /// Weights of the tensor before it.
    first_weight: u64,
    /// Where it begins in the source.
    offset: u64,
    /// Weights whose squares are summed, and their sum.
    summed: u64,
    sum: f32,
    /// The task that sums the next piece, and how many weights that has.
    under_way: Option<(u64, u64)>,
    /// The tile that waits for the mean.
    held: Option<Tile>,
}

/// A conversion under way.
pub struct Job {
    plan: Plan,
    options: JobOptions,
    files: Vec<File>,
    /// The next tensor to be cut, and the rest of the one being cut.
    next_tensor: usize,
    rest: Box<dyn Iterator<Item = Tile> + Send>,
    /// Tiles of an earlier run that were not what it noted.
    again: VecDeque<Tile>,
    under_way: HashMap<u64, UnderWay>,
    /// The last long row.
    row: Option<LongRow>,
    last_id: u64,
    earlier: BTreeMap<u64, JournalTile>,
    digest: Option<Digest>,
    /// Of each tensor, the sums of its tiles by their first weights.
    sums: Vec<BTreeMap<u64, ErrorSums>>,
    /// Writes that wait for those before them, by their offsets, and where the next has to begin.
    waiting: BTreeMap<u64, Vec<u8>>,
    position: u64,
    /// Of each tensor, bytes of the source that are not done.
    left: Vec<u64>,
    bytes_total: u64,
    bytes_done: u64,
    bytes_resumed: u64,
    tensors_done: usize,
}

impl Job {
    /// The conversion that a plan describes.
    ///
    /// # Errors
    /// [`Code::NEEDS_IMPORTANCE`] for a plan that was only made to be looked at and cannot be carried out;
    /// [`Code::ARGUMENT`] for a journal of an ordered output, which cannot be resumed.
    pub fn new(plan: Plan, options: JobOptions) -> Result<Job> {
        let lacking = |tensor: &&crate::recipe::PlannedTensor| {
            tensor.needs_importance && !tensor.has_importance && tensor.from != tensor.to
        };
        if let Some(tensor) = plan.tensors.iter().find(lacking) {
            let (name, format) = (&tensor.name, tensor.to.name);
            let message =
                format!("tensor '{name}': {format} needs an importance matrix: without one its output is useless");
            return Err(Error::new(Code::NEEDS_IMPORTANCE, message)
                .with("tensor", name.as_str())
                .with("format", format));
        }
        if options.ordered && options.journal {
            return Err(Error::new(Code::ARGUMENT, "an ordered output has no journal: it cannot be resumed"));
        }
        let first = plan.further.first().map_or(plan.size, |shard| shard.offset);
        let further = plan.further.iter().map(|shard| File { offset: shard.offset, size: shard.size });
        let files: Vec<File> = std::iter::once(File { offset: 0, size: first }).chain(further).collect();
        let lengths = plan.tensors.iter().map(|tensor| tensor.place.bytes).collect();
        let digest = options.hashes.then(|| Digest::new(lengths, files.iter().map(|file| file.offset)));
        let left: Vec<u64> = plan.tensors.iter().map(|tensor| tensor.source_bytes).collect();
        Ok(Job {
            files,
            next_tensor: 0,
            rest: Box::new(std::iter::empty()),
            again: VecDeque::new(),
            under_way: HashMap::new(),
            row: None,
            last_id: 0,
            earlier: BTreeMap::new(),
            digest,
            sums: vec![BTreeMap::new(); plan.tensors.len()],
            waiting: BTreeMap::new(),
            position: 0,
            bytes_total: left.iter().sum(),
            tensors_done: left.iter().filter(|bytes| **bytes == 0).count(),
            left,
            bytes_done: 0,
            bytes_resumed: 0,
            plan,
            options,
        })
    }

    /// The output files.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Resumes the work of an interrupted run; call it before [`start`](Self::start).
    ///
    /// # Errors
    /// Those of [`Identity::check`]: the journal is of another job.
    pub fn resume(&mut self, identity: &Identity, journal: Journal) -> Result<()> {
        identity.check(&journal.identity)?;
        self.earlier = journal.tiles;
        Ok(())
    }

    /// The headers, to be written.
    pub fn start(&mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        let header = self.plan.header.clone();
        self.write(0, header, None, &mut writes);
        for (offset, header) in
            self.plan.further.iter().map(|shard| (shard.offset, shard.header.clone())).collect::<Vec<_>>()
        {
            self.write(offset, header, None, &mut writes);
        }
        writes
    }

    /// The next thing to do. Any number of tasks may be worked on at once, and completed in any order.
    #[allow(clippy::should_implement_trait)] // an iterator has an end, and this waits
    pub fn next(&mut self) -> Next {
        if self.row.as_ref().is_some_and(|row| row.held.is_some()) {
            return self.next_of_row();
        }
        if let Some(tile) = self.again.pop_front() {
            return self.encode_or_hold(tile);
        }
        let full = self.under_way.len() + self.waiting_tiles() >= self.options.window;
        if full && (self.digest.is_some() || self.options.ordered) && !self.under_way.is_empty() {
            return Next::Wait;
        }
        match self.next_tile() {
            Some(tile) => self.task(tile),
            None if self.under_way.is_empty() => Next::Finished,
            None => Next::Wait,
        }
    }

    fn waiting_tiles(&self) -> usize {
        let hashing = self.digest.as_ref().map_or(0, Digest::waiting);
        hashing.max(self.waiting.len())
    }

    fn next_tile(&mut self) -> Option<Tile> {
        loop {
            if let Some(tile) = self.rest.next() {
                return Some(tile);
            }
            let tensor = self.plan.tensors.get(self.next_tensor)?;
            self.rest = tiles(tensor, self.next_tensor);
            self.next_tensor += 1;
        }
    }

    /// A task for a tile: to check what an earlier run has made of it, or to make it.
    fn task(&mut self, tile: Tile) -> Next {
        let tensor = &self.plan.tensors[tile.tensor];
        let known = self.earlier.get(&tile.offset).filter(|known| known.length == tile.length);
        let measured = |known: &&JournalTile| {
            !self.options.errors || tensor.from == tensor.to || known.errors.is_some_and(|sums| sums.is_finite())
        };
        let Some(known) = known.filter(measured).cloned() else { return self.encode_or_hold(tile) };
        let work = Work::Check { hash: known.hash.clone(), length: known.length };
        let read = Read::Output(ByteRange { offset: tile.offset, length: tile.length, second: None });
        Next::Task(self.begin(UnderWay { tile, known: Some(known) }, read, work))
    }

    /// A task for a tile to be made; one that sums squares first, if the tile is a piece of a row whose mean is needed.
    fn encode_or_hold(&mut self, tile: Tile) -> Next {
        let tensor = &self.plan.tensors[tile.tensor];
        let column = tile.first_weight % tensor.row_length.max(1);
        let weighs = Codec::by_id(tensor.to.id).is_some_and(|codec| codec.weighs_by_row);
        let piece = tile.columns < tensor.row_length && tensor.has_importance && tensor.from != tensor.to;
        let (index, first_weight) = (tile.tensor, tile.first_weight - column);
        let known = self.row.as_ref().is_some_and(|row| (row.tensor, row.first_weight) == (index, first_weight));
        if !piece || !weighs || known {
            return Next::Task(self.encode(tile));
        }
        let offset = tile.input.offset - bytes_of(tensor.from, column);
        let (sum, summed, under_way, held) = (0.0, 0, None, Some(tile));
        self.row = Some(LongRow { tensor: index, first_weight, offset, summed, sum, under_way, held });
        self.next_of_row()
    }

    /// The next piece of the row whose squares are summed, or the tile that waited for the sum.
    fn next_of_row(&mut self) -> Next {
        let Some(row) = &mut self.row else { return Next::Wait };
        let tensor = &self.plan.tensors[row.tensor];
        if row.under_way.is_some() {
            return Next::Wait;
        }
        let count = TILE_WEIGHTS.min(tensor.row_length - row.summed);
        if count == 0 {
            return row.held.take().map_or(Next::Wait, |tile| Next::Task(self.encode(tile)));
        }
        self.last_id += 1;
        row.under_way = Some((self.last_id, count));
        let (from, summed) = (tensor.from, row.summed);
        let (offset, length) = (row.offset + bytes_of(from, summed), bytes_of(from, count));
        Next::Task(Task {
            id: self.last_id,
            read: Read::Source(ByteRange { offset, length, second: None }),
            work: Work::Squares { from: from.name.to_owned(), sum: row.sum },
            tensor: tensor.name.clone(),
            first_weight: row.first_weight + summed,
            row_length: tensor.row_length,
        })
    }

    /// The mean square of the row a tile is a piece of, where it was needed.
    fn mean_square(&self, tile: &Tile) -> Option<f32> {
        let row_length = self.plan.tensors[tile.tensor].row_length;
        let row = self.row.as_ref().filter(|row| row.tensor == tile.tensor && tile.columns < row_length)?;
        let within = tile.first_weight.checked_sub(row.first_weight)? < row_length;
        (within && row.summed == row_length).then(|| mean_square(row.sum, row_length))
    }

    fn encode(&mut self, tile: Tile) -> Task {
        let tensor = &self.plan.tensors[tile.tensor];
        let work = Work::Encode {
            from: tensor.from.name.to_owned(),
            to: tensor.to.name.to_owned(),
            columns: tile.columns,
            head_rows: tile.head_rows,
            importance: self.importance(&tile),
            mean_square: self.mean_square(&tile),
            measure: self.options.errors && tensor.from != tensor.to,
            hash: self.options.journal,
        };
        let read = Read::Source(tile.input);
        self.begin(UnderWay { tile, known: None }, read, work)
    }

    fn begin(&mut self, under_way: UnderWay, read: Read, work: Work) -> Task {
        self.last_id += 1;
        let tile = &under_way.tile;
        let tensor = &self.plan.tensors[tile.tensor];
        let task = Task {
            id: self.last_id,
            read,
            work,
            tensor: tensor.name.clone(),
            first_weight: tile.first_weight,
            row_length: tensor.row_length,
        };
        self.under_way.insert(task.id, under_way);
        task
    }

    /// The importance of a tile's columns: of a stack of matrices, that of its own.
    fn importance(&self, tile: &Tile) -> Option<Vec<f32>> {
        let (all, tensor) = (self.plan.importance(tile.tensor)?, &self.plan.tensors[tile.tensor]);
        let matrix =
            if all.len() as u64 == tensor.row_length { 0 } else { tile.first_weight / tensor.weights_per_matrix() };
        let column = if tile.columns < tensor.row_length { tile.first_weight % tensor.row_length } else { 0 };
        let first = matrix * tensor.row_length + column;
        all.get(first as usize..(first + tile.columns) as usize).map(<[f32]>::to_vec)
    }

    /// Takes in the result of a task.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] for a task that is not under way, [`Code::LENGTH`] for a result that is not as long as was planned.
    pub fn complete(&mut self, done: Done) -> Result<Step> {
        if let (Some(row), Some(sum)) = (&mut self.row, done.sum)
            && let Some((_, count)) = row.under_way.take_if(|(id, _)| *id == done.id)
        {
            (row.sum, row.summed) = (sum, row.summed + count);
            return Ok(Step::default());
        }
        let Some(UnderWay { tile, known }) = self.under_way.remove(&done.id) else {
            return Err(Error::new(Code::ARGUMENT, format!("task {} is not under way", done.id)).with("id", done.id));
        };
        if !done.intact {
            self.again.push_back(tile);
            return Ok(Step::default());
        }
        let resumed = known.is_some();
        let tensor = &self.plan.tensors[tile.tensor];
        if done.bytes.len() as u64 != tile.length {
            let (have, want) = (done.bytes.len(), tile.length);
            let message = format!("tensor '{}' gave {have} bytes where {want} were planned", tensor.name);
            return Err(Error::new(Code::LENGTH, message).with("tensor", tensor.name.as_str()));
        }
        let (name, source_bytes) = (tensor.name.clone(), tile.input.length);
        let end = tensor.place.offset + tensor.place.bytes;
        let errors = done.errors.map(ErrorSums::from_array).or(known.and_then(|known| known.errors));
        let mut step = Step::default();
        let entry =
            JournalTile { offset: tile.offset, length: tile.length, hash: done.hash.unwrap_or_default(), errors };
        if resumed {
            if let Some(digest) = &mut self.digest {
                digest.add(tile.offset, &done.bytes, Some(tile.tensor));
            }
        } else {
            step.entry = self.options.journal.then(|| entry.line());
            self.write(tile.offset, done.bytes, Some(tile.tensor), &mut step.writes);
        }
        if let Some(sums) = errors {
            self.sums[tile.tensor].insert(tile.first_weight, sums);
        }
        if tile.padding > 0 {
            self.write(end, vec![0; tile.padding as usize], None, &mut step.writes);
        }
        step.progress = Some(self.progress(tile.tensor, name, source_bytes, resumed));
        Ok(step)
    }

    /// Writes bytes, or keeps them until it is their turn.
    fn write(&mut self, offset: u64, bytes: Vec<u8>, tensor: Option<usize>, writes: &mut Vec<Write>) {
        if let Some(digest) = &mut self.digest {
            digest.add(offset, &bytes, tensor);
        }
        if bytes.is_empty() {
            return;
        }
        if !self.options.ordered {
            writes.push(self.placed(offset, bytes));
            return;
        }
        self.waiting.insert(offset, bytes);
        while let Some(bytes) = self.waiting.remove(&self.position) {
            let offset = self.position;
            self.position += bytes.len() as u64;
            writes.push(self.placed(offset, bytes));
        }
    }

    fn placed(&self, offset: u64, bytes: Vec<u8>) -> Write {
        let file = self.files.partition_point(|file| file.offset <= offset).saturating_sub(1);
        Write { file, offset: offset - self.files[file].offset, bytes }
    }

    fn progress(&mut self, tensor: usize, name: String, bytes: u64, resumed: bool) -> Progress {
        self.bytes_done += bytes;
        self.bytes_resumed += if resumed { bytes } else { 0 };
        self.left[tensor] = self.left[tensor].saturating_sub(bytes);
        self.tensors_done += usize::from(self.left[tensor] == 0);
        Progress {
            bytes_done: self.bytes_done,
            bytes_total: self.bytes_total,
            bytes_resumed: self.bytes_resumed,
            tensor: name,
            tensors_done: self.tensors_done,
            tensors_total: self.left.len(),
        }
    }

    /// What the conversion did.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] if tasks are not completed.
    pub fn finish(mut self) -> Result<Report> {
        if !matches!(self.next(), Next::Finished) {
            return Err(Error::new(
                Code::ARGUMENT,
                "the conversion is not finished: there are tasks that are not completed",
            ));
        }
        let (sha256, files, hashes) = match self.digest.map(Digest::finish) {
            Some((whole, files, tensors)) => (Some(whole), files, tensors),
            None => (None, Vec::new(), Vec::new()),
        };
        let shards = self.files.iter().enumerate();
        let shards = shards.map(|(index, file)| ReportedShard { size: file.size, sha256: files.get(index).cloned() });
        let tensors = self.plan.tensors.iter().zip(&self.sums).enumerate();
        let tensors = tensors.map(|(index, (tensor, tiles))| {
            let mut all = ErrorSums::default();
            // In the order of the file: the order of a sum decides its last bits.
            tiles.values().for_each(|sums| all.append(sums));
            ReportedTensor {
                name: tensor.name.clone(),
                from: tensor.from.name,
                to: tensor.to.name,
                why: tensor.why.clone(),
                source_bytes: tensor.source_bytes,
                bytes: tensor.place.bytes,
                error: self.options.errors.then(|| ErrorFigures::of(&all, tensor.has_importance)),
                hashes: hashes.get(index).cloned(),
            }
        });
        Ok(Report {
            source_bytes: self.bytes_total,
            size: self.plan.size,
            bytes_resumed: self.bytes_resumed,
            sha256,
            shards: shards.collect(),
            tensors: tensors.collect(),
        })
    }
}
