//! A server's accounts, as its people see them.
use super::line::{Line, Patience};
use super::trust::Trust;
use crate::address::Address;
use crate::wire::frame::broken;
use hyper::Method;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use serde_json::Value as Json;
use std::io::{Read, Write};

/// The accounts of a server.
pub struct HttpAccounts {
    line: Line,
}

impl HttpAccounts {
    /// Those of the server at an address, spoken to with a token. Nothing is sent yet.
    pub fn new(address: Address, token: Option<String>, patience: Patience) -> Result<HttpAccounts> {
        Ok(HttpAccounts { line: Line::new(address, token, patience)? })
    }
    /// The same, believing that.
    pub fn trusting(mut self, trust: Trust) -> HttpAccounts {
        self.line.trust = trust;
        self
    }
    /// What happened to accounts after a position.
    pub fn events(&mut self, after: u64) -> Result<Vec<Json>> {
        let some = self.line.json(Method::GET, &format!("{}?after={after}", joined(&["access-events"])), None)?;
        some.as_array().cloned().ok_or_else(|| Error::internal("the server gave no list"))
    }
    /// Asks for what is at a path, made of these parts.
    pub fn get(&mut self, path: &[&str]) -> Result<Json> {
        self.line.json(Method::GET, &joined(path), None)
    }
    /// Adds to what is at a path.
    pub fn post(&mut self, path: &[&str], body: &Json) -> Result<Json> {
        self.line.json(Method::POST, &joined(path), Some(body))
    }
    /// Puts something in the place of what is at a path.
    pub fn put(&mut self, path: &[&str], body: &Json) -> Result<Json> {
        self.line.json(Method::PUT, &joined(path), Some(body))
    }
    /// Asks for more of what is at a path: a question and its answer.
    pub fn get_by(&mut self, path: &[&str], (question, answer): (&str, &str)) -> Result<Json> {
        self.line.json(Method::GET, &format!("{}?{question}={}", joined(path), escaped(answer)), None)
    }
    /// Ends what is at a path, whose name is said once more.
    pub fn delete_named(&mut self, path: &[&str], name: &str) -> Result<Json> {
        self.line.json(Method::DELETE, &format!("{}?name={}", joined(path), escaped(name)), None)
    }
    /// Writes the file at a path, of a media type.
    pub fn download(&mut self, path: &[&str], media: &'static str, into: &mut dyn Write) -> Result<u64> {
        let mut answer = self.line.file(&joined(path), media)?;
        let mut piece = vec![0; 64 * 1024];
        let mut bytes = 0;
        loop {
            let read = answer.read(&mut piece).map_err(|e| broken(e.to_string()))?;
            if read == 0 {
                return Ok(bytes);
            }
            into.write_all(&piece[..read])
                .map_err(|e| Error::new(ErrorKind::Unavailable, "output", format!("what comes cannot be written: {e}")).because(e))?;
            bytes += read as u64;
        }
    }
    /// Changes what is at a path.
    pub fn patch(&mut self, path: &[&str], body: &Json) -> Result<Json> {
        self.line.json(Method::PATCH, &joined(path), Some(body))
    }
    /// Ends what is at a path.
    pub fn delete(&mut self, path: &[&str]) -> Result<Json> {
        self.line.json(Method::DELETE, &joined(path), None)
    }
    /// Makes the first administrator. Returns the administrator's token.
    pub fn set_up(&mut self, name: &str, label: &str) -> Result<String> {
        let created = self.post(&["setup"], &serde_json::json!({ "name": name, "label": label }))?;
        created["token"].as_str().map(str::to_string).ok_or_else(|| Error::internal("the server gave no token"))
    }
}

/// A path under `/api/v1`, in which each part is whatever it is.
fn joined(path: &[&str]) -> String {
    path.iter().fold(String::from("/api/v1"), |path, part| path + "/" + &escaped(part))
}

fn escaped(part: &str) -> String {
    let escaped = part.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(joined(&["actors", "a/b ?#%é.."]), "/api/v1/actors/a%2Fb%20%3F%23%25%C3%A9..");
    }
}
