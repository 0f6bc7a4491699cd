//! Files and folders that are damaged, read-only or full.
use crate::desk::{Desk, Said, finish};
use crate::team::*;

const START: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two');";

/// Asserts that a file which is no database is refused by every way in, and stays as it is.
fn assert_refused(desk: &Desk, file: &str) {
    let before = desk.fingerprint(&[file]);
    for args in [vec!["init", file], vec!["--db", file, "status"], vec!["--db", file, "sync"], vec!["--db", file, "deinit"]] {
        let said = desk.run(&args);
        said.refuses(said.code, file);
        assert!([2, 4, 7].contains(&said.code), "{args:?}: {said:?}");
    }
    assert_eq!(desk.fingerprint(&[file]), before, "{file} was changed");
    for end in ["-wal", "-shm", "-journal"] {
        assert!(!desk.path(&format!("{file}{end}")).exists(), "{file}{end} was left behind");
    }
}

#[test]
fn not_a_database() {
    let desk = Desk::new();
    std::fs::write(desk.path("letter.db"), "Dear reader, this is a letter.\n".repeat(500)).expect("written");
    assert_refused(&desk, "letter.db");
    // An encrypted file looks like noise of a plausible size.
    desk.python("import random,sys; random.seed(7); open(sys.argv[1],'wb').write(random.randbytes(16384))", &["encrypted.db"]);
    assert_refused(&desk, "encrypted.db");
    std::fs::create_dir(desk.path("folder.db")).expect("made");
    let said = desk.run(&["init", "folder.db"]);
    said.refuses(said.code, "folder.db");
}

#[test]
fn a_corrupt_database() {
    let desk = Desk::new();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n;";
    desk.sql("whole.db", &format!("{START}{fill}"));
    let size: usize =
        desk.sql("whole.db", "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size;").trim().parse().expect("a number");
    let spoil = "import sys; b = bytearray(open(sys.argv[1],'rb').read()); o, n = int(sys.argv[3]), int(sys.argv[4])\nb[o:o+n] = bytes(x ^ 0x5a for x in b[o:o+n])\nopen(sys.argv[2],'wb').write(b[:int(sys.argv[5])])";
    let whole = size.to_string();
    // The schema page; the root of the table; a cut in the middle.
    for (name, offset, length, keep) in
        [("schema.db", "100", "400", whole.as_str()), ("root.db", "4096", "4096", &whole), ("cut.db", "0", "0", "20000")]
    {
        desk.python(spoil, &["whole.db", name, offset, length, keep]);
        let before = desk.fingerprint(&[name]);
        let said = desk.run(&["--as", "ada", "init", name]);
        said.refuses(7, name);
        assert_eq!(desk.fingerprint(&[name]), before, "{name} was changed");
    }
}

#[test]
fn a_primary_that_is_damaged() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    members[0].sql("UPDATE t SET v = 'by Ada' WHERE id = 1;");
    let rows = desk.rows("ada.db");
    std::fs::write(desk.path(PRIMARY_DB), "not a database any more".repeat(400)).expect("written");
    let said = members[0].run(&["sync"]);
    said.refuses(7, "primary");
    assert_eq!(desk.rows("ada.db"), rows);
    let said = desk.run(&["--as", "cyd", "clone", PRIMARY, "cyd.db"]);
    said.refuses(7, "primary");
    assert!(!desk.path("cyd.db").exists());
}

/// Runs the program as a user whom permissions bind. None, with a message, where that is not possible.
fn as_nobody(desk: &Desk, args: &[&str]) -> Option<Said> {
    let is_root = finish(desk.command("id").arg("-u")).out.trim() == "0";
    if !is_root {
        return Some(desk.run(args));
    }
    let program = env!("CARGO_BIN_EXE_mainstem");
    let prefix = ["--reuid=65534", "--regid=65534", "--clear-groups", program];
    let can = finish(desk.command("setpriv").args(prefix).arg("--version"));
    if can.code != 0 {
        eprintln!("skipped: root is not bound by permissions, and setpriv cannot run the program as somebody else: {can:?}");
        return None;
    }
    Some(finish(desk.command("setpriv").args(prefix).args(args)))
}

fn mode(desk: &Desk, mode: &str, name: &str) {
    let said = finish(desk.command("chmod").args([mode, name]));
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_read_only_file() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    desk.sql("plain.db", START);
    mode(&desk, "755", ".");
    for name in ["plain.db", "ada.db"] {
        mode(&desk, "444", name);
    }
    let before = desk.fingerprint(&["plain.db", "ada.db"]);
    let Some(said) = as_nobody(&desk, &["--as", "ada", "init", "plain.db"]) else {
        return;
    };
    said.refuses(6, "plain.db");
    assert!(said.err.contains("read-only") || said.err.contains("permission"), "{said:?}");
    let said = as_nobody(&desk, &["--db", "ada.db", "--as", "ada", "sync"]).expect("it worked above");
    said.refuses(6, "ada.db");
    assert_eq!(desk.fingerprint(&["plain.db", "ada.db"]), before);
    for name in ["plain.db", "ada.db"] {
        mode(&desk, "644", name);
    }
    assert_together(&[&members[0]]);
}

#[test]
fn a_read_only_folder() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    std::fs::create_dir(desk.path("locked")).expect("made");
    mode(&desk, "755", ".");
    mode(&desk, "777", PRIMARY);
    mode(&desk, "666", PRIMARY_DB);
    mode(&desk, "555", "locked");
    let Some(said) = as_nobody(&desk, &["--as", "bob", "clone", PRIMARY, "locked/bob.db"]) else {
        return;
    };
    said.refuses(6, "folder is read-only");
    desk.sql("cyd.db", START);
    desk.ok(&["--as", "cyd", "init", "cyd.db"]);
    mode(&desk, "666", "cyd.db");
    mode(&desk, "777", ".");
    let said = as_nobody(&desk, &["--db", "cyd.db", "--as", "cyd", "publish", "locked/primary"]).expect("it worked above");
    said.refuses(said.code, "locked");
    assert_eq!(std::fs::read_dir(desk.path("locked")).expect("readable").count(), 0, "nothing was left");
    mode(&desk, "755", "locked");
    assert_together(&[&members[0]]);
}

/// Runs the program with room for only so many KiB in each file it writes, as on a disk that is full.
fn cramped(desk: &Desk, kib: u64, args: &[&str]) -> Said {
    // The signal is ignored, so that the write fails with an error as it does on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\"");
    finish(desk.command("bash").args(["-c", &script, "bash", env!("CARGO_BIN_EXE_mainstem")]).args(args))
}

#[test]
fn a_full_disk() {
    let desk = Desk::new();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO t SELECT i, hex(randomblob(100)) FROM n;";
    let members = found_from_sql(&desk, &format!("{START}{fill}"), &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    desk.copy(desk.path("ada.db"), "before-init.db");
    pair[0].sql("UPDATE t SET v = 'changed ' || hex(randomblob(100));");
    let (rows, primary) = (desk.rows("ada.db"), desk.rows(PRIMARY_DB));
    let said = cramped(&desk, 64, &["--db", "ada.db", "--as", "ada", "sync"]);
    said.refuses(6, "");
    assert_eq!(desk.rows("ada.db"), rows, "after a push without room");
    assert_eq!(desk.rows(PRIMARY_DB), primary);
    let said = cramped(&desk, 64, &["--as", "cyd", "clone", PRIMARY, "cyd.db"]);
    said.refuses(6, "");
    assert!(!desk.path("cyd.db").exists(), "half a clone is no replica");
    // With room again, everything goes on.
    until_quiet(&pair);
    assert_together(&pair);
    desk.ok(&["--as", "cyd", "clone", PRIMARY, "cyd.db"]);
    assert_together(&[pair[0], pair[1], &Member::new(&desk, "cyd", "cyd.db")]);
}
