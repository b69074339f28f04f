//! The store as a whole over a faulty device, by seeds: one thread, and time that is passed in.

mod crashes;
mod inspect;
mod rig;
mod rot;
mod threads;
mod trouble;
