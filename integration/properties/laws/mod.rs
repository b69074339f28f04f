//! What must hold of any input, one file a parser. The fuzz targets of the same names try them on what they find.

pub mod cache_control;
pub mod conditions;
pub mod date;
pub mod hops;
pub mod range;
pub mod structured;
pub mod vary;
