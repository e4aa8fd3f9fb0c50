//! Clients that are not ours: curl and Python (SPEC K-03).
