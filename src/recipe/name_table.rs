//! Tables of tensor names and parts of names, searched in one pass over a name.

/// How a row of a table matches a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Match {
    /// The whole name.
    Is(&'static str),
    /// Any part of it.
    Contains(&'static str),
}

/// A table whose first row that matches a name applies. A search reads the name once; looking for the text of each row
/// in turn would read it as often as there are rows.
#[derive(Clone, Debug)]
pub(super) struct NameTable<V> {
    rows: Vec<(Match, V)>,
    /// For each byte the rows whose text begins with it, in ascending order.
    starts: Vec<Vec<usize>>,
}

impl<V: Copy> NameTable<V> {
    /// A table of rows, none of which has an empty text.
    pub fn new(rows: impl IntoIterator<Item = (Match, V)>) -> Self {
        let rows: Vec<_> = rows.into_iter().collect();
        let mut starts = vec![Vec::new(); 256];
        for (row, (Match::Is(text) | Match::Contains(text), _)) in rows.iter().enumerate() {
            if let Some(first) = text.as_bytes().first() {
                starts[usize::from(*first)].push(row);
            }
        }
        NameTable { rows, starts }
    }

    /// The value of the first row that matches.
    pub fn find(&self, name: &str) -> Option<V> {
        let name = name.as_bytes();
        let mut found = self.rows.len();
        for (at, first) in name.iter().enumerate() {
            let rest = &name[at..];
            let matches = |row: usize| match self.rows[row].0 {
                Match::Is(text) => at == 0 && name == text.as_bytes(),
                Match::Contains(text) => rest.starts_with(text.as_bytes()),
            };
            let mut rows = self.starts[usize::from(*first)].iter().copied().take_while(|row| *row < found);
            found = rows.find(|row| matches(*row)).unwrap_or(found);
        }
        self.rows.get(found).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_that_matches_applies_wherever_its_text_is() {
        let rows = [
            (Match::Is("output.weight"), 0),
            (Match::Contains("attn_v"), 1),
            (Match::Contains("ffn"), 2),
            (Match::Contains("ffn_up"), 3),
            (Match::Contains(".weight"), 4),
            (Match::Contains("bias"), 5),
        ];
        let table = NameTable::new(rows);
        let one_by_one = |name: &str| {
            let holds = |rule: Match| match rule {
                Match::Is(text) => name == text,
                Match::Contains(text) => name.contains(text),
            };
            rows.iter().find(|(rule, _)| holds(*rule)).map(|(_, value)| *value)
        };
        let names = [
            "output.weight",
            "an.output.weight",
            "output.weight.x",
            "blk.0.ffn_up.weight",
            "blk.0.ffn_up.attn_v.bias",
            "bias.weight",
            "bia",
            "ä.bias",
            "x",
            "",
        ];
        for name in names {
            assert_eq!(table.find(name), one_by_one(name), "{name}");
        }
        assert_eq!(table.find("blk.0.ffn_up.weight"), Some(2));
    }
}
