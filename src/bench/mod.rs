//! Weight generators, the benchmark suite, and the accuracy benchmark on a real task.
