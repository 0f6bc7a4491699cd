//! The replica protocol through a real socket.
mod contract;
