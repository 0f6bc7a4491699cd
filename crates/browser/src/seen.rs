//! What a page did that nobody looking at it would see: dialogs, errors, refused scripts, requests.
use serde_json::Value as Json;

/// What was seen of a page since it was opened, or since [`crate::Page::forget`].
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Texts of dialogs: alert, confirm, prompt, leaving.
    pub dialogs: Vec<String>,
    /// Errors of scripts, and what they wrote to the console as errors.
    pub errors: Vec<String>,
    /// What the content security policy refused.
    pub violations: Vec<String>,
    /// Method and address of every request, in order.
    pub requests: Vec<String>,
    /// Pieces that did not come, with their status; the documents themselves are not among them.
    pub missing: Vec<String>,
    /// The documents' statuses, in order.
    pub statuses: Vec<u64>,
    /// The loaders of documents that were loaded whole.
    pub loaded: Vec<String>,
    /// Tabs and windows that the page opened.
    pub opened: Vec<String>,
    /// Files that it gave to keep.
    pub downloads: Vec<String>,
}

impl Seen {
    /// Takes note of an event.
    pub fn notice(&mut self, message: &Json) {
        let with = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Page.javascriptDialogOpening" => self.dialogs.push(text(&with["message"])),
            "Page.windowOpen" => self.opened.push(text(&with["url"])),
            "Page.downloadWillBegin" => self.downloads.push(text(&with["suggestedFilename"])),
            "Page.lifecycleEvent" if with["name"] == "load" => self.loaded.push(text(&with["loaderId"])),
            "Runtime.exceptionThrown" => self.errors.push(exception(&with["exceptionDetails"])),
            "Runtime.consoleAPICalled" if ["error", "assert"].contains(&text(&with["type"]).as_str()) => {
                self.errors.push(with["args"].to_string());
            }
            "Log.entryAdded" => self.entry(&with["entry"]),
            "Audits.issueAdded" if with["issue"]["code"] == "ContentSecurityPolicyIssue" => {
                self.violations.push(with["issue"]["details"]["contentSecurityPolicyIssueDetails"].to_string());
            }
            "Network.requestWillBeSent" => {
                self.requests.push(format!("{} {}", text(&with["request"]["method"]), text(&with["request"]["url"])));
            }
            "Network.responseReceived" => self.response(with),
            "Network.loadingFailed" if with["canceled"] != true => {
                self.missing.push(format!("{}: {}", text(&with["type"]), text(&with["errorText"])));
            }
            _ => {}
        }
    }

    fn entry(&mut self, entry: &Json) {
        let line = format!("{} {}", text(&entry["text"]), text(&entry["url"]));
        match (entry["source"].as_str(), entry["level"].as_str()) {
            (Some("security"), _) => self.violations.push(line),
            // What did not come is noted with its status by the network.
            (Some("network"), _) => {}
            (_, Some("error")) => self.errors.push(line),
            _ => {}
        }
    }
    fn response(&mut self, with: &Json) {
        let status = with["response"]["status"].as_u64().unwrap_or_default();
        if with["type"] == "Document" {
            self.statuses.push(status);
        } else if status >= 400 && !text(&with["response"]["url"]).ends_with("/favicon.ico") {
            // The browser asks for that icon by itself where a page names none.
            self.missing.push(format!("{status} {}", text(&with["response"]["url"])));
        }
    }
}

fn exception(details: &Json) -> String {
    format!("{} {}", text(&details["text"]), text(&details["exception"]["description"]))
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_string()
}
