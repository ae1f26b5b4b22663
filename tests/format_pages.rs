//! The page of each format agrees with the code: its name, its numbers, and a layout that covers every byte of the
//! block.

use quantpress::{Codec, formats};
use std::fs;
use std::path::Path;

/// The documentation at the top of a format's file.
fn page(codec: &Codec) -> String {
    let file = match codec.name {
        "F32" | "F16" | "BF16" => "float".to_owned(),
        "I8" | "I16" | "I32" | "I64" => "integers".to_owned(),
        name => name.to_lowercase(),
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/format").join(format!("{file}.rs"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The fields of a layout: lines that start with "byte  0..2".
fn fields(page: &str) -> Vec<(usize, usize)> {
    let ranges = page.lines().filter_map(|line| line.strip_prefix("byte")?.split_whitespace().next()?.split_once(".."));
    ranges.map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).collect()
}

#[test]
fn every_page_states_the_formats_figures_and_source() {
    for codec in formats() {
        let (name, page) = (codec.name, page(codec));
        assert!(page.contains(name), "{name} is not on its page");
        assert!(page.split("\n\n").count() > 1, "{name}: the page consists of its title only");
        if codec.weights == 1 {
            continue;
        }
        let title = page.lines().next().unwrap();
        let numbers = [
            format!("{name}: `w = "),
            format!("{} weights in {} bytes", codec.weights, codec.bytes),
            format!("{} bits per weight", codec.bits_per_weight()),
        ];
        for number in numbers {
            assert!(title.contains(&number), "{name}: '{number}' is not in the first line of its page: {title}");
        }
        assert!(page.contains("Source: ggml `"), "{name}: the page names no source");
    }
}

#[test]
fn every_layout_covers_its_block() {
    for codec in formats().iter().filter(|codec| codec.weights > 1) {
        let mut at = 0;
        for (from, to) in fields(&page(codec)) {
            assert!(from == at && to > from, "{}: bytes {from}..{to} follow byte {at}", codec.name);
            at = to;
        }
        assert_eq!(at, codec.bytes, "{}: the layout ends there", codec.name);
    }
}

#[test]
fn the_table_of_formats_has_the_right_figures() {
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/format/mod.rs")).unwrap();
    for codec in formats() {
        let start = format!("//! | [{}](", codec.name);
        let row =
            table.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row {}", codec.name));
        let cells: Vec<&str> = row.split('|').map(str::trim).skip(2).take(4).collect();
        let numbers = [codec.id as usize, codec.weights, codec.bytes].map(|n| n.to_string());
        assert_eq!(cells[..3], numbers, "{}", codec.name);
        assert_eq!(cells[3], codec.bits_per_weight().to_string(), "{}", codec.name);
    }
    assert_eq!(table.lines().filter(|line| line.starts_with("//! | [")).count(), formats().len());
}
