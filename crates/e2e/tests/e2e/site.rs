//! Site configurations on their way: pushed, versioned, atomic, kept; the inside stays inside (SPEC S-01 to S-06).
