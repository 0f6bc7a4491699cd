//! The files that pages link to, under names that change with what is in them.
//!
//! Invariant: no page asks for anything elsewhere.
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// A file that pages link to.
#[derive(Debug)]
pub struct Asset {
    /// Its name, with the beginning of its digest in it: it may be kept for ever.
    pub name: String,
    /// Its media type.
    pub media: &'static str,
    /// What is in it.
    pub text: &'static str,
}

impl Asset {
    fn new(stem: &str, end: &str, media: &'static str, text: &'static str) -> Asset {
        let digest: String = Sha256::digest(text.as_bytes())[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        Asset { name: format!("{stem}-{digest}.{end}"), media, text }
    }
    /// The file of that name.
    pub fn named(name: &str) -> Option<&'static Asset> {
        [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name)
    }
}

/// How pages look.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("pages", "css", "text/css; charset=utf-8", include_str!("asset/pages.css")));
/// What makes them live.
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("pages", "js", "text/javascript; charset=utf-8", include_str!("asset/pages.js")));
/// What stands for them in a list of tabs.
pub static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("asset/icon.svg")));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_names_and_ask_for_nothing_elsewhere() {
        for asset in [&*STYLE, &*SCRIPT, &*ICON] {
            assert!(Asset::named(&asset.name).is_some(), "{}", asset.name);
            let elsewhere = ["http://", "https://", "//cdn", "@import", "eval(", "innerHTML"];
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(elsewhere.iter().all(|mark| !text.contains(mark)), "{}", asset.name);
        }
        assert!(Asset::named("pages.css").is_none());
    }
}
