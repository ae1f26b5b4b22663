//! Code shared by the fuzz targets: the functions they call, with an allocator that aborts beyond a limit.

pub mod targets;
mod thrift;

#[global_allocator]
static ALLOCATOR: thrift::Thrift = thrift::Thrift;
