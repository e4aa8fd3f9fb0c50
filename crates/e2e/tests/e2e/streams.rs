//! Large and slow bodies: flat memory, early answers, cancellation, stalled readers (T-08 to T-11, G-18).

mod early;
mod ends;
mod large;
mod small;
