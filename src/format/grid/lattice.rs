//! A grid as its encoder uses it: which points are on it, and which of them are near a point that is not.

use super::points::{digits, keys};

/// At least the number of values of half a point: 3^4 for ternary halves, 8^2 for octal ones.
const HALVES: usize = 81;

/// A sum larger than another by this factor is larger in any order of summation: the rounding error of sixteen
/// additions is smaller.
const MARGIN: f32 = 1.0 + 32.0 * f32::EPSILON;

/// A point in two halves, each a number in the grid's radix with the lower digit first.
pub type Point = [u8; 2];

/// The levels of the digits of each half, to be multiplied by a scale.
pub type Levels<const H: usize> = [[f32; H]; 256];

/// A grid of points with `2 H` digits in base `R`, with the neighbours of every point that is not on it.
///
/// Neighbours are ordered by distance and then by index. Those at the `shells` smallest distances are kept. ggml sorts
/// the whole grid for each point (up to ten seconds for the largest grid); here the distance of two points is the sum
/// of two table lookups, and a counting sort finds the shells.
pub struct Lattice<const H: usize, const R: usize> {
    /// The grid index of each point, by its key; [`OFF`] for points that are not on the grid.
    numbers: Vec<u16>,
    /// Start of the neighbours of each point, by its key; they end where the next point's start.
    starts: Vec<u32>,
    neighbours: Vec<Point>,
}

/// The index of a point that is not on the grid.
const OFF: u16 = u16::MAX;

impl<const H: usize, const R: usize> Lattice<H, R> {
    /// The number of values of half a point.
    const HALF: usize = R.pow(H as u32);

    /// Up to this many neighbours are compared one by one; for longer lists, computing the sums of all halves is
    /// faster.
    const SHORT: usize = 12;

    /// Builds the grid of a set, with the neighbours at the `shells` smallest distances.
    pub fn new(set: &[u64], shells: usize) -> Self {
        let points: Vec<Point> = keys(set).map(Self::point).collect();
        let mut numbers = vec![OFF; Self::HALF * Self::HALF];
        for (number, &point) in points.iter().enumerate() {
            numbers[Self::key(point)] = number as u16;
        }
        let mut lattice = Lattice { numbers, starts: Vec::new(), neighbours: Vec::new() };
        lattice.find_neighbours(&points, shells);
        lattice
    }

    /// The levels of all halves, given the level of each digit.
    pub fn levels(level: impl Fn(u8) -> f32) -> Levels<H> {
        std::array::from_fn(|half| digits(half % Self::HALF, R).map(&level))
    }

    /// The index of a point, if it is on the grid.
    #[inline(always)]
    pub fn number(&self, point: Point) -> Option<u16> {
        Some(self.numbers[Self::key(point)]).filter(|&number| number != OFF)
    }

    /// The neighbour of `point`, which is not on the grid, with the smallest `sum w (scale level - x)^2`.
    ///
    /// The sums are ggml's, in the order of the weights, and the first wins a tie. `None` if no sum is below the
    /// largest float, where ggml gives up.
    pub fn nearest(
        &self,
        point: Point,
        levels: &Levels<H>,
        x: &[[f32; H]; 2],
        w: &[[f32; H]; 2],
        scale: f32,
    ) -> Option<Point> {
        let neighbours = self.neighbours(point);
        let [lower, upper] = std::array::from_fn(|half| Errors { x: &x[half], w: &w[half], scale });
        let (mut best, mut nearest) = (f32::MAX, None);
        if neighbours.len() <= Self::SHORT {
            for &point in neighbours {
                let [a, b] = point.map(|half| &levels[usize::from(half)]);
                let (a, b) = (lower.costs(a), upper.costs(b));
                let sum = a.iter().chain(&b).fold(0.0, |sum, cost| sum + cost);
                if sum < best {
                    (best, nearest) = (sum, Some(point));
                }
            }
            return nearest;
        }
        let (mut low, mut high) = ([0.0; HALVES], [0.0; HALVES]);
        lower.of_all_halves::<R>(levels, &mut low);
        upper.of_all_halves::<R>(levels, &mut high);
        let mut bound = f32::INFINITY;
        for &point in neighbours {
            // The sum of two partial sums differs from the sum in order by at most eight roundings.
            let [a, b] = point.map(usize::from);
            if low[a] + high[b] > bound {
                continue;
            }
            let sum = upper.costs(&levels[b]).iter().fold(low[a], |sum, cost| sum + cost);
            if sum < best {
                (best, nearest) = (sum, Some(point));
                bound = best * MARGIN;
            }
        }
        nearest
    }

    /// The neighbours of a point; empty if it is on the grid.
    #[inline(always)]
    pub fn neighbours(&self, point: Point) -> &[Point] {
        let key = Self::key(point);
        &self.neighbours[self.starts[key] as usize..self.starts[key + 1] as usize]
    }

    /// All possible points, in the order of their keys.
    pub fn all() -> impl Iterator<Item = Point> {
        (0..Self::HALF * Self::HALF).map(Self::point)
    }

    fn find_neighbours(&mut self, points: &[Point], shells: usize) {
        let half_distances: [[u8; HALVES]; HALVES] = std::array::from_fn(|a| {
            std::array::from_fn(|b| {
                let pairs = digits::<H>(a, R).into_iter().zip(digits::<H>(b, R));
                pairs.map(|(a, b)| a.abs_diff(b) * a.abs_diff(b)).sum()
            })
        });
        let mut distances = vec![0u8; points.len()];
        self.starts = Vec::with_capacity(self.numbers.len() + 1);
        for key in 0..self.numbers.len() {
            self.starts.push(self.neighbours.len() as u32);
            if self.numbers[key] != OFF {
                continue;
            }
            let [low, high] = Self::point(key);
            let (low, high) = (&half_distances[usize::from(low)], &half_distances[usize::from(high)]);
            let mut ends = [0u32; 256];
            for (distance, point) in distances.iter_mut().zip(points) {
                *distance = low[usize::from(point[0])] + high[usize::from(point[1])];
                ends[usize::from(*distance)] += 1;
            }
            // Turns the counts into the start position of each distance, up to the last shell.
            let (mut next, mut left, mut last) = (self.neighbours.len() as u32, shells, 0);
            for (distance, end) in ends.iter_mut().enumerate() {
                let count = *end;
                *end = next;
                if count > 0 {
                    next += count;
                    left -= 1;
                    last = distance as u8;
                    if left == 0 {
                        break;
                    }
                }
            }
            self.neighbours.resize(next as usize, [0; 2]);
            for (&distance, &point) in distances.iter().zip(points) {
                if distance <= last {
                    let place = &mut ends[usize::from(distance)];
                    self.neighbours[*place as usize] = point;
                    *place += 1;
                }
            }
        }
        self.starts.push(self.neighbours.len() as u32);
    }

    /// The position of a point among all possible points.
    #[inline(always)]
    pub fn key(point: Point) -> usize {
        usize::from(point[0]) + Self::HALF * usize::from(point[1])
    }

    fn point(key: usize) -> Point {
        [(key % Self::HALF) as u8, (key / Self::HALF) as u8]
    }
}

/// The errors of the levels of one half of a point: `w (scale level - x)^2` for each weight.
#[derive(Clone, Copy)]
struct Errors<'a, const H: usize> {
    x: &'a [f32; H],
    w: &'a [f32; H],
    scale: f32,
}

impl<const H: usize> Errors<'_, H> {
    /// The error of one half, weight by weight.
    #[inline(always)]
    fn costs(&self, levels: &[f32; H]) -> [f32; H] {
        std::array::from_fn(|i| self.cost(i, levels[i]))
    }

    #[inline(always)]
    fn cost(&self, i: usize, level: f32) -> f32 {
        let diff = self.scale * level - self.x[i];
        self.w[i] * diff * diff
    }

    /// The sums for all halves. Halves with the same lower digits share the partial sums of those.
    #[inline(always)]
    fn of_all_halves<const R: usize>(&self, levels: &Levels<H>, sums: &mut [f32; HALVES]) {
        let mut count = 1;
        for i in 0..H {
            // The half in which only the digits below `i` vary has digit `i` at `count` times its value.
            let costs: [f32; R] = std::array::from_fn(|digit| self.cost(i, levels[digit][0]));
            for digit in (0..R).rev() {
                for j in 0..count {
                    sums[digit * count + j] = sums[j] + costs[digit];
                }
            }
            count *= R;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::points;
    use super::*;

    /// ggml's algorithm: all points sorted by distance and index, cut after the requested distances.
    fn sorted<const H: usize, const R: usize>(set: &[u64], shells: usize, point: Point) -> Vec<Point> {
        let digits = |point: Point| point.map(|half| digits::<H>(half.into(), R));
        let distance = |a: Point, b: Point| -> i32 {
            let (a, b) = (digits(a), digits(b));
            a.as_flattened().iter().zip(b.as_flattened()).map(|(&a, &b)| (i32::from(a) - i32::from(b)).pow(2)).sum()
        };
        let mut all: Vec<_> =
            keys(set).map(Lattice::<H, R>::point).map(|other| (distance(point, other), other)).collect();
        all.sort_by_key(|&(distance, _)| distance);
        let mut distances: Vec<_> = all.iter().map(|&(distance, _)| distance).collect();
        distances.dedup();
        let last = distances[shells.min(distances.len()) - 1];
        all.into_iter().filter(|&(distance, _)| distance <= last).map(|(_, point)| point).collect()
    }

    fn check<const H: usize, const R: usize>(set: &[u64], shells: usize, total: usize) {
        let lattice = Lattice::<H, R>::new(set, shells);
        assert_eq!(lattice.neighbours.len(), total);
        let mut number = 0;
        for key in 0..lattice.numbers.len() {
            let point = Lattice::<H, R>::point(key);
            let neighbours = lattice.neighbours(point);
            if let Some(here) = lattice.number(point) {
                assert_eq!(here, number);
                assert!(neighbours.is_empty());
                number += 1;
            } else if key % 7 == 0 {
                assert_eq!(neighbours, sorted::<H, R>(set, shells, point), "neighbours of {point:?}");
            }
        }
    }

    #[test]
    fn neighbours_equal_those_of_a_full_sort() {
        check::<4, 3>(&points::IQ2_XXS, 2, 113_157);
        check::<4, 3>(&points::IQ2_XS, 2, 181_721);
        check::<4, 3>(&points::IQ2_S, 1, 44_716);
        check::<4, 3>(&points::IQ1, 3, 327_721);
        check::<2, 8>(&points::IQ3_XXS, 2, 18_985);
        check::<2, 8>(&points::IQ3_S, 3, 24_733);
    }
}
