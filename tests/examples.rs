//! Every cargo example runs, to its end and without an error.
#![allow(clippy::unwrap_used)] // a test fails by panicking

macro_rules! examples {
    ($($name:ident: $file:literal,)+) => {
        $(
            #[path = $file]
            mod $name;

            #[test]
            fn $name() {
                $name::main().unwrap();
            }
        )+

        #[test]
        fn all_of_them_are_listed() {
            let mut listed = [$(stringify!($name)),+].map(|name| format!("{name}.rs"));
            listed.sort();
            let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
            let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut found: Vec<String> = names.filter(|name| name.ends_with(".rs")).collect();
            found.sort();
            assert_eq!(found, listed);
        }
    };
}

examples! {
    benchmark: "../examples/benchmark.rs",
    calibration: "../examples/calibration.rs",
    error_analysis: "../examples/error_analysis.rs",
}
