//! Tokens of servers, kept by the server's address in a file for its owner only.
//!
//! Invariant: a token goes to the server that it was kept for, and is in no message, argument or address. What the
//! environment holds for one run goes before what is kept.
use mainstem::token::Secret;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use serde_json::{Map, Value as Json};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The variable that holds a token for one run.
pub const VARIABLE: &str = "MAINSTEM_TOKEN";

/// Others' rights on a file.
const OTHERS: u32 = 0o077;

/// The token for a server; none where nothing is known.
pub fn token_for(server: &str) -> Result<Option<String>> {
    match from_environment()? {
        Some(secret) => Ok(Some(secret.reveal().to_string())),
        None => Store::standard().and_then(|store| store.map_or(Ok(None), |store| store.get(server))),
    }
}

/// The token in the environment.
pub fn from_environment() -> Result<Option<Secret>> {
    match std::env::var(VARIABLE) {
        Ok(text) if !text.trim().is_empty() => read(&text).map(Some),
        _ => Ok(None),
    }
}

/// Reads a token as typed.
pub fn read(typed: &str) -> Result<Secret> {
    Secret::parse(typed.trim()).ok_or_else(|| {
        Error::invalid("that is no token: it was cut, mistyped or is something else")
            .hint("copy the token again, whole, and mainstem login ADDRESS")
    })
}

/// Where tokens are kept.
pub struct Store(PathBuf);

impl Store {
    /// The user's own; none where the system names no folder for it.
    pub fn standard() -> Result<Option<Store>> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")));
        Ok(folder.map(|folder| Store(folder.join("mainstem").join("tokens.json"))))
    }
    /// The user's own, which must be there to keep something.
    pub fn must() -> Result<Store> {
        let none = || Error::new(ErrorKind::Invalid, "no_home", "neither HOME nor XDG_CONFIG_HOME names a folder to keep tokens in");
        Store::standard()?.ok_or_else(|| none().hint(format!("set {VARIABLE} for each run instead")))
    }
    /// Its file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn get(&self, server: &str) -> Result<Option<String>> {
        Ok(self.all()?.get(server).and_then(Json::as_str).map(str::to_string))
    }
    /// Keeps a server's token in place of the one of before.
    pub fn put(&self, server: &str, token: &Secret) -> Result<()> {
        let mut all = self.all()?;
        all.insert(server.to_string(), Json::from(token.reveal()));
        self.write(&all)
    }
    /// Forgets a server's token. False where none was kept.
    pub fn forget(&self, server: &str) -> Result<bool> {
        let mut all = self.all()?;
        let was_kept = all.shift_remove(server).is_some();
        if was_kept {
            self.write(&all)?;
        }
        Ok(was_kept)
    }

    fn all(&self) -> Result<Map<String, Json>> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
            Err(e) => return Err(self.failed("read", e)),
        };
        let mode = fs::metadata(&self.0).map_err(|e| self.failed("read", e))?.permissions().mode();
        if mode & OTHERS != 0 {
            let message = format!("{} may be read by others, so the tokens in it may be known to them", self.0.display());
            return Err(Error::new(ErrorKind::Denied, "open_file", message)
                .hint(format!("chmod 600 {}", crate::plain_text::shell_word(&self.0.display().to_string()))));
        }
        // What the parser says could repeat what is in the file.
        serde_json::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::Corrupt, "corrupt", format!("{} is not what was written there", self.0.display()))
                .hint("move it away, and mainstem login ADDRESS again")
        })
    }

    /// Replaces the file whole; a crash leaves the old one or the new one.
    fn write(&self, all: &Map<String, Json>) -> Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| self.failed("made", e))?;
        let next = self.0.with_extension(format!("{}.new", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
            file.write_all(serde_json::to_string_pretty(all)?.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&next, &self.0)
        })();
        written.map_err(|e| {
            // What is left of a failed attempt holds tokens.
            let _ = fs::remove_file(&next);
            self.failed("written", e)
        })
    }
    fn failed(&self, what: &str, e: io::Error) -> Error {
        Error::new(ErrorKind::Unavailable, "tokens", format!("{} cannot be {what}: {e}", self.0.display())).because(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstem::wiring::RealSurroundings;

    #[test]
    fn a_token_is_kept_for_its_server_and_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store(folder.path().join("config/mainstem/tokens.json"));
        assert_eq!(store.get("https://a").expect("read"), None);
        let (one, other) = (Secret::new(&RealSurroundings, false), Secret::new(&RealSurroundings, false));
        store.put("https://a", &one).expect("kept");
        store.put("https://a:8443", &other).expect("kept");
        assert_eq!(store.get("https://a").expect("read").as_deref(), Some(one.reveal()));
        assert_eq!(store.get("http://a").expect("read"), None, "another scheme is another server");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(store.path()), mode(store.path().parent().expect("a folder"))), (0o600, 0o700));
        assert!(store.forget("https://a").expect("forgotten") && !store.forget("https://a").expect("nothing there"));
        assert_eq!(store.get("https://a:8443").expect("read").as_deref(), Some(other.reveal()));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store(folder.path().join("tokens.json"));
        store.put("https://a", &Secret::new(&RealSurroundings, false)).expect("kept");
        fs::set_permissions(store.path(), PermissionsExt::from_mode(0o644)).expect("opened up");
        let error = store.get("https://a").expect_err("refused");
        assert!(error.hint.is_some_and(|hint| hint.starts_with("chmod 600")), "{}", error.message);
    }
}
