//! Writes docs/performance.md.
use crate::figures::{Figure, table};

/// Prints the table and writes it into the documents with how it was measured.
pub fn write(figures: &[Figure]) {
    let table = table(figures);
    print!("{table}");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let page = format!(
        "# Performance\n\n\
         Written by `scripts/bench`; do not edit the table by hand. Run it again on your machine: the ratios travel better than the seconds.\n\n\
         {table}\n\
         ## How it is measured\n\n\
         - {} {}, {cores} cores, mainstem {}, SQLite {} (bundled), release build.\n\
         - CPU seconds of the whole process (user and system), not wall time. The ways are interleaved and each figure is the\n  \
           middle of five runs, but where it says otherwise.\n\
         - The narrow table is `{}`; rows are about 60 bytes. Capture is measured with `synchronous = OFF`, since it is the statements that are\n  \
           compared; everything else keeps its durability: the primary and the replicas sync every commit (`FULL`, write-ahead log).\n\
         - Peers do the same work on the same machine in the same run: the session extension records and stores its changeset;\n  \
           `sqlite3changeset_apply` and the prepared writes apply the very same 200,000 changes to the same rows, which are compared afterwards.\n\
         - After each sync the rows of both replicas are read again and their digests compared with each other and the primary's.\n\
         - Peak memory is `VmHWM` of a process that does nothing else; both ends, replica and primary, are in it.\n\
         - The ratio is what was measured divided by the goal, or the reverse where more is better: at most 1.00 is met.\n\n\
         ## What bounds memory\n\n\
         Init, commit, push, pull, clone, publish, verify and status hold no list that grows with the rows. What they hold is bounded by: a page\n\
         cache of 32 MiB for each connection (a push or pull in one process has two), 64 MiB of images while condensing and about as much while they\n\
         are settled, pages of at most 2,000 changes or about 512 KiB, pulls of about 4 MiB, and 65,536 links of moved keys. These do grow: the conflicts of one\n\
         version, rows that wait for a parent or clash in a unique index, rows restored at once, the rows whose operations are listed, and, where the primary is ahead, the keys that it\n\
         changed since, while its rows are compared. `cargo run --release -p mainstem-bench -- --matrix 500000 2000000` measures every command.\n",
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION"),
        rusqlite::version(),
        crate::capturing::TABLE,
    );
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
    std::fs::write(path, page).expect("the documents can be written");
}
