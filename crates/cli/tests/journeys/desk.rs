//! A folder of its own for one test, and the programs that a user has: `mainstem`, `sqlite3`, `python3`.
//!
//! Invariant: nothing of the caller's environment reaches the programs that could change what they do.
use serde_json::Value as Json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Prints every row of the user's tables, one line each, sorted, with storage class and exact bytes.
const EXACT: &str = r#"
import sqlite3, struct, sys
class Text(bytes): pass
def show(v):
    if v is None: return 'null'
    if isinstance(v, Text):
        try: return 't"%s"' % v.decode('utf-8').encode('unicode_escape').decode()
        except UnicodeDecodeError: return 'T' + v.hex()
    if isinstance(v, bytes): return 'b' + v.hex() if len(v) < 100 else 'b%d:%s' % (len(v), __import__('hashlib').sha256(v).hexdigest())
    if isinstance(v, int): return 'i%d' % v
    return 'r' + struct.pack('>d', v).hex() + '(%r)' % v
con = sqlite3.connect(sys.argv[1])
con.text_factory = Text
left_out = sys.argv[2:]
tables = [bytes(r[0]).decode() for r in con.execute("SELECT name FROM sqlite_master WHERE type='table' AND sql NOT LIKE 'CREATE VIRTUAL%'")]
lines = []
for t in tables:
    if t.startswith(('sqlite_', 'mainstem_')) or t in left_out: continue
    cur = con.execute('SELECT * FROM "%s"' % t.replace('"', '""'))
    names = [d[0] for d in cur.description]
    order = sorted(range(len(names)), key=lambda i: names[i])
    n = 0
    for row in cur:
        n += 1
        lines.append(t + '|' + '|'.join('%s=%s' % (names[i], show(row[i])) for i in order))
    lines.append('%s has %d rows' % (t, n))
lines.sort()
sys.stdout.write('\n'.join(lines) + '\n')
"#;

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The output as JSON.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }

    /// Asserts one clear line and a hint, the exit code, and that nothing looks like a crash.
    pub fn refuses(&self, code: i32, names: &str) {
        assert_eq!(self.code, code, "exit code: {self:?}");
        assert!(!self.err.contains("panicked"), "a panic: {self:?}");
        let errors: Vec<&str> = self.err.lines().filter(|l| l.starts_with("error")).collect();
        assert_eq!(errors.len(), 1, "one error line: {self:?}");
        let named = self.err.to_lowercase().contains(&names.to_lowercase());
        assert!(named, "the message names {names:?}: {self:?}");
        assert!(self.err.lines().any(|l| l.trim_start().starts_with("hint")), "a hint: {self:?}");
    }
}

/// A test's own folder.
pub struct Desk {
    folder: TempDir,
}

impl Desk {
    /// An empty folder.
    pub fn new() -> Desk {
        Desk { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A place in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that runs in the folder with a clean environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).env("NO_COLOR", "1");
        for name in ["MAINSTEM_DB", "MAINSTEM_ACTOR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        command
    }

    /// The program under test with arguments.
    pub fn program(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_mainstem"));
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs `mainstem`.
    pub fn run(&self, args: &[&str]) -> Said {
        finish(&mut self.program(args))
    }

    /// Runs `mainstem`, which must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "mainstem {}: {said:?}", args.join(" "));
        said.out
    }

    /// Runs SQL in the `sqlite3` shell, as another program would.
    pub fn sql(&self, db: &str, sql: &str) -> String {
        let said = self.try_sql(db, sql);
        assert!(said.code == 0 && said.err.is_empty(), "sqlite3 {db}: {said:?}\n{sql}");
        said.out
    }

    /// The same where the SQL may fail.
    pub fn try_sql(&self, db: &str, sql: &str) -> Said {
        let mut command = self.command("sqlite3");
        command.args(["-batch", "-bail", "-cmd", ".timeout 20000", db]);
        feed(&mut command, sql.as_bytes())
    }

    /// Runs a Python script.
    pub fn python(&self, script: &str, args: &[&str]) -> String {
        let said = finish(self.command("python3").arg("-c").arg(script).args(args).stdin(Stdio::null()));
        assert_eq!(said.code, 0, "python3: {said:?}");
        said.out
    }

    /// Starts a Python script that prints a line when it is ready and ends when its input closes.
    pub fn python_held(&self, script: &str, args: &[&str]) -> Held {
        let mut command = self.command("python3");
        command.arg("-u").arg("-c").arg(script).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 is installed");
        let mut line = String::new();
        let out = child.stdout.take().expect("stdout is piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
        assert_eq!(line.trim(), "ready");
        Held { child }
    }

    /// Every row of the user's tables to the bit, sorted.
    pub fn rows(&self, db: &str) -> String {
        self.python(EXACT, &[db])
    }

    /// The same without some tables.
    pub fn rows_without(&self, db: &str, left_out: &[&str]) -> String {
        self.python(EXACT, &[&[db], left_out].concat())
    }

    /// The shell's `.dump`.
    pub fn dump(&self, db: &str) -> String {
        self.sql(db, ".dump\n")
    }

    /// The bytes of the files of that name and its companions, told apart by another process.
    pub fn fingerprint(&self, names: &[&str]) -> String {
        let script = r#"for f in "$@"; do if [ -d "$f" ]; then find "$f" -type f -name '*.db' | sort | xargs -r sha256sum; else sha256sum "$f"; fi; done"#;
        let said = finish(self.command("bash").args(["-c", script, "bash"]).args(names));
        assert_eq!(said.code, 0, "sha256sum: {said:?}");
        said.out
    }

    /// Copies a file by another process, so that no descriptor of ours touches a database.
    pub fn copy(&self, from: impl AsRef<Path>, to: &str) {
        let said = finish(self.command("cp").arg("-r").arg(from.as_ref()).arg(to));
        assert_eq!(said.code, 0, "cp: {said:?}");
        let said = finish(self.command("chmod").args(["-R", "u+w", to]));
        assert_eq!(said.code, 0, "chmod: {said:?}");
    }

    /// Asserts that SQLite finds the file whole and its links kept.
    pub fn assert_sound(&self, db: &str) {
        assert_eq!(self.sql(db, "PRAGMA integrity_check;").trim(), "ok", "{db}");
        assert_eq!(self.sql(db, "PRAGMA foreign_key_check;").trim(), "", "{db}");
    }
}

/// A program that holds something until it is dropped.
pub struct Held {
    child: Child,
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("it ends when its input closes");
    }
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Said {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command with that input.
pub fn feed(command: &mut Command, input: &[u8]) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    // A thread, because a program that prints a lot before it has read all would wait for us for ever.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it runs");
    writer.join().expect("the writer ends");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A file of the real data that lies beside the project, or a message and none.
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("MAINSTEM_SHARED_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return path.canonicalize().ok();
    }
    eprintln!("skipped: {name} is not in {} (set MAINSTEM_SHARED_DATA)", folder.display());
    None
}

/// A number from the environment, or the one for every day.
pub fn volume(name: &str, everyday: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(everyday)
}

/// Small seeded numbers, so that a failing run can be repeated.
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    /// The next number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}
