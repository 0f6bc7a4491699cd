//! Writes docs/performance.md and its pictures.
use crate::figures::{Figure, table};
use crate::plot;

/// Prints the table and writes it into the documents with how it was measured. `notes`: what could not be measured, and why.
pub fn write(figures: &[Figure], notes: &[String]) {
    let table = table(figures);
    print!("{table}");
    let documents = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let put = |name: &str, text: String| std::fs::write(documents.join(name), text).expect("the documents can be written");
    put("performance-goals.svg", plot::goals(figures));
    put("performance-peers.svg", plot::peers(figures));
    let notes: String = notes.iter().map(|note| format!("- {note}\n")).collect();
    put("performance.md", format!("{HEAD}{table}\n{}{notes}{REST}", machine()));
}

const HEAD: &str = "# Performance

Written by `scripts/bench`; do not edit it by hand. Run it again on your machine: the ratios travel better than the seconds. What was
tried where a goal is missed stands in [0011](design/0011-measuring.md).

![How far from the goals](performance-goals.svg)

![Beside others on the same work](performance-peers.svg)

";

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "## How it is measured\n\n\
         - {} {}, {cores} cores, mainstem {}, SQLite {} (bundled), release build.\n\
         - The narrow table is `{}`; rows are about 60 bytes.\n",
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION"),
        rusqlite::version(),
        crate::capturing::TABLE,
    )
}

const REST: &str = "\
- CPU seconds of the whole process (user and system); what the clock on the wall says stands beside it. The ways are interleaved and
  each figure is the middle of five runs or more, but where it says otherwise.
- Capture is measured with `synchronous = OFF`, since it is the statements that are compared; everything else keeps its durability: the
  primary and the replicas sync every commit (`FULL`, write-ahead log).
- Peers do the same work on the same machine in the same run. The session extension records and stores its changeset;
  `sqlite3changeset_apply` and the prepared writes apply the very same 200,000 changes to the same rows, which are compared afterwards.
- Text: libgit2, similar and diffy get three texts, as we do. yrs, loro and automerge get edits: both sides have made theirs when the clock
  starts, and are measured while one gives what is new and the other takes it and says its text. They keep a history that a merge of
  three texts does not have.
- PouchDB takes 100,000 documents from LevelDB over HTTP to a server and from there to another, all in one process, with batches of 1,000. It
  keeps a tree of revisions and speaks HTTP, and LevelDB syncs nothing; our way has no network in it yet.
- After each sync the rows of both replicas are read again and their digests compared with each other and the primary's.
- F11 opens the file each time. `sqlite3session_diff` stands for whoever has to compare, since it did not see the write.
- Peak memory is `VmHWM` of a process that does nothing else; both ends, replica and primary, are in it.
- The ratio is what was measured divided by the goal, or the reverse where more is better: at most 1.00 is met.

## What bounds memory

Init, commit, push, pull, clone, publish, verify and status hold no list that grows with the rows. What they hold is bounded by: a page
cache of 32 MiB for each connection (a push or pull in one process has two), 64 MiB of images while condensing and about as much while they
are settled, pages of at most 2,000 changes or about 512 KiB, pulls of about 4 MiB, and 65,536 links of moved keys. These do grow: the conflicts of one
version, rows that wait for a parent or clash in a unique index, rows restored at once, the rows whose operations are listed, and, where the primary is ahead, the keys that it
changed since, while its rows are compared. `cargo run --release -p mainstem-bench -- --matrix 500000 2000000` measures every command.
";
