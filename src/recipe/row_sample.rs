//! The rows of a tensor that an analysis reads: a few, spread over the whole tensor, and the same ones every time.

/// A tensor to sample rows from.
#[derive(Clone, Copy, Debug)]
pub struct Sampled<'a> {
    /// The shape, row length first.
    pub shape: &'a [u64],
    /// Start of its data in the source, in bytes.
    pub offset: u64,
    /// Size of its data, in bytes.
    pub bytes: u64,
    /// Rows per attention head if their halves are interleaved during the conversion; 0 otherwise.
    pub permuted_head_rows: u64,
}

/// Adjacent rows of one matrix of a tensor, or a piece of one row that is too long to be read at once.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stratum {
    /// Offsets and lengths of their bytes in the source. There are several if a conversion interleaves rows, because rows
    /// that are adjacent in its output are not adjacent in the source.
    pub ranges: Vec<(u64, u64)>,
    /// The number of columns.
    pub columns: u64,
    /// The first column.
    pub column: u64,
    /// The number of rows.
    pub rows: u64,
    /// The index of their matrix in a stack of matrices.
    pub matrix: u64,
    /// Whether formats that are [slow](crate::format::EncodingCost) to encode are tried on it too.
    pub slow: bool,
}

/// The maximum number of strata of a tensor that is sampled.
pub const STRATA: u64 = 16;

/// Formats that are slow to encode are tried on one of this many strata of a sample.
const SLOW_EVERY: u64 = STRATA / 2;

/// The maximum number of weights of a stratum: 4 MiB of F32, as for a tile of a conversion.
const MOST: u64 = 1 << 20;

/// A multiple of the block size of every format.
const BLOCK: u64 = 256;

/// The number of rows per matrix: all of them, unless the tensor is a stack of matrices (experts).
pub fn rows_per_matrix(shape: &[u64], rows: u64) -> u64 {
    if shape.len() > 2 { shape.get(1).copied().unwrap_or(rows) } else { rows }
}

impl Sampled<'_> {
    /// Samples about `budget` weights in at most [`STRATA`] strata, or all weights if there are no more than that.
    ///
    /// The position of a stratum within its part of the tensor varies (by the golden ratio). Otherwise the same rows of
    /// every attention head would be sampled if a part has a whole number of heads.
    pub fn strata(&self, budget: Option<u64>) -> Vec<Stratum> {
        let mut strata = self.rows(budget);
        for (index, stratum) in (0..).zip(&mut strata) {
            stratum.slow = budget.is_none() || index % SLOW_EVERY == 0;
        }
        strata
    }

    fn rows(&self, budget: Option<u64>) -> Vec<Stratum> {
        let (row_length, rows) = (self.row_length(), self.shape.iter().skip(1).product::<u64>());
        if rows == 0 || row_length == 0 {
            return Vec::new();
        }
        let weights = rows.saturating_mul(row_length);
        let budget = budget.unwrap_or(u64::MAX);
        if row_length > MOST {
            return if budget >= weights { self.all_pieces(rows) } else { self.some_pieces(rows, budget) };
        }
        let wanted = (budget.min(weights) / row_length).max(1);
        if wanted >= rows { self.all_rows(rows) } else { self.some_rows(rows, wanted) }
    }

    fn row_length(&self) -> u64 {
        self.shape.first().copied().unwrap_or(0)
    }

    /// All rows, in pieces because they are too long to be read at once.
    fn all_pieces(&self, rows: u64) -> Vec<Stratum> {
        let row_length = self.row_length();
        let columns = || (0..row_length).step_by(MOST as usize);
        let piece = |row, column: u64| self.piece(row, column, MOST.min(row_length - column), rows);
        (0..rows).flat_map(|row| columns().map(move |column| (row, column))).map(|(row, at)| piece(row, at)).collect()
    }

    /// A sample of pieces of such rows, whose positions within their parts of the tensor vary.
    fn some_pieces(&self, rows: u64, budget: u64) -> Vec<Stratum> {
        let row_length = self.row_length();
        let blocks = (budget / BLOCK).max(1);
        let count = STRATA.min(blocks);
        // If a row is not a whole number of blocks of a format, neither is any piece: each has the same remainder.
        let length = (MOST - BLOCK).min(blocks / count * BLOCK) + row_length % BLOCK;
        let piece = |index: u64| {
            let at = (index as f64 + place(index)) / count as f64 * rows as f64 * row_length as f64;
            let row = ((at / row_length as f64).floor() as u64).min(rows - 1);
            let column = ((at - (row * row_length) as f64).max(0.0) / BLOCK as f64).floor() as u64 * BLOCK;
            self.piece(row, column.min(row_length - length), length, rows)
        };
        (0..count).map(piece).collect()
    }

    fn piece(&self, row: u64, column: u64, columns: u64, rows: u64) -> Stratum {
        let weights = rows * self.row_length();
        // The position of the row that a conversion moves here.
        let source_row = match self.permuted_head_rows {
            0 => row,
            permuted_head_rows => halves_of(row, row + 1, permuted_head_rows).first().map_or(row, |(from, _)| *from),
        };
        let bytes = |count: u64| scaled(count, self.bytes, weights);
        let start = self.offset + bytes(source_row * self.row_length() + column);
        let matrix = row / rows_per_matrix(self.shape, rows);
        Stratum { ranges: vec![(start, bytes(columns))], columns, column, rows: 1, matrix, slow: false }
    }

    fn some_rows(&self, rows: u64, wanted: u64) -> Vec<Stratum> {
        let count = STRATA.min(wanted);
        let per_matrix = rows_per_matrix(self.shape, rows);
        let most = (MOST / self.row_length()).max(1);
        let length = (wanted / count).min(per_matrix).min(most);
        let stratum = |index: u64| {
            let (from, to) = (scaled(index, rows, count), scaled(index + 1, rows, count));
            let room = (to - from).saturating_sub(length);
            let at = from + (room as f64 * place(index)).floor() as u64;
            let matrix = at / per_matrix;
            self.stratum(at.min((matrix + 1) * per_matrix - length), length, rows)
        };
        (0..count).map(stratum).collect()
    }

    /// The whole tensor, in strata of limited size within one matrix.
    fn all_rows(&self, rows: u64) -> Vec<Stratum> {
        let per_matrix = rows_per_matrix(self.shape, rows);
        let step = rows.div_ceil(STRATA).min(MOST / self.row_length()).max(1);
        let (mut strata, mut at) = (Vec::new(), 0);
        while at < rows {
            let length = step.min(per_matrix - at % per_matrix);
            strata.push(self.stratum(at, length, rows));
            at += length;
        }
        strata
    }

    fn stratum(&self, at: u64, length: u64, rows: u64) -> Stratum {
        let place = |(from, to): (u64, u64)| {
            (self.offset + scaled(from, self.bytes, rows), scaled(to - from, self.bytes, rows))
        };
        let halves = match self.permuted_head_rows {
            0 => vec![(at, at + length)],
            permuted_head_rows => halves_of(at, at + length, permuted_head_rows),
        };
        let matrix = at / rows_per_matrix(self.shape, rows);
        let ranges = halves.into_iter().map(place).collect();
        Stratum { ranges, columns: self.row_length(), column: 0, rows: length, matrix, slow: false }
    }
}

/// The position of a stratum within its part of the tensor, from 0 (its start) to 1 (its end).
fn place(index: u64) -> f64 {
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    (0.5 + index as f64 * golden) % 1.0
}

/// `count * bytes / of`, rounded down.
fn scaled(count: u64, bytes: u64, of: u64) -> u64 {
    (u128::from(count) * u128::from(bytes) / u128::from(of.max(1))) as u64
}

/// The rows of the source that become the rows `from` to `to` when a conversion interleaves the halves of each head: within a
/// head of `h` rows, row `j h/2 + i` becomes row `2 i + j`. Their order differs, but no figure depends on it.
fn halves_of(from: u64, to: u64, permuted_head_rows: u64) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut head = from / permuted_head_rows * permuted_head_rows;
    while head < to {
        let (a, b) = (from.saturating_sub(head), (to - head).min(permuted_head_rows));
        let second = head + permuted_head_rows / 2;
        for (start, end) in [(head + a.div_ceil(2), head + b.div_ceil(2)), (second + a / 2, second + b / 2)] {
            match found.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ if end > start => found.push((start, end)),
                _ => {}
            }
        }
        head += permuted_head_rows;
    }
    found
}
