//! Rows that come into a scope and leave it, by their cells, by what is asked for, and by what is permitted (I7).
