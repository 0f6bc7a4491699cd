//! Stories that once went wrong, each as a tape.
