//! The tunnel under abuse: aborts, load, tiny chunks, stream limits, lost connections.
