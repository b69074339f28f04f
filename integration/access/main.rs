//! Signed URLs: vectors of every dialect, with what comes of altering them (`*.txt`, explained in `vectors.rs`); alterations
//! that no vector of any dialect may survive; and what is signed here.

#![allow(clippy::unwrap_used)]

mod alterations;
mod dialects;
mod hot_path;
mod served;
mod signing;
mod vectors;
