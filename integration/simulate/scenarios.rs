//! Scenarios written by hand: one for each invariant, and the essence of what random seeds have found.
