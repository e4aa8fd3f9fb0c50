//! The tunnel against bytes written by hand and against a peer that is none of ours.

mod golden;
mod interop;
