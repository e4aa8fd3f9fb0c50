//! Strict round robin, skipping, lanes and workers (SPEC G-15, T-04, S-10).
