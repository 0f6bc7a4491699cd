//! Lets a person edit the policy in their own editor.
//!
//! Invariant: what they typed is never lost: text that cannot be used stays in a file whose name they are told.
use mainstem::policy_text;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Opens the text in `$VISUAL` or `$EDITOR` and gives back what was saved, once it is a policy.
pub fn edit(before: &str) -> Result<String> {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|v| std::env::var(v).ok().filter(|e| !e.trim().is_empty()));
    let Some(editor) = editor else {
        let message = "no editor is named in VISUAL or EDITOR";
        return Err(Error::invalid(message).hint("EDITOR=nano mainstem policy edit, or mainstem policy set KEY VALUE"));
    };
    let path = draft(before)?;
    let outcome = edit_file(&editor, &path);
    match outcome {
        Ok(text) => {
            let _ = std::fs::remove_file(&path);
            Ok(text)
        }
        // What is as it was is no work of anybody's, and needs no keeping.
        Err(e) if std::fs::read_to_string(&path).is_ok_and(|text| text == before) => {
            let _ = std::fs::remove_file(&path);
            Err(e)
        }
        Err(e) => Err(Error { hint: Some(format!("your text is kept in {}", path.display())), ..e }),
    }
}

fn edit_file(editor: &str, path: &Path) -> Result<String> {
    let unavailable = |what: String| Error::new(ErrorKind::Unavailable, "editor", what);
    // An editor is often named with options (`code --wait`); the words are arguments, no shell reads them.
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or(editor);
    let status = Command::new(program)
        .args(words)
        .arg(path)
        .status()
        .map_err(|e| unavailable(format!("the editor {program} cannot be started: {e}")).because(e))?;
    if !status.success() {
        return Err(unavailable(format!("the editor {program} ended with {status}; the policy is as it was")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| unavailable(format!("what the editor wrote cannot be read: {e}")).because(e))?;
    policy_text::check(&text)?;
    Ok(text)
}

/// A new file with the text, which nobody else can have made before.
fn draft(text: &str) -> Result<PathBuf> {
    let failed =
        |e: std::io::Error| Error::new(ErrorKind::Unavailable, "editor", format!("no file for the editor can be made: {e}")).because(e);
    for number in 0..1000 {
        let path = std::env::temp_dir().join(format!("mainstem-policy-{}-{number}.toml", std::process::id()));
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes()).map_err(failed)?;
                return Ok(path);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed(e)),
        }
    }
    Err(Error::new(ErrorKind::Unavailable, "editor", "no file for the editor can be made: all names are taken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_editor_saves_is_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, wanted) = (folder.path().join("policy.toml"), folder.path().join("wanted.toml"));
        // `cp wanted.toml` is an editor that always saves the same text.
        let editor = format!("cp {}", wanted.display());
        let save = |text: &str| {
            std::fs::write(&path, "").expect("written");
            std::fs::write(&wanted, text).expect("written");
            edit_file(&editor, &path)
        };
        let text = "# ours\nstrategy = \"manual\"\n";
        assert_eq!(save(text).expect("a policy"), text);
        assert_eq!(save("strategy = \"guess\"").expect_err("no such strategy").kind, ErrorKind::Invalid);
        assert_eq!(save("strategy = ").expect_err("no TOML").kind, ErrorKind::Invalid);
    }

    #[test]
    fn an_editor_that_fails_changes_nothing() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(edit_file("false", file.path()).expect_err("it failed").code, "editor");
        assert_eq!(edit_file("/nowhere/editor", file.path()).expect_err("it is not there").code, "editor");
    }

    #[test]
    fn a_draft_is_a_file_of_its_own() {
        let (one, two) = (draft("a").expect("made"), draft("b").expect("made"));
        assert_ne!(one, two);
        assert_eq!(std::fs::read_to_string(&one).expect("readable"), "a");
        for path in [one, two] {
            std::fs::remove_file(path).expect("removed");
        }
    }
}
