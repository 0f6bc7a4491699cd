//! What a load came to: percentiles, memory, and a picture of how long pushes took, second by second.
#![expect(clippy::disallowed_methods, reason = "memory is read once a second")]
use crate::load::{Load, Outcome};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A server's resident memory over a run, in KiB; empty where it is another machine's.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// One reading for each second.
    pub readings: Vec<u64>,
}

/// Reads a process' memory each second.
pub struct Gauge {
    is_over: Arc<AtomicBool>,
    process: Arc<AtomicU32>,
    reader: JoinHandle<Memory>,
}

impl Gauge {
    /// Begins to read; nothing while there is no process.
    pub fn begin(process: Option<u32>) -> Gauge {
        let is_over = Arc::new(AtomicBool::new(false));
        let process = Arc::new(AtomicU32::new(process.unwrap_or_default()));
        let (over, of) = (is_over.clone(), process.clone());
        let reader = thread::spawn(move || {
            let mut memory = Memory::default();
            while !over.load(Ordering::Relaxed) {
                memory.readings.extend(resident(of.load(Ordering::Relaxed)));
                thread::sleep(Duration::from_secs(1));
            }
            memory
        });
        Gauge { is_over, process, reader }
    }
    /// Another process is the server from now on.
    pub fn follow(&self, process: u32) {
        self.process.store(process, Ordering::Relaxed);
    }
    /// Ends and gives back what was read.
    pub fn end(self) -> Memory {
        self.is_over.store(true, Ordering::Relaxed);
        self.reader.join().unwrap_or_default()
    }
}

fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().trim_end_matches(" kB").parse().ok())
}

/// The value below which so many hundredths of all are.
pub fn percentile(values: &[f64], hundredths: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * hundredths / 100.0).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// A report for people.
pub fn text(load: &Load, outcome: &Outcome, memory: &Memory) -> String {
    let mut text = format!(
        "{} replicas connected, {} of them pulling; {} pushing {} times a second, {} changes each, for {} s\n",
        load.listening, load.pulling, load.pushing, load.rate, load.changes, load.seconds
    );
    let pushes: Vec<f64> = outcome.pushes.iter().map(|(_, ms)| *ms).collect();
    for (what, values) in [("push", &pushes), ("notice", &outcome.notices), ("pull", &outcome.pulls), ("return", &outcome.returns)] {
        if values.is_empty() {
            continue;
        }
        let at = |hundredths| percentile(values, hundredths);
        let _ = writeln!(
            text,
            "{what:>7}: {:>7} in all, p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
            values.len(),
            at(50.0),
            at(90.0),
            at(99.0),
            at(100.0)
        );
    }
    if let (Some(first), Some(last), Some(most)) = (memory.readings.first(), memory.readings.last(), memory.readings.iter().max()) {
        let mib = |kib: &u64| *kib as f64 / 1024.0;
        let _ = writeln!(text, " memory: {:.1} MiB at first, {:.1} at last, {:.1} at most", mib(first), mib(last), mib(most));
    }
    let _ = writeln!(text, "   head: version {}", outcome.head);
    let _ = writeln!(text, " errors: {}", outcome.errors.len());
    for error in outcome.errors.iter().take(5) {
        let _ = writeln!(text, "         {error}");
    }
    text
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 50.0;

/// Each second's median and p99 of pushes, as SVG.
pub fn picture(load: &Load, outcome: &Outcome) -> String {
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); load.seconds.max(1) as usize];
    for (second, ms) in &outcome.pushes {
        if let Some(values) = seconds.get_mut(*second as usize) {
            values.push(*ms);
        }
    }
    let most = seconds.iter().flatten().fold(1.0f64, |most, ms| most.max(*ms));
    let x = |second: usize| LEFT + second as f64 / seconds.len() as f64 * (WIDTH - LEFT - 20.0);
    let y = |ms: f64| HEIGHT - 30.0 - ms / most * (HEIGHT - TOP - 30.0);
    let line = |hundredths: f64, colour: &str| {
        let points = seconds.iter().enumerate().filter(|(_, values)| !values.is_empty());
        let points: Vec<String> =
            points.map(|(second, values)| format!("{:.1},{:.1}", x(second), y(percentile(values, hundredths)))).collect();
        format!("<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\n", points.join(" "))
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\" fill=\"#222222\">How long pushes took, second by second</text>\n\
         <text x=\"10\" y=\"37\" fill=\"#666666\">{} replicas connected, {} pushes a second of {} changes; median (green), p99 (red); ms</text>\n\
         <text x=\"10\" y=\"{:.1}\" fill=\"#666666\">{most:.0}</text>\n<text x=\"10\" y=\"{:.1}\" fill=\"#666666\">0</text>\n{}{}</svg>\n",
        load.listening,
        load.rate,
        load.changes,
        y(most),
        y(0.0),
        line(50.0, "#2a7f62"),
        line(99.0, "#c8553d"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!([50.0, 99.0, 100.0].map(|at| percentile(&values, at)), [100.0, 198.0, 200.0]);
        assert_eq!(percentile(&[7.0], 1.0), 7.0);
        assert!(percentile(&[], 50.0).is_nan());
    }
}
