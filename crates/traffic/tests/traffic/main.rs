//! The replica protocol through a real socket.
mod between;
mod contract;
mod documented;
mod feed;
mod forgery;
mod hostile;
mod matrix;
mod parts;
mod patience;
mod tls;
mod webhooks;
