//! What a form says.
//!
//! Invariant: a field that a page did not ask for is refused, and so is one that is said twice where one was asked for (T9).
use super::FORM_TYPE;
use axum::body::Body;
use hyper::header::{self, HeaderMap};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};

/// What every form says of the browser that it was made for.
pub const FORM_KEY: &str = "form_key";

/// The fields of a form.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a request's body.
    pub(super) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Fields> {
        let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).and_then(|media| media.split(';').next());
        if !media.is_some_and(|media| media.trim().eq_ignore_ascii_case(FORM_TYPE)) {
            return Err(Error::new(ErrorKind::Invalid, "unsupported_media_type", "a page takes forms alone"));
        }
        let too_large = |_| Error::new(ErrorKind::Invalid, "too_large", format!("a form has at most {bytes_max} bytes, and comes whole"));
        let bytes = axum::body::to_bytes(body, bytes_max).await.map_err(too_large)?;
        Ok(Fields::parse(&bytes))
    }
    fn parse(bytes: &[u8]) -> Fields {
        Fields(form_urlencoded::parse(bytes).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }
    /// True where the form was made for the browser of that key.
    pub(super) fn is_of(&self, form_key: &str) -> bool {
        let said: Vec<&str> = self.many(FORM_KEY).collect();
        // The key is random and new for each sign-in; both are hashed so that no comparison tells how far it came.
        let digest = |text: &str| <sha2::Sha256 as sha2::Digest>::digest(text.as_bytes());
        !form_key.is_empty() && said.len() == 1 && digest(said[0]) == digest(form_key)
    }
    /// Refuses fields of other names than these.
    pub fn only(&self, names: &[&str]) -> Result<&Fields> {
        match self.0.iter().find(|(name, _)| name != FORM_KEY && !names.contains(&name.as_str())) {
            Some((name, _)) => Err(Error::invalid(format!("this form has no field {name:?}"))),
            None => Ok(self),
        }
    }
    /// The one field of that name; none where it is empty or not there.
    pub fn maybe(&self, name: &str) -> Result<Option<&str>> {
        let mut all = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = all.next();
        if all.next().is_some() {
            return Err(Error::invalid(format!("the field {name} is there twice")));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }
    /// The one field of that name, which must say something.
    pub fn one(&self, name: &str) -> Result<&str> {
        self.maybe(name)?.ok_or_else(|| Error::invalid(format!("the field {name} is empty")))
    }
    /// What was typed into the one field of that name, be it nothing; an error where it is not there.
    pub fn typed(&self, name: &str) -> Result<String> {
        let there = self.0.iter().any(|(known, _)| known == name);
        let typed = self.maybe(name)?.unwrap_or_default();
        if there { Ok(typed.to_string()) } else { Err(Error::invalid(format!("the field {name} is not there"))) }
    }
    /// Every field of that name.
    pub fn many<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
    /// Every field whose name begins so, with the rest of the name.
    pub fn beginning<'a>(&'a self, with: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(with)?, value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_it_was_asked_and_nothing_else() {
        let fields = Fields::parse(b"form_key=k&label=a+b%26&id=1&id=2&empty=");
        assert_eq!(fields.one("label").expect("there"), "a b&");
        assert_eq!(fields.many("id").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields.maybe("empty").expect("there"), None);
        assert!(fields.one("empty").is_err() && fields.one("id").is_err() && fields.one("none").is_err());
        assert!(fields.only(&["label", "id", "empty"]).is_ok() && fields.only(&["label", "id"]).is_err());
        assert!(fields.is_of("k") && !fields.is_of("") && !fields.is_of("kk"));
        assert!(!Fields::parse(b"form_key=k&form_key=k").is_of("k") && !Fields::parse(b"form_key=").is_of(""));
    }
}
