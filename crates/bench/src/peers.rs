//! Other people's programs on the same work: what is built or installed only for a measurement, and run as a process.
//!
//! Everything is put into a temporary folder or the build folder; where a tool is absent, its peers are left out and that is said.
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a peer needs for one merge, in microseconds of CPU.
pub struct Merging {
    /// Who.
    pub peer: String,
    /// The case, by its folder's name.
    pub case: String,
    /// Microseconds.
    pub micros: f64,
    /// True where the merge is byte for byte the expected one.
    pub is_exact: bool,
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/peers")
}

/// Runs a program; its output, or why there is none.
pub fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|e| format!("{name}: {e}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).lines().last().unwrap_or_default().to_string();
        return Err(format!("{name} failed: {said}"));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Libraries that merge text, each on every case of a folder.
pub fn texts(cases: &Path) -> Result<Vec<Merging>, String> {
    let built = std::env::current_exe().expect("this program").parent().expect("a build folder").join("../peers");
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--quiet", "--locked", "--manifest-path"]).arg(scripts().join("texts/Cargo.toml"));
    output(build.arg("--target-dir").arg(&built))?;
    let told = output(Command::new(built.join("release/mainstem-peers")).arg(cases))?;
    let read = |line: &str| {
        let [peer, case, micros, exact] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
        Some(Merging { peer: peer.into(), case: case.into(), micros: micros.parse().ok()?, is_exact: exact == "true" })
    };
    Ok(told.lines().filter_map(read).collect())
}

/// `git merge-file` on one case; the program's start is in it.
pub fn git_merge_file(case: &Path) -> Result<String, String> {
    output(Command::new("git").args(["merge-file", "-p", "-q", "ours", "base", "theirs"]).current_dir(case))
}

/// PouchDB's way of 100,000 rows over a server: CPU and wall seconds.
pub fn documents(rows: i64) -> Result<(f64, f64), String> {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    for name in ["package.json", "sync.js"] {
        std::fs::copy(scripts().join("documents").join(name), folder.path().join(name)).map_err(|e| e.to_string())?;
    }
    std::fs::create_dir(folder.path().join("data")).map_err(|e| e.to_string())?;
    output(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(folder.path()))?;
    let told = output(Command::new("node").args(["sync.js", "data", &rows.to_string()]).current_dir(folder.path()))?;
    let seconds: Vec<f64> = told.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    match seconds[..] {
        [cpu, wall] => Ok((cpu, wall)),
        _ => Err(format!("node said {told}")),
    }
}
