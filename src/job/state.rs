//! The state machine of a conversion.

use super::bnb::Scales;
use super::buffer::Buffer;
use super::digest::Digest;
use super::journal::{Identity, Journal, JournalTile};
use super::prescan::{RowPrescan, TensorPrescan};
use super::protocol::{File, JobOptions, Next, Progress, Step, Write};
use super::report::{Finished, Report, ReportedShard};
use super::small_map::SmallMap;
use super::task::{Done, Findings, Read, Task, Work};
use super::tiles::{ByteRange, Tile, tiles};
use crate::analysis::DistortionSums;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use crate::recipe::{Plan, bnb_data_type};
use std::collections::{BTreeMap, VecDeque};

/// A tile in flight.
struct InFlight {
    tile: Tile,
    /// The journal entry of the tile, if it is being checked.
    known: Option<JournalTile>,
}

/// A tensor with some but not all of its tiles done.
struct PartialTensor {
    /// Remaining bytes of the source.
    left: u64,
    /// The error sums of its tiles, by first weight.
    sums: SmallMap<u64, DistortionSums>,
    /// The scales, for bitsandbytes' formats.
    scales: Option<Scales>,
    /// The decoded scales, if the error with double quantization is measured.
    decoded: Option<Vec<f32>>,
}

/// A tile whose bytes are being written.
struct WrittenTile {
    tensor: usize,
    /// Bytes of the source.
    bytes: u64,
    resumed: bool,
}

/// A running conversion. The bytes of results are kept as `B`; see [`Buffer`].
pub struct Job<B: Buffer = Vec<u8>> {
    plan: Plan,
    options: JobOptions,
    files: Vec<File>,
    /// The file whose header is written next, and how much of it has been returned.
    header: (usize, usize),
    /// The next tensor, and the remaining tiles of the current one.
    next_tensor: usize,
    rest: Box<dyn Iterator<Item = Tile> + Send>,
    /// Tiles of an earlier run that did not match the journal.
    retries: VecDeque<Tile>,
    in_flight: SmallMap<u64, InFlight>,
    /// The latest long row.
    row: Option<RowPrescan>,
    /// The tensor whose scales are being determined first.
    prescan: Option<TensorPrescan>,
    last_id: u64,
    earlier: BTreeMap<u64, JournalTile>,
    digest: Option<Digest<B>>,
    partial: SmallMap<usize, PartialTensor>,
    /// The error sums of each completed tensor, if errors are requested.
    sums: Vec<DistortionSums>,
    /// Writes that wait for earlier ones, by offset, and the offset of the next one.
    waiting: SmallMap<u64, B>,
    position: u64,
    written: SmallMap<u64, WrittenTile>,
    /// For each tensor, the number of source bytes not yet written.
    left: Vec<u64>,
    bytes_total: u64,
    bytes_done: u64,
    bytes_resumed: u64,
    tensors_done: usize,
}

impl Job {
    /// Creates the job of a plan.
    ///
    /// # Errors
    /// [`Code::NEEDS_IMPORTANCE`] for a dry-run plan that cannot be carried out; [`Code::ARGUMENT`] if a journal is
    /// requested for ordered output, which cannot be resumed.
    pub fn new(plan: Plan, options: JobOptions) -> Result<Job> {
        Job::hashing(plan, options, ())
    }
}

impl<B: Buffer> Job<B> {
    /// [`new`](Job::new) with another kind of buffers for results.
    ///
    /// # Errors
    /// As for [`new`](Job::new).
    pub fn hashing(plan: Plan, options: JobOptions, hashing: B::Hashing) -> Result<Self> {
        let lacking = |tensor: &&crate::recipe::PlannedTensor| {
            tensor.needs_importance && !tensor.has_importance && tensor.from != tensor.to
        };
        if let Some(tensor) = plan.tensors.iter().find(lacking) {
            let (name, format) = (&tensor.name, tensor.to.name);
            let message = format!(
                "tensor '{name}': {format} requires an importance matrix; its output would be unusable without one"
            );
            return Err(Error::new(Code::NEEDS_IMPORTANCE, message)
                .with("tensor", name.as_str())
                .with("format", format));
        }
        if options.ordered && options.journal {
            return Err(Error::new(
                Code::ARGUMENT,
                "ordered output cannot have a journal, because it cannot be resumed",
            ));
        }
        let files: Vec<File> =
            plan.shards.iter().map(|shard| File { offset: shard.offset, size: shard.size }).collect();
        let lengths = plan.tensors.iter().map(|tensor| tensor.place.bytes).collect();
        let digest = options.hashes.then(|| Digest::new(hashing, lengths, files.iter().map(|file| file.offset)));
        let left: Vec<u64> = plan.tensors.iter().map(|tensor| tensor.source_bytes).collect();
        Ok(Job {
            files,
            header: (0, 0),
            next_tensor: 0,
            rest: Box::new(std::iter::empty()),
            retries: VecDeque::new(),
            in_flight: SmallMap::new(),
            row: None,
            prescan: None,
            last_id: 0,
            earlier: BTreeMap::new(),
            digest,
            partial: SmallMap::new(),
            sums: if options.errors { vec![DistortionSums::default(); plan.tensors.len()] } else { Vec::new() },
            waiting: SmallMap::new(),
            position: 0,
            written: SmallMap::new(),
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

    /// The plan; without the headers once [`start`](Self::start) has returned them.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Resumes an interrupted run. Must be called before [`start`](Self::start).
    ///
    /// # Errors
    /// As for [`Identity::check`], if the journal belongs to another job.
    pub fn resume(&mut self, identity: &Identity, journal: Journal) -> Result<()> {
        identity.check(&journal.identity)?;
        self.earlier = journal.tiles;
        Ok(())
    }

    /// Returns the headers to be written.
    pub fn start(&mut self) -> Vec<Write<B>> {
        let mut writes = Vec::new();
        while let Some(more) = self.start_piece(usize::MAX) {
            writes.extend(more);
        }
        writes
    }

    /// Returns what is to be written of the next piece of a header, of at most `most` bytes; `None` after the last one.
    pub fn start_piece(&mut self, most: usize) -> Option<Vec<Write<B>>> {
        let (index, at) = self.header;
        let shard = self.plan.shards.get_mut(index)?;
        let offset = shard.offset.saturating_add(at as u64);
        let end = at.saturating_add(most.max(1));
        let piece = if end < shard.header.len() {
            self.header.1 = end;
            shard.header[at..end].to_vec()
        } else {
            self.header = (index + 1, 0);
            let mut header = std::mem::take(&mut shard.header);
            header.drain(..at);
            header
        };
        let mut writes = Vec::new();
        self.write(offset, B::of(piece), None, &mut writes);
        Some(writes)
    }

    /// Returns the next action. Any number of tasks may be in flight, and they can be completed in any order.
    #[allow(clippy::should_implement_trait)] // an iterator has an end, and this waits
    pub fn next(&mut self) -> Next {
        if self.row.as_ref().is_some_and(RowPrescan::holds_tile) {
            return self.next_of_row();
        }
        if let Some(tile) = self.retries.pop_front() {
            return self.encode_or_hold(tile);
        }
        let full = self.in_flight.len() + self.waiting_tiles() >= self.options.window;
        if full && (self.digest.is_some() || self.options.ordered) && !self.in_flight.is_empty() {
            return Next::Wait;
        }
        if self.prescan.is_none()
            && let Some(tile) = self.next_tile()
        {
            return self.task(tile);
        }
        match &mut self.prescan {
            Some(scan) => scan.next(&mut self.last_id, &self.plan),
            None if self.in_flight.is_empty() => Next::Finished,
            None => Next::Wait,
        }
    }

    fn waiting_tiles(&self) -> usize {
        let hashing = self.digest.as_ref().map_or(0, Digest::waiting);
        hashing.max(self.waiting.len())
    }

    /// The next tile; `None` if a tensor needs a scan before its first tile.
    fn next_tile(&mut self) -> Option<Tile> {
        loop {
            if let Some(tile) = self.rest.next() {
                return Some(tile);
            }
            let (index, tensor) = (self.next_tensor, self.plan.tensors.get(self.next_tensor)?);
            self.rest = tiles(tensor, index);
            self.next_tensor += 1;
            let double = self.plan.bnb.as_ref().is_some_and(|bnb| bnb.layout.double_quant);
            if double && self.options.errors && bnb_data_type(tensor.to).is_some() && tensor.source_bytes > 0 {
                self.prescan = Some(TensorPrescan::new(index, tensor));
                return None;
            }
        }
    }

    /// The task for a tile: checks the bytes of an earlier run, or encodes.
    fn task(&mut self, tile: Tile) -> Next {
        let tensor = &self.plan.tensors[tile.tensor];
        // The scales of bitsandbytes' formats are not in the journal.
        let known = self.earlier.remove(&tile.offset).filter(|_| bnb_data_type(tensor.to).is_none());
        let measured = |known: &JournalTile| {
            !self.options.errors || tensor.from == tensor.to || known.errors.is_some_and(|sums| sums.is_finite())
        };
        let known = known.filter(|known| known.length == tile.length).filter(measured);
        let Some(known) = known else { return self.encode_or_hold(tile) };
        let work = Work::Check { hash: known.hash.clone(), length: known.length };
        let read = Read::Output(ByteRange { offset: tile.offset, length: tile.length, second: None });
        Next::Task(self.begin(InFlight { tile, known: Some(known) }, read, work))
    }

    /// The task for encoding a tile; first one that sums squares, if the tile is a piece of a row whose mean square is
    /// needed.
    fn encode_or_hold(&mut self, tile: Tile) -> Next {
        let tensor = &self.plan.tensors[tile.tensor];
        let column = tile.first_weight % tensor.row_length.max(1);
        let weighs = Codec::by_id(tensor.to.id).is_some_and(|codec| codec.weighs_by_row);
        let piece = tile.columns < tensor.row_length && tensor.has_importance && tensor.from != tensor.to;
        let (index, first_weight) = (tile.tensor, tile.first_weight - column);
        let known = self.row.as_ref().is_some_and(|row| row.is(index, first_weight));
        if !piece || !weighs || known {
            return Next::Task(self.encode(tile));
        }
        self.row = Some(RowPrescan::new(tensor.from, column, first_weight, tile));
        self.next_of_row()
    }

    /// The task for the next piece of the row, or the waiting tile once the sum is complete.
    fn next_of_row(&mut self) -> Next {
        let Some(row) = &mut self.row else { return Next::Wait };
        match row.next(&mut self.last_id, &self.plan) {
            Ok(next) => next,
            Err(tile) => Next::Task(self.encode(tile)),
        }
    }

    fn encode(&mut self, tile: Tile) -> Task {
        let tensor = &self.plan.tensors[tile.tensor];
        let work = Work::Encode {
            from: tensor.from.name.to_owned(),
            to: tensor.to.name.to_owned(),
            columns: tile.columns,
            permuted_head_rows: tile.permuted_head_rows,
            importance: self.importance(&tile),
            mean_square: self.row.as_ref().and_then(|row| row.mean_square(&tile, &self.plan)),
            scales: self.scales(&tile),
            measure: self.options.errors && tensor.from != tensor.to,
            hash: self.options.journal,
        };
        let read = Read::Source(tile.input);
        self.begin(InFlight { tile, known: None }, read, work)
    }

    fn begin(&mut self, in_flight: InFlight, read: Read, work: Work) -> Task {
        self.last_id += 1;
        let tile = &in_flight.tile;
        let tensor = &self.plan.tensors[tile.tensor];
        let task = Task {
            id: self.last_id,
            read,
            work,
            tensor: tensor.name.clone(),
            first_weight: tile.first_weight,
            row_length: tensor.row_length,
        };
        self.in_flight.insert(task.id, in_flight);
        task
    }

    /// The importance of a tile's columns; for a stack of matrices, that of the tile's matrix.
    fn importance(&self, tile: &Tile) -> Option<Vec<f32>> {
        let (all, tensor) = (self.plan.importance(tile.tensor)?, &self.plan.tensors[tile.tensor]);
        let matrix =
            if all.len() as u64 == tensor.row_length { 0 } else { tile.first_weight / tensor.weights_per_matrix() };
        let column = if tile.columns < tensor.row_length { tile.first_weight % tensor.row_length } else { 0 };
        let first = matrix * tensor.row_length + column;
        all.get(first as usize..(first + tile.columns) as usize).map(<[f32]>::to_vec)
    }

    /// The decoded scales of a tile's blocks, if they are known before it is encoded.
    fn scales(&self, tile: &Tile) -> Option<Vec<f32>> {
        self.partial.get(tile.tensor)?.decoded.as_deref().map(|all| Scales::of_tile(all, tile))
    }

    fn partial<'a>(
        partial: &'a mut SmallMap<usize, PartialTensor>,
        plan: &Plan,
        tensor: usize,
    ) -> &'a mut PartialTensor {
        let left = plan.tensors[tensor].source_bytes;
        let nothing = || PartialTensor { left, sums: SmallMap::new(), scales: None, decoded: None };
        partial.get_or_insert_with(tensor, nothing)
    }

    /// Adds the result of a task.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] for a task that is not in flight, [`Code::LENGTH`] for a result that does not have the
    /// planned length.
    pub fn complete(&mut self, done: Done<B>) -> Result<Step<B>> {
        let Done { id, bytes, found } = done;
        if self.row.as_mut().is_some_and(|row| row.complete(id, &found)) || self.complete_prescan(id, &found)? {
            return Ok(Step::default());
        }
        let Some(InFlight { tile, known }) = self.in_flight.remove(id) else {
            return Err(Error::new(Code::ARGUMENT, format!("task {id} is not in flight")).with("id", id));
        };
        if !found.intact {
            self.retries.push_back(tile);
            return Ok(Step::default());
        }
        let tensor = &self.plan.tensors[tile.tensor];
        if bytes.len() != tile.length {
            let (have, want) = (bytes.len(), tile.length);
            let message =
                format!("tensor '{}' has a result of {have} bytes instead of the planned {want}", tensor.name);
            return Err(Error::new(Code::LENGTH, message).with("tensor", tensor.name.as_str()));
        }
        let resumed = known.is_some();
        let errors = found.errors.map(DistortionSums::from_array).or(known.and_then(|known| known.errors));
        let mut step = Step::default();
        if resumed {
            if let Some(digest) = &mut self.digest {
                digest.add(tile.offset, &bytes, Some(tile.tensor));
            }
        } else {
            let (offset, length, hash) = (tile.offset, tile.length, found.hash.unwrap_or_default());
            step.entry = self.options.journal.then(|| JournalTile { offset, length, hash, errors }.line());
            self.write(tile.offset, bytes, Some(tile.tensor), &mut step.writes);
        }
        if let Some(end) = self.add_to_tensor(&tile, errors, found.absmax)? {
            let place = self.plan.tensors[tile.tensor].place;
            self.write(place.offset + place.bytes, B::of(end), None, &mut step.writes);
        }
        self.written.insert(id, WrittenTile { tensor: tile.tensor, bytes: tile.input.length, resumed });
        Ok(step)
    }

    /// Adds a result of the scan; returns whether it was one. The last one determines the decoded scales.
    fn complete_prescan(&mut self, id: u64, found: &Findings) -> Result<bool> {
        let Some(scan) = &mut self.prescan else { return Ok(false) };
        if !scan.complete(id, found)? {
            return Ok(false);
        }
        let Some(scan) = self.prescan.take_if(|scan| scan.scales.is_complete()) else { return Ok(true) };
        if let Some(bnb) = &self.plan.bnb {
            let tail = scan.scales.tail(&self.plan.tensors[scan.tensor], bnb.layout)?;
            Self::partial(&mut self.partial, &self.plan, scan.tensor).decoded = tail.decoded;
        }
        Ok(true)
    }

    /// Records the findings for a tile; returns the data that follows the tensor, if this was its last tile.
    fn add_to_tensor(
        &mut self,
        tile: &Tile,
        errors: Option<DistortionSums>,
        absmax: Option<Vec<f32>>,
    ) -> Result<Option<Vec<u8>>> {
        let index = tile.tensor;
        let partial = Self::partial(&mut self.partial, &self.plan, index);
        partial.left = partial.left.saturating_sub(tile.input.length);
        let complete = partial.left == 0;
        if let Some(sums) = errors {
            partial.sums.insert(tile.first_weight, sums);
        }
        if let Some(absmax) = absmax {
            let new = || Scales::new(&self.plan.tensors[index]);
            partial.scales.get_or_insert_with(new).add(tile.first_weight, &absmax)?;
        }
        let scales = if complete {
            let partial = self.partial.remove(index);
            let (sums, scales) = partial.map(|partial| (partial.sums, partial.scales)).unwrap_or_default();
            if let Some(all) = self.sums.get_mut(index) {
                // In file order, because the order of a sum affects its last bits.
                sums.values().for_each(|sums| all.append(sums));
            }
            scales
        } else {
            None
        };
        match (scales, &self.plan.bnb) {
            (Some(scales), Some(bnb)) => {
                scales.tail(&self.plan.tensors[index], bnb.layout).map(|tail| Some(tail.bytes))
            }
            _ if tile.padding > 0 && bnb_data_type(self.plan.tensors[index].to).is_none() => {
                Ok(Some(vec![0; tile.padding as usize]))
            }
            _ => Ok(None),
        }
    }

    /// Writes bytes, or keeps them until all earlier ones are written.
    fn write(&mut self, offset: u64, bytes: B, tensor: Option<usize>, writes: &mut Vec<Write<B>>) {
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
        while let Some(bytes) = self.waiting.remove(self.position) {
            let offset = self.position;
            self.position += bytes.len();
            writes.push(self.placed(offset, bytes));
        }
    }

    fn placed(&self, offset: u64, bytes: B) -> Write<B> {
        let file = self.files.partition_point(|file| file.offset <= offset).saturating_sub(1);
        Write { file, offset: offset - self.files[file].offset, bytes }
    }

    /// Records that the result of a task has been written; returns the progress, if it was a tile.
    pub fn written(&mut self, id: u64) -> Option<Progress> {
        let WrittenTile { tensor, bytes, resumed } = self.written.remove(id)?;
        self.bytes_done += bytes;
        self.bytes_resumed += if resumed { bytes } else { 0 };
        self.left[tensor] = self.left[tensor].saturating_sub(bytes);
        self.tensors_done += usize::from(self.left[tensor] == 0);
        Some(Progress {
            bytes_done: self.bytes_done,
            bytes_total: self.bytes_total,
            bytes_resumed: self.bytes_resumed,
            tensor: self.plan.tensors[tensor].name.clone(),
            tensors_done: self.tensors_done,
            tensors_total: self.left.len(),
        })
    }

    /// Returns the report.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub fn finish(self) -> Result<Report> {
        self.end().map(Finished::into_report)
    }

    /// Returns what the report is made from, which takes less memory than the report.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] if tasks are not completed.
    pub fn end(mut self) -> Result<Finished> {
        if !matches!(self.next(), Next::Finished) {
            return Err(Error::new(Code::ARGUMENT, "the conversion is not finished: some tasks are not completed"));
        }
        let (sha256, files, hashes) = match self.digest.take().map(Digest::finish) {
            Some((whole, files, tensors)) => (Some(whole), files, tensors),
            None => (None, Vec::new(), Vec::new()),
        };
        let shards = self.files.iter().enumerate();
        let shards = shards.map(|(index, file)| ReportedShard { size: file.size, sha256: files.get(index).cloned() });
        let report = Report {
            source_bytes: self.bytes_total,
            size: self.plan.size,
            bytes_resumed: self.bytes_resumed,
            sha256,
            weight_error: self.options.errors.then(|| Finished::weight_error(&self.plan.tensors, &self.sums)).flatten(),
            shards: shards.collect(),
            tensors: Vec::new(),
        };
        Ok(Finished { report, tensors: self.plan.tensors, sums: self.sums, hashes })
    }
}
