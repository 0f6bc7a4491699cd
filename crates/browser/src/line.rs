//! The browser's process, and the line to it: messages of JSON, each ended by a zero byte, on file descriptors 3 and 4.
//!
//! Invariant: a browser outlives neither its value nor this process, because it ends when the line is closed; it uses a profile
//! in a folder that is removed with it, and reaches nothing but this machine: everything else goes to [`Outside`].
use crate::outside::Outside;
use crate::page::Page;
use crate::seen::Seen;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use tempfile::TempDir;

/// A test that waits longer than this has failed.
pub const TOO_LONG: Duration = Duration::from_secs(30);

/// Names that the browser may have.
const PROGRAMS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];
/// The line is on the descriptors 3 and 4; a shell puts our pipes there, so that nothing here is unsafe.
const SHELL: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#;

const FLAGS: &[&str] = &[
    "--headless",
    "--remote-debugging-pipe",
    // The tests may run as root, where the sandbox refuses to; what is shown comes from a server of the test itself.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-features=MediaRouter,OptimizationHints,Translate,AutofillServerCommunication,CertificateTransparencyComponentUpdater",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--lang=en",
    "about:blank",
];

/// A running browser; dropped, it is gone.
pub struct Browser {
    line: Arc<Line>,
    outside: Outside,
    _process: Process,
}

/// The program and its folder.
struct Process {
    child: Child,
    line: Arc<Line>,
    _folder: TempDir,
}

/// What both directions share.
pub(crate) struct Line {
    input: Mutex<Option<ChildStdin>>,
    heard: Mutex<Heard>,
    changed: Condvar,
}

/// What the browser has said.
#[derive(Default)]
pub(crate) struct Heard {
    last_id: u64,
    answers: HashMap<u64, Json>,
    /// By the session of a page.
    pub seen: HashMap<String, Seen>,
    has_ended: bool,
}

impl Browser {
    /// Starts one; says what to install where there is none.
    pub fn start() -> Browser {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let outside = Outside::listen();
        let mut command = Command::new("sh");
        command.args(["-c", SHELL, "sh"]).arg(program()).args(FLAGS);
        command.arg(format!("--user-data-dir={}", folder.path().display()));
        command.arg(format!("--proxy-server=127.0.0.1:{}", outside.port())).arg("--proxy-bypass-list=127.0.0.1");
        // Its wrapper tidies up in the home folder, which is none of a test's business.
        command.env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME").env_remove("XDG_CACHE_HOME");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("sh is there");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let line = Arc::new(Line { input: Mutex::new(input), heard: Mutex::default(), changed: Condvar::new() });
        let listener = line.clone();
        std::thread::spawn(move || listener.listen(output));
        let browser = Browser { line: line.clone(), outside, _process: Process { child, line, _folder: folder } };
        browser.line.ask(None, "Browser.getVersion", json!({}));
        browser
    }
    /// An empty page of somebody who shares nothing with the others: no cookie, no storage.
    pub fn page(&self) -> Page {
        let context = self.line.ask(None, "Target.createBrowserContext", json!({}));
        Page::open(self.line.clone(), &context["browserContextId"])
    }
    /// What was asked of machines other than this one; always nothing, or a page has told somebody.
    pub fn outside(&self) -> Vec<String> {
        self.outside.asked()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.line.close();
        // It saves its profile first; that is thrown away anyway.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Line {
    /// Asks, and waits for the answer. Panics where the browser refuses.
    pub fn ask(&self, session: Option<&str>, method: &str, with: Json) -> Json {
        self.try_ask(session, method, with).unwrap_or_else(|refused| panic!("{method}: {refused}"))
    }
    /// The same; the browser's refusal is the error.
    pub fn try_ask(&self, session: Option<&str>, method: &str, with: Json) -> Result<Json, String> {
        let id = self.send(session, method, with);
        let mut answer = self.wait(method, |heard| heard.answers.remove(&id));
        match answer["error"]["message"].as_str() {
            Some(refused) => Err(refused.to_string()),
            None => Ok(answer["result"].take()),
        }
    }
    /// Waits until what was heard has something to give. Panics where that takes too long.
    pub fn wait<T>(&self, what: &str, mut given: impl FnMut(&mut Heard) -> Option<T>) -> T {
        let mut heard = self.heard();
        loop {
            if let Some(given) = given(&mut heard) {
                return given;
            }
            assert!(!heard.has_ended, "the browser has ended while {what} was waited for");
            let (back, waited) = self.changed.wait_timeout(heard, TOO_LONG).expect("nobody panics with it");
            assert!(!waited.timed_out(), "nothing comes: {what}");
            heard = back;
        }
    }
    /// What was heard so far.
    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("nobody panics with it")
    }

    fn send(&self, session: Option<&str>, method: &str, with: Json) -> u64 {
        let mut message = json!({ "method": method, "params": with });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut input = self.input.lock().expect("nobody panics with it");
        let id = {
            let mut heard = self.heard();
            heard.last_id += 1;
            heard.last_id
        };
        message["id"] = id.into();
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        // A browser that is gone is noticed by the listener.
        let _ = input.as_mut().map(|input| input.write_all(&bytes));
        id
    }
    fn close(&self) {
        if let Ok(mut input) = self.input.lock() {
            input.take();
        }
    }
    fn listen(&self, output: ChildStdout) {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        while output.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
            bytes.pop();
            let message: Json = serde_json::from_slice(&bytes).expect("the browser speaks JSON");
            bytes.clear();
            self.hear(message);
        }
        self.heard().has_ended = true;
        self.changed.notify_all();
    }
    fn hear(&self, message: Json) {
        if let Some(id) = message["id"].as_u64() {
            self.heard().answers.insert(id, message);
        } else if let Some(session) = message["sessionId"].as_str() {
            self.heard().seen.entry(session.to_string()).or_default().notice(&message);
            // A dialog stops its page until somebody answers, and no test does.
            if message["method"] == "Page.javascriptDialogOpening" {
                self.send(Some(session), "Page.handleJavaScriptDialog", json!({ "accept": true }));
            }
        }
        self.changed.notify_all();
    }
}

/// The browser's program.
fn program() -> OsString {
    if let Some(named) = std::env::var_os("MAINSTEM_CHROMIUM") {
        return named;
    }
    let folders: Vec<_> = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let mut places = PROGRAMS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = places.find(|place| place.is_file());
    found.expect("there is no chromium, which these tests drive. hint: apt-get install chromium, or name one in MAINSTEM_CHROMIUM").into()
}
