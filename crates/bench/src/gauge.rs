//! CPU seconds and peak memory of this process, and the middle of several runs.
use rustix::time::{ClockId, clock_gettime};

/// CPU seconds of the whole process so far.
pub fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds of some work.
pub fn cost<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = cpu();
    let done = work();
    (cpu() - begun, done)
}

/// The most memory this process ever held, in MiB.
pub fn memory_mib_max() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells a process about itself");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("every process has a high water mark");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
}

/// The middle of several runs.
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
