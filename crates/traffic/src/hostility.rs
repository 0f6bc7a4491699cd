//! What others do to everybody else's pushes: one hostile member, thousands of slow sockets; and what the time of an answer tells.
#![expect(clippy::disallowed_methods, reason = "a load is put on and measured in real time")]
use crate::load::{self, Load, Outcome};
use crate::plain::Plain;
use crate::report::percentile;
use mainstem::error::Result;
use mainstem::token::Secret;
use mainstem::wiring::RealSurroundings;
use mainstem_http::HttpPrimary;
use mainstem_http::address::Address;
use mainstem_http::client::{HttpAccounts, Patience};
use mainstem_http::wire::frame::MEDIA_TYPE;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The hostile member's lines, by what they do.
const ASKING: usize = 64;
const CLONING: usize = 4;
const PUSHING: usize = 4;
const FOLLOWING: usize = 200;
/// Rows in one of its pushes.
const ROWS: usize = 10_000;
/// A slow socket says one byte this often.
const SLOW: Duration = Duration::from_secs(2);

/// Everybody else before and while somebody is hostile.
pub struct Beside {
    /// Alone.
    pub alone: Outcome,
    /// Beside it.
    pub beside: Outcome,
    /// What was done to the server meanwhile, in words.
    pub did: String,
}

impl Beside {
    /// Milliseconds within which 99 of 100 pushes were answered, before and meanwhile.
    pub fn p99(&self) -> (f64, f64) {
        let of = |outcome: &Outcome| percentile(&outcome.pushes.iter().map(|(_, ms)| *ms).collect::<Vec<_>>(), 99.0);
        (of(&self.alone), of(&self.beside))
    }
    /// True where everybody else's p99 was not doubled, and nobody's push failed.
    pub fn holds(&self) -> bool {
        let (alone, beside) = self.p99();
        beside <= 2.0 * alone && self.alone.errors.is_empty() && self.beside.errors.is_empty()
    }
}

/// T13: a member with a token like everybody's who asks, clones, pushes and follows as fast as the server lets them.
pub fn member(load: &Load, server: SocketAddr, token: &str) -> Result<Beside> {
    let alone = load::run(load.clone())?;
    let is_over = AtomicBool::new(false);
    let (answers, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let primary =
        || HttpPrimary::new(load.address.clone(), Some(token.to_string()), Patience { put_off: Duration::ZERO, ..Patience::default() });
    let count = |is_taken: bool| {
        if is_taken { &answers } else { &refused }.fetch_add(1, Relaxed);
    };
    let beside = thread::scope(|scope| {
        for _ in 0..ASKING {
            scope.spawn(|| ask_on(server, token, &is_over, &count));
        }
        for _ in 0..CLONING {
            scope.spawn(|| repeat(&is_over, || count(primary().and_then(|mut line| load::read_all(&mut line)).is_ok())));
        }
        for _ in 0..PUSHING {
            scope.spawn(|| repeat(&is_over, || count(primary().and_then(|mut line| load::push_once(&mut line, ROWS)).is_ok())));
        }
        let streams: Vec<Plain> = (0..FOLLOWING).map(|_| open_stream(server, token)).collect();
        let beside = load::run(load.clone());
        is_over.store(true, Relaxed);
        drop(streams);
        beside
    })?;
    let did = format!(
        "{ASKING} lines asking, {CLONING} cloning, {PUSHING} pushing {ROWS} rows at a time, {FOLLOWING} streams that nobody reads: {} answers, {} refusals",
        answers.load(Relaxed),
        refused.load(Relaxed)
    );
    Ok(Beside { alone, beside, did })
}

fn repeat(is_over: &AtomicBool, mut work: impl FnMut()) {
    while !is_over.load(Relaxed) {
        work();
    }
}

fn get(path: &str, token: &str) -> String {
    format!("GET /api/v1/datasets/load/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
}

fn ask_on(server: SocketAddr, token: &str, is_over: &AtomicBool, count: &dyn Fn(bool)) {
    repeat(is_over, || {
        let mut line = Plain::to(server);
        for _ in 0..100 {
            let sent = line.send(get("tables/entry/rows?limit=1000", token).as_bytes());
            let Some(came) = sent.ok().and_then(|()| line.answer()) else { return };
            count(came.status == 200);
            if is_over.load(Relaxed) {
                return;
            }
        }
    });
}

fn open_stream(server: SocketAddr, token: &str) -> Plain {
    let mut line = Plain::to(server);
    // A server that has enough of them says so; it is asked for no more than to be left alone.
    let _ = line.send(get("feed?follow=true", token).replace("\r\n\r\n", "\r\nAccept: text/event-stream\r\n\r\n").as_bytes());
    line
}

/// T25: sockets of strangers, a third silent, a third saying a byte of a head now and then, a third a byte of a body. Whoever
/// is cut comes back.
pub fn slow(load: &Load, server: SocketAddr, token: &str, sockets: usize) -> Result<Beside> {
    let alone = load::run(load.clone())?;
    let is_over = AtomicBool::new(false);
    let cut = AtomicU64::new(0);
    let beside = thread::scope(|scope| {
        let (ready, begun) = std::sync::mpsc::channel();
        let (over, cut) = (&is_over, &cut);
        scope.spawn(move || {
            let open = |number: usize| begin_slowly(server, token, number);
            let mut lines: Vec<Option<TcpStream>> = (0..sockets).map(open).collect();
            let _ = ready.send(lines.iter().flatten().count());
            while !over.load(Relaxed) {
                thread::sleep(SLOW);
                for (number, line) in lines.iter_mut().enumerate().filter(|(number, _)| number % 3 != 0) {
                    if line.as_mut().is_none_or(|line| line.write_all(b"x").is_err()) {
                        cut.fetch_add(1, Relaxed);
                        *line = open(number);
                    }
                }
            }
        });
        let open = begun.recv().unwrap_or_default();
        let beside = load::run(load.clone());
        is_over.store(true, Relaxed);
        beside.map(|beside| (open, beside))
    });
    let (open, beside) = beside?;
    let did = format!("{open} of {sockets} sockets opened at first, {} cut and opened again", cut.load(Relaxed));
    Ok(Beside { alone, beside, did })
}

fn begin_slowly(server: SocketAddr, token: &str, number: usize) -> Option<TcpStream> {
    let mut line = TcpStream::connect(server).ok()?;
    let begun = match number % 3 {
        0 => Ok(()),
        1 => line.write_all(b"GET / HTTP/1.1\r\nX-Slow: "),
        _ => {
            let head = format!(
                "POST /api/v1/datasets/load/primary/push HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: {MEDIA_TYPE}\r\nContent-Length: 1000000\r\n\r\n"
            );
            line.write_all(head.as_bytes())
        }
    };
    begun.ok().map(|()| line)
}

/// A token that was good and is revoked, and one that never was, for the administrator with that token.
pub fn two_bad_tokens(server: SocketAddr, administrator: &str) -> Result<(String, String)> {
    let address = Address::parse_server(&format!("http://{server}"))?;
    let mut accounts = HttpAccounts::new(address, Some(administrator.to_string()), Patience::default())?;
    let made = accounts.post(&["tokens"], &serde_json::json!({}))?;
    accounts.delete(&["tokens", &made["id"].to_string()])?;
    let revoked = made["token"].as_str().unwrap_or_default().to_string();
    Ok((revoked, Secret::new(&RealSurroundings, false).reveal().to_string()))
}

/// T2: how long a server takes to refuse a token that it once knew, and one that it never did, in turn on one line. Gives
/// Welch's t of the two, without the slowest hundredth of each.
pub fn timing(server: SocketAddr, known: &str, unknown: &str, requests: usize) -> f64 {
    let mut line = Plain::to(server);
    let mut ask = |token: &str| {
        let request = format!("GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        let began = Instant::now();
        let came = line.send(request.as_bytes()).ok().and_then(|()| line.answer()).expect("it is answered");
        assert_eq!(came.status, 401);
        began.elapsed().as_secs_f64() * 1e6
    };
    let mut times: [Vec<f64>; 2] = Default::default();
    for round in 0..requests * 2 {
        // Which is asked first changes, so that neither always follows the other.
        let which = (round + round / 2) % 2;
        times[which].push(ask([known, unknown][which]));
    }
    let kept = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() - times.len() / 100);
        times
    });
    welch(&kept[0], &kept[1])
}

/// Welch's t of two samples.
pub fn welch(one: &[f64], other: &[f64]) -> f64 {
    let of = |sample: &[f64]| {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let variance = sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((one, one_error), (other, other_error)) = (of(one), of(other));
    (one - other) / (one_error + other_error).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_of_welch_is_his() {
        let one = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4];
        let other = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 30.5, 26.1];
        // As Python's statistics module has it.
        assert!((welch(&one, &other) + 2.930_265_866).abs() < 1e-8, "{}", welch(&one, &other));
        assert_eq!(welch(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 0.0);
    }
}
