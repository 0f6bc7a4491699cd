//! Tidy: the rules of the house that a compiler does not keep, as plain tests over the files that Git knows.
//!
//! Invariant: an exception is written down with its reason, and one that is not needed any more is a failure, so the
//! lists only shrink.
mod hazards;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTION_LINES_MAX: usize = 70;
const COMMAND_LINES_MAX: usize = 40;
const FILE_LINES_MAX: usize = 600;

/// Functions longer than allowed: `path::name`, and why.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];
/// Files longer than allowed, and why.
const LONG_FILES: &[(&str, &str)] = &[];
/// Files that open files themselves, and why none is a tracked one.
const FILE_OPENERS: &[(&str, &str)] = &[
    ("crates/sqlite/src/lock.rs", "the lock files beside a database, under names of their own"),
    (
        "crates/sqlite/src/registry.rs",
        "makes a server's accounts for their owner only, where no file is yet; never opens one that is there",
    ),
    ("crates/sqlite/src/replica/mod.rs", "only where the bug J1 is planted, which is that very mistake"),
    ("crates/sqlite/src/part.rs", "folders, to make a rename last, and files of our own that no connection has open"),
    ("crates/cli/src/credentials.rs", "the tokens of servers, in the user's configuration folder"),
    ("crates/cli/src/policy_edit.rs", "the text that the user's editor writes, a new file"),
    ("crates/cli/src/wiring.rs", "output files; a database is refused before"),
    ("crates/cli/src/watch/record.rs", "what a watch leaves for other terminals, in the user's runtime folder"),
    ("crates/cli/src/serve_settings.rs", "a server's settings, which the user names or wrote into its folder"),
    ("crates/cli/src/commands/datasets.rs", "what a server exports, a new file that nobody has open"),
    ("crates/cli/src/changeset_source.rs", "changeset files and bundles; a database is refused before"),
];
/// Files that start other programs, and why.
const PROGRAM_STARTERS: &[(&str, &str)] = &[
    ("crates/planted/src/main.rs", "some planted bugs never come to an end, so each is hunted in a process of its own"),
    ("crates/planted/src/stories.rs", "programs with their own SQLite are what some planted bugs are about"),
    ("crates/bench/src/memory.rs", "peak memory is a process's, so each command is measured in one of its own"),
    ("crates/bench/src/feeding.rs", "who writes is a process of its own, as apps are"),
    ("crates/bench/src/peers.rs", "peers are other people's programs"),
    ("crates/bench/src/simulating.rs", "the simulator is a program of its own"),
    ("crates/traffic/src/apart.rs", "a server that is to be killed is a process of its own"),
    ("crates/browser/src/line.rs", "the browser is a program of its own"),
    ("crates/cli/src/policy_edit.rs", "`policy edit` opens the editor that the user configured"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

/// The files that Git knows, and those it would add.
fn files() -> Vec<String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(root()).output().expect("git is installed");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are text");
    text.lines().map(str::to_string).filter(|f| root().join(f).is_file()).collect()
}

fn read(file: &str) -> String {
    let bytes = std::fs::read(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn rust_files() -> Vec<String> {
    files().into_iter().filter(|f| f.ends_with(".rs")).collect()
}

/// Rust that is shipped: not under `tests/` or `benches/`, and no module that exists for tests alone.
fn shipped() -> Vec<String> {
    let all = rust_files();
    let for_tests: BTreeSet<String> = all.iter().flat_map(|file| test_modules(file)).collect();
    let is_test = |f: &String| f.contains("/tests/") || f.contains("/benches/") || for_tests.contains(f);
    all.into_iter().filter(|f| !is_test(f)).collect()
}

/// The files that a file declares as `#[cfg(test)] mod name;`.
fn test_modules(file: &str) -> Vec<String> {
    let blank = source::blanked(&read(file));
    let folder = match file.rsplit_once('/') {
        Some((folder, "lib.rs" | "main.rs" | "mod.rs")) => folder.to_string(),
        _ => file.trim_end_matches(".rs").to_string(),
    };
    let declared = blank.split("#[cfg(test)]").skip(1).filter_map(|rest| {
        let item = rest.split_once(';')?.0;
        item.rsplit_once("mod ").map(|(_, name)| name.trim().to_string()).filter(|name| !name.contains(['{', ' ']))
    });
    declared.map(|name| format!("{folder}/{name}.rs")).collect()
}

fn assert_none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// Compares what was found with the written exceptions, both ways.
fn assert_only(what: &str, found: BTreeMap<String, String>, exceptions: &[(&str, &str)]) {
    let written: BTreeSet<&str> = exceptions.iter().map(|(name, _)| *name).collect();
    let unexpected = found.iter().filter(|(name, _)| !written.contains(name.as_str()));
    assert_none(what, unexpected.map(|(name, detail)| format!("{name}: {detail}")).collect());
    let spent = written.iter().filter(|name| !found.contains_key(**name));
    assert_none("exceptions that are not needed any more", spent.map(|s| s.to_string()).collect());
}

#[test]
fn functions_are_short() {
    let mut found = BTreeMap::new();
    for file in shipped() {
        let max = if file.starts_with("crates/cli/src/commands/") { COMMAND_LINES_MAX } else { FUNCTION_LINES_MAX };
        for function in source::functions(&read(&file)) {
            if function.lines > max {
                let detail = format!("{} lines, at most {max}", function.lines);
                found.insert(format!("{file}::{}", function.name), detail);
            }
        }
    }
    assert_only("functions that are too long", found, LONG_FUNCTIONS);
}

#[test]
fn files_are_short() {
    let mut found = BTreeMap::new();
    for file in shipped() {
        let lines = source::net_lines(&read(&file));
        if lines > FILE_LINES_MAX {
            found.insert(file, format!("{lines} lines net of tests, at most {FILE_LINES_MAX}"));
        }
    }
    assert_only("files that are too long", found, LONG_FILES);
}

#[test]
fn long_tests_live_in_files_of_their_own() {
    let mut found = Vec::new();
    for file in shipped() {
        let text = read(&file);
        let tests = text.lines().count() - source::net_lines(&text);
        if tests > 170 {
            found.push(format!("{file}: {tests} lines of tests; move them to a sibling tests.rs"));
        }
    }
    assert_none("files with long tests inside", found);
}

#[test]
fn every_file_has_a_head() {
    let without = rust_files().into_iter().filter(|f| !read(f).starts_with("//!"));
    assert_none("Rust files that do not begin with `//!`", without.collect());
}

#[test]
fn names_say_what_is_inside() {
    let banned = ["util", "utils", "common", "types", "helper", "helpers", "manager", "misc"];
    let mut found = Vec::new();
    for file in files() {
        for part in file.split('/') {
            let stem = part.split('.').next().unwrap_or(part);
            if stem.split(['_', '-']).any(|word| banned.contains(&word)) {
                found.push(file.clone());
            }
        }
        if file.ends_with(".rs") {
            let blank = source::blanked(&read(&file));
            let mods = blank.lines().filter_map(|l| l.trim().trim_start_matches("pub ").strip_prefix("mod "));
            for name in mods.map(|m| m.trim_end_matches([';', '{', ' '])) {
                if banned.contains(&name) {
                    found.push(format!("{file}: mod {name}"));
                }
            }
        }
    }
    assert_none("names that say nothing", found);
}

#[test]
fn nothing_is_left_for_later_and_no_machine_is_named() {
    // Put together here, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("unimpl", "emented!"), concat!("to", "do!(")];
    let places = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("/bash_", "jobs")];
    let mut found = Vec::new();
    for file in files().iter().filter(|f| *f != "Cargo.lock") {
        for (number, line) in read(file).lines().enumerate() {
            if let Some(mark) = marks.iter().chain(&places).find(|m| line.contains(**m)) {
                found.push(format!("{file} line {}: {mark}", number + 1));
            }
        }
    }
    assert_none("marks for later, or paths of somebody's machine", found);
}

#[test]
fn core_is_pure() {
    let banned = ["std::", "extern crate std", "serde", "SystemTime", "Instant::", "rand::", "println!", "unsafe "];
    let mut found = Vec::new();
    for file in shipped().iter().filter(|f| f.starts_with("crates/core/src/")) {
        let blank = source::without_tests(&read(file));
        for (number, line) in blank.lines().enumerate() {
            if let Some(word) = banned.iter().find(|w| line.contains(**w)) {
                found.push(format!("{file} line {}: {word}", number + 1));
            }
        }
    }
    assert_none("core has no I/O, no clock, no randomness, no serde", found);
    let head = read("crates/core/src/lib.rs");
    assert!(head.contains("#![no_std]"), "core is no_std");
}

#[test]
fn tracked_files_are_opened_by_sqlite_alone() {
    let openers = [
        "File::open",
        "File::create",
        "File::options",
        "fs::read(",
        "fs::read_to_string",
        "fs::copy",
        "fs::write",
        "OpenOptions",
        "fs::hard_link",
        "fs::open(",
        "fs::openat",
        "File::from",
        "NamedTempFile",
        "libc::open",
        "memmap",
    ];
    let mut found = BTreeMap::new();
    let places = ["crates/sqlite/src/", "crates/mainstem/src/", "crates/cli/src/"];
    for file in shipped().iter().filter(|f| places.iter().any(|p| f.starts_with(p))) {
        let blank = source::without_tests(&read(file));
        if let Some(word) = openers.iter().find(|w| blank.contains(**w)) {
            found.insert(file.clone(), format!("{word} (CAP-10: a plain close drops the process's locks)"));
        }
    }
    assert_only("files opened past SQLite", found, FILE_OPENERS);
}

#[test]
fn other_programs_are_started_where_it_is_written() {
    let mut found = BTreeMap::new();
    for file in shipped() {
        if source::without_tests(&read(&file)).contains("Command::new") && !is_argument_parser(&file) {
            found.insert(file, "starts another program".to_string());
        }
    }
    assert_only("starting of other programs", found, PROGRAM_STARTERS);
}

/// The argument parser has a `Command` of its own.
fn is_argument_parser(file: &str) -> bool {
    let text = read(file);
    !text.contains("process::Command") && !text.contains("process::{")
}

/// The dependencies of a crate by section.
fn dependencies(manifest: &str, section: &str) -> BTreeSet<String> {
    let document: toml_edit::DocumentMut = read(manifest).parse().unwrap_or_else(|e| panic!("{manifest}: {e}"));
    let table = document.get(section).and_then(|s| s.as_table());
    table.map(|t| t.iter().map(|(name, _)| name.to_string()).collect()).unwrap_or_default()
}

/// The rows of the table of crates in ARCHITECTURE.md: crate, and the crates it may depend on.
fn documented_arrows() -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows = BTreeMap::new();
    for line in read("ARCHITECTURE.md").lines().filter(|l| l.starts_with("| `mainstem")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 3, "crate, what it is, may depend on: {line}");
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<Vec<_>>();
        let name = names(cells[0]).first().cloned().expect("the row begins with a crate");
        arrows.insert(name, names(cells[2]).into_iter().collect());
    }
    arrows
}

#[test]
fn arrows_are_those_of_the_document() {
    let documented = documented_arrows();
    let mut seen = BTreeMap::new();
    for manifest in files().iter().filter(|f| f.starts_with("crates/") && f.ends_with("/Cargo.toml")) {
        let document: toml_edit::DocumentMut = read(manifest).parse().unwrap_or_else(|e| panic!("{manifest}: {e}"));
        let name = document["package"]["name"].as_str().unwrap_or_else(|| panic!("{manifest} has no name")).to_string();
        let ours = |section: &str| -> BTreeSet<String> {
            dependencies(manifest, section).into_iter().filter(|d| d == "mainstem" || d.starts_with("mainstem-")).collect()
        };
        let tests: Vec<String> = ours("dev-dependencies").difference(&ours("dependencies")).cloned().collect();
        let allowed = documented.get(&name).cloned().unwrap_or_default();
        let is_tool = |d: &str| d == "mainstem-testkit" || (name == "mainstem-cli" && d == "mainstem-browser");
        let stray: Vec<&String> = tests.iter().filter(|d| !is_tool(d) && !allowed.contains(*d)).collect();
        assert!(stray.is_empty(), "{name}: tests depend on {stray:?}");
        seen.insert(name, ours("dependencies"));
    }
    assert_eq!(seen, documented, "arrows of the manifests (left) and of ARCHITECTURE.md (right)");
}

#[test]
fn core_depends_on_pure_crates_alone() {
    let allowed = ["blake3", "thiserror", "zstd"];
    let stray = dependencies("crates/core/Cargo.toml", "dependencies").into_iter().filter(|d| !allowed.contains(&d.as_str()));
    assert_none("dependencies of core that are not on the list", stray.collect());
}

/// The features that a manifest switches on by itself: its default ones, and those it asks of dependencies.
fn features_on(document: &toml_edit::DocumentMut) -> Vec<String> {
    let listed = |item: Option<&toml_edit::Item>| -> Vec<String> {
        let list = item.and_then(|item| item.as_array());
        list.map(|list| list.iter().filter_map(|one| one.as_str()).map(String::from).collect()).unwrap_or_default()
    };
    let mut on = listed(document.get("features").and_then(|features| features.get("default")));
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"].map(|name| document.get(name));
    let shared = document.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    for section in sections.into_iter().chain([shared]).flatten().filter_map(|section| section.as_table_like()) {
        on.extend(section.iter().flat_map(|(_, dependency)| listed(dependency.get("features"))));
    }
    on
}

#[test]
fn planted_bugs_are_never_shipped() {
    let mut found = Vec::new();
    for manifest in files().into_iter().filter(|f| f.ends_with("Cargo.toml")) {
        let document: toml_edit::DocumentMut = read(&manifest).parse().unwrap_or_else(|e| panic!("{manifest}: {e}"));
        let on = features_on(&document);
        found.extend(on.iter().filter(|feature| feature.contains("planted")).map(|feature| format!("{manifest}: {feature}")));
    }
    assert_none("crates in which bugs are planted without being asked", found);
    let program = read("crates/cli/Cargo.toml") + &read("crates/cli/src/main.rs");
    assert!(!program.contains("planted = ["), "the program has no such feature");
    assert!(program.contains("assert!(!mainstem_core::planted::CAN_BE"), "the program cannot be built with planted bugs");
}

#[test]
fn adapters_do_not_leak() {
    let mut found = Vec::new();
    let homes = [
        ("rusqlite", &["sqlite", "cli", "bench", "disk", "crash", "fuzz", "simulator", "planted", "traffic"][..]),
        ("clap", &["cli", "simulator", "planted", "traffic"]),
        ("indicatif", &["cli"]),
    ];
    for (word, home) in homes {
        for manifest in files().iter().filter(|f| f.starts_with("crates/") && f.ends_with("/Cargo.toml")) {
            let folder = manifest.split('/').nth(1).unwrap_or_default();
            if !home.contains(&folder) && dependencies(manifest, "dependencies").contains(word) {
                found.push(format!("{manifest}: {word}"));
            }
        }
    }
    assert_none("technologies outside of their crate", found);
}

/// Words in a document that look like paths of the project.
fn paths_in(document: &str, top: &BTreeSet<String>) -> Vec<String> {
    let mut words: Vec<String> = document.split('`').skip(1).step_by(2).flat_map(str::split_whitespace).map(String::from).collect();
    words.extend(document.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(String::from));
    let is_path = |word: &String| {
        let has_pattern = word.contains(['*', '{', '<', '…', '$', '=']);
        let first = word.split('/').next().unwrap_or_default();
        let is_file = !word.contains('/') && [".rs", ".md", ".toml"].iter().any(|end| word.ends_with(end)) && top.contains(word);
        !has_pattern && !word.contains("://") && (word.contains('/') && top.contains(first) || is_file)
    };
    words
        .into_iter()
        .map(|w| w.trim_end_matches(['.', ',', ':', ';']).split('#').next().unwrap_or_default().to_string())
        .filter(is_path)
        .collect()
}

#[test]
fn paths_in_documents_exist() {
    let all = files();
    let mut top: BTreeSet<String> = all.iter().filter_map(|f| f.split('/').next()).map(String::from).collect();
    top.extend(["docs", "crates", "scripts", ".ci"].map(String::from));
    let mut found = Vec::new();
    for file in all.iter().filter(|f| f.ends_with(".md")) {
        let text = read(file);
        for path in paths_in(&text, &top) {
            if !root().join(&path).exists() {
                found.push(format!("{file}: {path}"));
            }
        }
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|l| !l.contains("://") && !l.starts_with('#')) {
            let target = link.split('#').next().unwrap_or_default();
            if !root().join(folder).join(target).exists() {
                found.push(format!("{file}: link to {link}"));
            }
        }
    }
    assert_none("paths in documents that are not there", found);
}

#[test]
fn the_document_of_the_house_is_short() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= 300, "ARCHITECTURE.md has {lines} lines, at most 300");
}
