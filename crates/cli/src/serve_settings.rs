//! The settings of a server: flags over environment over a file over defaults, each with where it comes from.
//!
//! Invariant: a name that nobody knows is refused by name, wherever it stands.
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_http::server::{Limits, Style};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Value};

/// The file in the data folder that is read where no other is named.
const FILE: &str = "server.toml";
const VARIABLES: &str = "MAINSTEM_";
const LIMITS: &str = "limits";

/// How many values a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Word,
    Words,
    Truth,
}

/// Each setting that is no limit: its name, its form, its default.
const SETTINGS: &[(&str, Form, &[&str])] = &[
    ("data", Form::Word, &["mainstem-data"]),
    ("listen", Form::Word, &["127.0.0.1:7430"]),
    ("hosts", Form::Words, &[]),
    ("trusted_proxies", Form::Words, &[]),
    ("webhook_networks", Form::Words, &[]),
    ("tls_cert", Form::Word, &[]),
    ("tls_key", Form::Word, &[]),
    ("tls_own", Form::Truth, &["false"]),
    ("log", Form::Word, &["json"]),
];

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Default,
    File(PathBuf),
    Variable(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Variable(name) => f.write_str(name),
            Source::Flag => f.write_str("flag"),
        }
    }
}

/// What was typed for a setting, and where.
#[derive(Clone, Debug)]
struct Given {
    values: Vec<String>,
    source: Source,
}

/// What is in force.
pub struct Settings {
    given: BTreeMap<&'static str, Given>,
    limits: Limits,
    limit_sources: BTreeMap<String, Source>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// What was typed as flags: names and values, as in the table.
pub type Flags = Vec<(&'static str, Vec<String>)>;

impl Settings {
    /// Those of flags, variables, and the file that they name or that lies in the data folder.
    pub fn gather(flags: Flags, limits: &[String], config: Option<&Path>, variables: &[(String, String)]) -> Result<Settings> {
        let mut settings = Settings { given: BTreeMap::new(), limits: Limits::default(), limit_sources: BTreeMap::new(), file: None };
        for (name, _, values) in SETTINGS {
            settings.put(name, values.iter().map(|value| value.to_string()).collect(), Source::Default)?;
        }
        // Twice: the data folder, which they may name, is where the file is looked for, and they go over what it says.
        settings.lay_over(flags.clone(), limits, variables)?;
        let named = config.map(Path::to_path_buf).or_else(|| variable(variables, "MAINSTEM_CONFIG").map(PathBuf::from));
        let usual = settings.data().join(FILE);
        if let Some(path) = named.or_else(|| usual.is_file().then_some(usual)) {
            settings.read(&path)?;
            settings.file = Some(path);
            settings.lay_over(flags, limits, variables)?;
        }
        settings.check()?;
        Ok(settings)
    }

    fn lay_over(&mut self, flags: Flags, limits: &[String], variables: &[(String, String)]) -> Result<()> {
        for (name, value) in variables {
            let lower = name.strip_prefix(VARIABLES).unwrap_or_default().to_ascii_lowercase();
            if let Some(limit) = lower.strip_prefix("limits_") {
                self.put_limit(limit, value, Source::Variable(name.clone()))?;
            } else if let Some((known, form, _)) = SETTINGS.iter().find(|(known, _, _)| *known == lower) {
                let values = match form {
                    Form::Words => value.split(',').map(|word| word.trim().to_string()).filter(|word| !word.is_empty()).collect(),
                    _ => vec![value.clone()],
                };
                self.put(known, values, Source::Variable(name.clone()))?;
            }
        }
        for (name, values) in flags {
            self.put(name, values, Source::Flag)?;
        }
        for typed in limits {
            let (name, value) =
                typed.split_once('=').ok_or_else(|| Error::invalid(format!("{typed} is no limit")).hint("--limit NAME=NUMBER"))?;
            self.put_limit(name.trim(), value.trim(), Source::Flag)?;
        }
        Ok(())
    }

    fn read(&mut self, path: &Path) -> Result<()> {
        let wrong = |why: String| Error::new(ErrorKind::Invalid, "settings", format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("it cannot be read: {e}")).because(e))?;
        let document: DocumentMut = text.parse().map_err(|e| wrong(format!("it is no TOML: {e}")))?;
        for (name, item) in document.iter() {
            let from = Source::File(path.to_path_buf());
            if let (LIMITS, Some(table)) = (name, item.as_table_like()) {
                for (limit, value) in table.iter() {
                    let number = value.as_integer().ok_or_else(|| wrong(format!("the limit {limit} is no number")))?;
                    self.put_limit(limit, &number.to_string(), from.clone()).map_err(|e| wrong(e.message))?;
                }
                continue;
            }
            let known = SETTINGS.iter().find(|(known, _, _)| *known == name);
            let (known, ..) =
                known.ok_or_else(|| wrong(format!("there is no setting called {name}")).hint("mainstem serve --show-config lists them"))?;
            let values = words(item).ok_or_else(|| wrong(format!("{name} is none of a text, a list of texts, true and false")))?;
            self.put(known, values, from).map_err(|e| wrong(e.message))?;
        }
        Ok(())
    }

    fn put(&mut self, name: &'static str, values: Vec<String>, source: Source) -> Result<()> {
        let form = SETTINGS.iter().find(|(known, _, _)| *known == name).map_or(Form::Word, |(_, form, _)| *form);
        let is_fitting = match form {
            Form::Words => true,
            Form::Truth => matches!(values.as_slice(), [one] if matches!(one.as_str(), "true" | "false")),
            Form::Word => values.len() <= 1,
        };
        if !is_fitting {
            let wanted = if form == Form::Truth { "true or false" } else { "one value" };
            return Err(Error::invalid(format!("{name} is {wanted}")));
        }
        self.given.insert(name, Given { values, source });
        Ok(())
    }

    fn put_limit(&mut self, name: &str, value: &str, source: Source) -> Result<()> {
        self.limits.set(name, value)?;
        self.limit_sources.insert(name.to_string(), source);
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.style()?;
        match (self.word("tls_cert"), self.word("tls_key"), self.is("tls_own")) {
            (Some(_), Some(_), false) | (None, None, _) => Ok(()),
            (Some(_), Some(_), true) => Err(Error::invalid("a certificate of files and one of its own: the server shows one of them")
                .hint("--tls-cert FILE --tls-key FILE, or --tls-own")),
            _ => Err(Error::invalid("a certificate and its key go together").hint("--tls-cert FILE --tls-key FILE")),
        }
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.given.get(name).and_then(|given| given.values.first()).map(String::as_str).filter(|word| !word.is_empty())
    }
    fn words(&self, name: &str) -> Vec<String> {
        self.given.get(name).map(|given| given.values.clone()).unwrap_or_default()
    }
    fn is(&self, name: &str) -> bool {
        self.word(name) == Some("true")
    }

    /// The folder of the datasets.
    pub fn data(&self) -> PathBuf {
        PathBuf::from(self.word("data").unwrap_or_default())
    }
    /// Where it listens.
    pub fn listen(&self) -> &str {
        self.word("listen").unwrap_or_default()
    }
    /// By which names it answers.
    pub fn hosts(&self) -> Vec<String> {
        self.words("hosts")
    }
    /// Whom it believes about addresses.
    pub fn trusted_proxies(&self) -> Vec<String> {
        self.words("trusted_proxies")
    }
    /// Where webhooks may be sent, beside public addresses.
    pub fn webhook_networks(&self) -> Vec<String> {
        self.words("webhook_networks")
    }
    /// The files of its certificate and key.
    pub fn tls_files(&self) -> Option<(PathBuf, PathBuf)> {
        self.word("tls_cert").zip(self.word("tls_key")).map(|(certificate, key)| (certificate.into(), key.into()))
    }
    /// True where it makes a certificate of its own.
    pub fn is_tls_own(&self) -> bool {
        self.is("tls_own")
    }
    /// How the log looks.
    pub fn style(&self) -> Result<Style> {
        match self.word("log") {
            Some("json") => Ok(Style::Json),
            Some("text") => Ok(Style::Text),
            other => Err(Error::invalid(format!("the log is json or text, and not {}", other.unwrap_or("nothing")))),
        }
    }
    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// All of it as such a file, with where each comes from.
    pub fn as_toml(&self) -> String {
        let mut lines = Vec::new();
        for (name, form, _) in SETTINGS {
            let Some(Given { values, source }) = self.given.get(name) else { continue };
            let shown = match (form, values.as_slice()) {
                (Form::Words, values) => Value::from_iter(values.iter().map(String::as_str)).to_string(),
                (Form::Truth, [one, ..]) => one.clone(),
                (_, [one, ..]) => Value::from(one.as_str()).to_string(),
                (_, []) => {
                    lines.push(format!("# {name} is not set"));
                    continue;
                }
            };
            lines.push(format!("{name} = {shown}  # {source}"));
        }
        lines.push(format!("\n[{LIMITS}]"));
        for ((name, value), meaning) in self.limits.list().into_iter().zip(Limits::MEANINGS) {
            let source = self.limit_sources.get(name).unwrap_or(&Source::Default);
            lines.push(format!("{name} = {value}  # {source}: {}", meaning.trim()));
        }
        lines.join("\n")
    }
    /// All of it as JSON.
    pub fn as_json(&self) -> Json {
        let settings: serde_json::Map<String, Json> = SETTINGS
            .iter()
            .filter_map(|(name, form, _)| {
                let Given { values, source } = self.given.get(name)?;
                let value = match form {
                    Form::Words => json!(values),
                    Form::Truth => json!(self.is(name)),
                    Form::Word => json!(values.first()),
                };
                Some((name.to_string(), json!({"value": value, "from": source.to_string()})))
            })
            .collect();
        let limits = self.limits.list().into_iter().map(|(name, value)| {
            let source = self.limit_sources.get(name).unwrap_or(&Source::Default);
            (name.to_string(), json!({"value": value, "from": source.to_string()}))
        });
        let limits: serde_json::Map<String, Json> = limits.collect();
        json!({"settings": settings, "limits": limits})
    }
}

fn variable<'v>(variables: &'v [(String, String)], name: &str) -> Option<&'v str> {
    variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn words(item: &Item) -> Option<Vec<String>> {
    match item.as_value()? {
        Value::String(text) => Some(vec![text.value().clone()]),
        Value::Boolean(truth) => Some(vec![truth.value().to_string()]),
        Value::Array(all) => all.iter().map(|one| one.as_str().map(String::from)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(flags: Flags, limits: &[&str], file: Option<&str>, variables: &[(&str, &str)]) -> Result<Settings> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("other.toml");
        if let Some(text) = file {
            std::fs::write(&path, text).expect("written");
        }
        let limits: Vec<String> = limits.iter().map(|limit| limit.to_string()).collect();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Settings::gather(flags, &limits, file.map(|_| path.as_path()), &variables)
    }

    #[test]
    fn flags_go_over_variables_over_the_file_over_defaults() {
        let file = "listen = \"0.0.0.0:1\"\nhosts = [\"a.example\"]\nlog = \"text\"\n[limits]\nframes_max = 5\nheaders_max = 6\njson_bytes_max = 7\n";
        let variables = [
            ("MAINSTEM_LISTEN", "0.0.0.0:2"),
            ("MAINSTEM_LIMITS_HEADERS_MAX", "60"),
            ("MAINSTEM_LIMITS_JSON_BYTES_MAX", "70"),
            ("MAINSTEM_TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2"),
            ("MAINSTEM_DB", "elsewhere.db"),
        ];
        let settings = gather(vec![("listen", vec!["0.0.0.0:3".into()])], &["json_bytes_max=7_000"], Some(file), &variables).expect("good");
        assert_eq!(settings.listen(), "0.0.0.0:3");
        assert_eq!(settings.hosts(), ["a.example"]);
        assert_eq!(settings.trusted_proxies(), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(settings.style().expect("text"), Style::Text);
        let limits = settings.limits();
        assert_eq!((limits.frames_max, limits.headers_max, limits.json_bytes_max), (5, 60, 7_000));
        let shown = settings.as_json();
        assert_eq!(shown["settings"]["listen"]["from"], "flag");
        assert_eq!(shown["settings"]["data"], json!({"value": "mainstem-data", "from": "default"}));
        assert_eq!(shown["settings"]["trusted_proxies"]["from"], "MAINSTEM_TRUSTED_PROXIES");
        assert!(shown["limits"]["frames_max"]["from"].as_str().is_some_and(|from| from.ends_with("other.toml")), "{shown}");
    }

    #[test]
    fn what_is_shown_is_a_file_that_says_the_same() {
        let typed = vec![("hosts", vec!["a.example".into(), "b \"c\"".into()]), ("tls_own", vec!["true".into()])];
        let settings = gather(typed, &["frames_max=9"], None, &[]).expect("good");
        let again = gather(Vec::new(), &[], Some(&settings.as_toml()), &[]).expect("it is such a file");
        assert_eq!(again.limits(), settings.limits());
        assert_eq!((again.hosts(), again.is_tls_own(), again.data()), (settings.hosts(), true, settings.data()));
    }

    #[test]
    fn what_is_unknown_is_refused_by_name() {
        for (file, name) in [
            ("lsten = \"x\"", "lsten"),
            ("[limits]\nframes = 5", "frames"),
            ("[limits]\nframes_max = \"x\"", "frames_max"),
            ("[server]\nlisten = \"x\"", "server"),
            ("listen = 5", "listen"),
            ("log = \"loud\"", "loud"),
            ("tls_own = \"maybe\"", "tls_own"),
            ("listen = [\"a\", \"b\"]", "listen"),
        ] {
            let refused = gather(Vec::new(), &[], Some(file), &[]).err().unwrap_or_else(|| panic!("{file} is taken"));
            assert!(refused.message.contains(name), "{file}: {refused}");
        }
        let variable = gather(Vec::new(), &[], None, &[("MAINSTEM_LIMITS_NONE", "1")]).err().expect("unknown");
        assert!(variable.message.contains("none"), "{variable}");
        for typed in ["frames_max", "frames_max=x", "none=1"] {
            assert!(gather(Vec::new(), &[typed], None, &[]).is_err(), "{typed}");
        }
        assert!(gather(vec![("tls_cert", vec!["a".into()])], &[], None, &[]).is_err());
    }
}
