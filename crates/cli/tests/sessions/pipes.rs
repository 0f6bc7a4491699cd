//! Output that nobody reads, or that cannot be written, and colour where it does not belong.
use std::io::Read;
use std::process::{Command, Stdio};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstem"));
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.db");
    let db = rusqlite::Connection::open(&path).expect("a database");
    db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)").expect("made");
    let file = path.to_str().expect("a UTF-8 path");
    assert!(program(&["init", file, "--as", "ann"]).stdout(Stdio::null()).status().expect("it ran").success());
    // More than a pipe holds, so that writing meets the closed end for certain.
    let many = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
                INSERT INTO t SELECT i, 'a text of some length, number ' || i FROM c";
    db.execute_batch(many).expect("filled");
    for form in [&["diff"][..], &["diff", "--json"], &["diff", "--sql"], &["diff", "--html"], &["status", "--json"]] {
        let mut child = program(&[&["--db", file], form].concat()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut first = [0; 64];
        child.stdout.take().expect("a pipe").read_exact(&mut first).expect("something is said");
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(0), "{form:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{form:?}");
    }
}

#[test]
fn a_pipe_has_no_colour() {
    for arguments in [&["help"][..], &["--db", "nowhere.db", "status"], &["resolve"]] {
        let said = program(arguments).env_remove("CLICOLOR_FORCE").stdout(Stdio::piped()).output().expect("it ran");
        let all = [said.stdout, said.stderr].concat();
        assert!(!all.contains(&0x1b) && !all.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&all));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let said = program(&["completions", "bash"]).stdout(full).output().expect("it ran");
    assert_eq!(said.status.code(), Some(6));
    let said = String::from_utf8(said.stderr).expect("UTF-8");
    assert!(said.starts_with("error: the output cannot be written") && said.lines().count() == 1, "{said}");
}
