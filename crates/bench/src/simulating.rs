//! F14: operations that the simulator carries out and judges in a second of the clock on the wall, on two threads.
use crate::figures::Figure;
use std::path::Path;
use std::process::Command;

/// Runs the simulator for half a minute; why not, where that failed.
pub fn figure() -> Result<Figure, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let build_folder = std::env::current_exe().expect("this program").parent().expect("a build folder").join("..");
    let mut run = Command::new("cargo");
    run.args(["run", "--profile", "simulate", "--quiet", "--package", "mainstem-simulator", "--manifest-path"]).arg(manifest);
    run.arg("--target-dir").arg(build_folder);
    let folder = tempfile::tempdir().expect("a place for temporary files");
    run.args(["--", "--minutes", "0.5", "--threads", "2", "--twice", "0", "--folder"]).arg(folder.path());
    // It exits with 1 where a seed did not hold, which is a figure of its own and in its answer; the speed is one all the same.
    let done = run.output().map_err(|e| format!("cargo: {e}"))?;
    let told = String::from_utf8_lossy(&done.stdout);
    let line = told.lines().find(|line| line.trim_start().starts_with("operations a second"));
    let speed = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
    let speed: f64 = speed.ok_or_else(|| format!("the simulator said {told}{}", String::from_utf8_lossy(&done.stderr)))?;
    Ok(Figure::at_least("F14 simulated operations a second, 2 threads, by the clock on the wall", 15_000.0, speed, "").wall(speed))
}
