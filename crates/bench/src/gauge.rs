//! CPU seconds, wall seconds and peak memory of this process, and the middle of several runs.
use rustix::time::{ClockId, clock_gettime};
use std::ops::{Add, Div};

/// What some work took, in seconds or in parts of one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// User and system time of the whole process.
    pub cpu: f64,
    /// By the clock on the wall.
    pub wall: f64,
}

impl Cost {
    /// Since the process began, or some other fixed moment.
    pub fn now() -> Cost {
        let seconds = |clock| {
            let time = clock_gettime(clock);
            time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
        };
        Cost { cpu: seconds(ClockId::ProcessCPUTime), wall: seconds(ClockId::Monotonic) }
    }

    /// What was spent since.
    pub fn spent(self) -> Cost {
        let now = Cost::now();
        Cost { cpu: now.cpu - self.cpu, wall: now.wall - self.wall }
    }

    /// The same for each of so many.
    pub fn each(self, count: f64, scale: f64) -> Cost {
        Cost { cpu: self.cpu / count * scale, wall: self.wall / count * scale }
    }
}

impl Add for Cost {
    type Output = Cost;
    fn add(self, other: Cost) -> Cost {
        Cost { cpu: self.cpu + other.cpu, wall: self.wall + other.wall }
    }
}

impl Div for Cost {
    type Output = Cost;
    /// How many times the other.
    fn div(self, other: Cost) -> Cost {
        Cost { cpu: self.cpu / other.cpu, wall: self.wall / other.wall }
    }
}

/// What some work takes.
pub fn cost<T>(work: impl FnOnce() -> T) -> (Cost, T) {
    let begun = Cost::now();
    let done = work();
    (begun.spent(), done)
}

/// The most memory this process ever held, in MiB.
pub fn memory_mib_max() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells a process about itself");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("every process has a high water mark");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
}

/// The middle of several runs, CPU and wall each by itself.
pub fn median(all: &[Cost]) -> Cost {
    let of = |part: fn(&Cost) -> f64| {
        let mut all: Vec<f64> = all.iter().map(part).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Cost { cpu: of(|c| c.cpu), wall: of(|c| c.wall) }
}
