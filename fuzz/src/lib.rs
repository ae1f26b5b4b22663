//! What the fuzz targets have in common: the functions they call, under an allocator that refuses to grow past a limit.

pub mod targets;
mod thrift;

#[global_allocator]
static ALLOCATOR: thrift::Thrift = thrift::Thrift;
