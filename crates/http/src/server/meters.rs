//! What a server counts while it works, and how that is told: as JSON, and as text that Prometheus reads.
//!
//! Invariant: counting is one addition to a number of its own; nothing waits for anybody who counts.
use super::people::Answer;
use super::refused::Refused;
use super::routes::{Media, Needs, Route};
use super::{Shared, hall};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::StatusCode;
use hyper::header;
use mainstem::feed::Deliveries;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// What the kernel counts memory in.
const PAGE_BYTES: u64 = 4096;

/// What is counted.
#[derive(Debug, Default)]
pub struct Meters {
    requests: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    pushes: AtomicU64,
    pulls: AtomicU64,
    last_sync_ms: AtomicU64,
    /// Replicas that wait for news now.
    pub waiting: Gauge,
    /// Streams of feeds that are open.
    pub streams: Gauge,
    /// Events that were told to streams.
    pub events: AtomicU64,
}

/// How many there are of something now.
#[derive(Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Counted(Arc<AtomicU64>);

impl Gauge {
    /// One more, until what is given back is dropped.
    pub fn enter(&self) -> Counted {
        self.0.fetch_add(1, Relaxed);
        Counted(self.0.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Meters {
    /// A request was answered.
    pub(super) fn answered(&self, route: Option<&str>, status: StatusCode, bytes: (u64, u64), now_ms: u64) {
        self.requests.fetch_add(1, Relaxed);
        self.bytes_in.fetch_add(bytes.0, Relaxed);
        self.bytes_out.fetch_add(bytes.1, Relaxed);
        if status.is_server_error() {
            self.failed.fetch_add(1, Relaxed);
        } else if status.is_client_error() {
            self.refused.fetch_add(1, Relaxed);
        }
        let call = route.and_then(|route| route.strip_prefix("/api/v1/datasets/{dataset}/primary/"));
        let synced = match call {
            Some("push") => &self.pushes,
            Some("pull") => &self.pulls,
            _ => return,
        };
        if status.is_success() {
            synced.fetch_add(1, Relaxed);
            self.last_sync_ms.store(now_ms, Relaxed);
        }
    }
}

/// What was counted, at one moment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Measured {
    /// Requests that were answered.
    requests: u64,
    /// Of those, refused with 4xx.
    requests_refused: u64,
    /// Of those, failed with 5xx.
    requests_failed: u64,
    /// Requests that are being answered.
    requests_running: u64,
    /// Connections that are open.
    connections: u64,
    /// Bytes of requests' bodies.
    bytes_in: u64,
    /// Bytes of answers' bodies.
    bytes_out: u64,
    /// Pushes that were answered.
    pushes: u64,
    /// Pulls that were answered.
    pulls: u64,
    /// When the last of either was, in seconds since 1970; zero for never.
    last_sync_seconds: f64,
    /// Replicas that wait for news.
    replicas_waiting: u64,
    /// Streams of feeds that are open.
    feed_streams: u64,
    /// Events that were told to streams and webhooks.
    feed_processed: u64,
    /// Webhooks.
    webhooks: u64,
    /// Deliveries to webhooks that were taken.
    webhook_delivered: u64,
    /// Attempts that failed.
    webhook_failed: u64,
    /// Attempts that were made again.
    webhook_retried: u64,
    /// Deliveries that were given up.
    webhook_dead: u64,
    /// How long the webhook that is furthest behind has been so, in seconds.
    webhook_lag_seconds: f64,
    /// The share of attempts that failed.
    webhook_failure_rate: f64,
    /// The process's memory in bytes; zero where the system does not tell.
    memory_bytes: u64,
    /// Files that the process has open; zero where the system does not tell.
    open_files: u64,
}

impl Measured {
    pub(super) fn of(shared: &Shared) -> Measured {
        let (porter, meters) = (&shared.porter, &shared.porter.meters);
        let sent = shared.webhooks.as_ref().map_or_else(Deliveries::default, |webhooks| webhooks.deliveries());
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Measured {
            requests: read(&meters.requests),
            requests_refused: read(&meters.refused),
            requests_failed: read(&meters.failed),
            requests_running: porter.requests(),
            connections: porter.connections(),
            bytes_in: read(&meters.bytes_in),
            bytes_out: read(&meters.bytes_out),
            pushes: read(&meters.pushes),
            pulls: read(&meters.pulls),
            last_sync_seconds: read(&meters.last_sync_ms) as f64 / 1_000.0,
            replicas_waiting: read(&meters.waiting.0),
            feed_streams: read(&meters.streams.0),
            feed_processed: read(&meters.events) + sent.events,
            webhooks: sent.webhooks,
            webhook_delivered: sent.delivered,
            webhook_failed: sent.failed,
            webhook_retried: sent.retried,
            webhook_dead: sent.dead,
            webhook_lag_seconds: sent.lag_ms as f64 / 1_000.0,
            webhook_failure_rate: sent.failed as f64 / (sent.failed + sent.delivered).max(1) as f64,
            memory_bytes: memory_bytes().unwrap_or(0),
            open_files: open_files().unwrap_or(0),
        }
    }

    /// As Prometheus reads it, version 0.0.4.
    fn as_text(&self) -> String {
        let mut text = String::new();
        let shown = serde_json::to_value(self).unwrap_or_default();
        for (name, value) in shown.as_object().into_iter().flatten() {
            let is_gauge =
                ["_running", "_waiting", "_streams", "_seconds", "_rate", "connections", "webhooks", "memory_bytes", "open_files"]
                    .iter()
                    .any(|end| name.ends_with(end));
            let (kind, end) = if is_gauge { ("gauge", "") } else { ("counter", "_total") };
            // Writing into a string cannot fail.
            let _ = writeln!(text, "# TYPE mainstem_{name}{end} {kind}\nmainstem_{name}{end} {value}");
        }
        text
    }
}

/// Asked of the system; none where it has no such file.
fn memory_bytes() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/self/statm").ok()?;
    told.split(' ').nth(1)?.parse::<u64>().ok().map(|pages| pages * PAGE_BYTES)
}

fn open_files() -> Option<u64> {
    std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64)
}

/// That the server is there.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
}

/// The routes by which a server tells of itself.
pub fn routes() -> Vec<Route> {
    let measured = Media::Json(SchemaGenerator::subschema_for::<Measured>);
    let healthy = Media::Json(SchemaGenerator::subschema_for::<Health>);
    vec![
        Route::of_server("/api/v1/health", Needs::Nothing, healthy, "Says that the server is there, and takes requests.", get(health)),
        Route::of_server("/api/v1/metrics", Needs::Server, measured, "What the server has counted.", get(metrics)),
        Route::of_server("/metrics", Needs::Server, Media::Text, "What the server has counted, as Prometheus reads it.", get(text)),
    ]
}

async fn health(State(shared): State<Arc<Shared>>) -> Answer<Health> {
    if shared.stop.is_asked() { Err(Refused(hall::stopping())) } else { Ok(Json(Health { status: "ok" })) }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Json<Measured> {
    Json(Measured::of(&shared))
}

async fn text(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], Measured::of(&shared).as_text()).into_response()
}
