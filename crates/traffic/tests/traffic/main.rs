//! The replica protocol through a real socket.
mod between;
mod contract;
mod feed;
mod hostile;
mod tls;
mod webhooks;
