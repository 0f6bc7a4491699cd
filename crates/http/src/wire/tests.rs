//! What travels comes back as it was, and nothing else is taken.
