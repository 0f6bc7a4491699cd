//! One page of a browser, and what a person does with it: go, look, press, type, turn the device.
//!
//! Things are found as a person finds them, by the words on them; by selector only where there are no words.
use crate::line::{Line, TOO_LONG};
use crate::png;
use crate::seen::Seen;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Finds what has that name: its words, its label, or the selector after `css:`.
const FIND: &str = r#"(name, kinds) => {
  if (name.startsWith('css:')) return document.querySelector(name.slice(4));
  const said = text => (text ?? '').replace(/\s+/g, ' ').replace(/ (?=[:,.])/g, '').trim();
  const isShown = each => each.checkVisibility({ visibilityProperty: true });
  // A label that is around its field says only what is not the field's own.
  const own = label => [...label.childNodes].filter(part => !part.matches?.('select, input, textarea')).map(part => part.textContent).join('');
  const names = each => [each.getAttribute('aria-label'), each.innerText, each.value, ...[...(each.labels ?? [])].map(own)];
  return [...document.querySelectorAll(kinds)].find(each => isShown(each) && names(each).some(text => said(text) === name)) ?? null;
}"#;
const PRESSED: &str = "a[href], button, summary, input[type=submit], input[type=checkbox], input[type=radio], [role=button], [role=tab]";
const FILLED: &str = "input, textarea, select, [role=textbox]";

/// Where the middle of an element is, once it is scrolled there, and what is in its way.
const PLACE: &str = r#"each => {
  each.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  const box = each.getClientRects()[0];
  if (!box) return { covered: 'it is not shown' };
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const hit = document.elementFromPoint(x, y);
  return { x, y, covered: each.contains(hit) || hit?.contains(each) ? null : hit?.outerHTML.slice(0, 200) ?? 'it is outside' };
}"#;

/// A screen that pages are looked at on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// 1280 by 800.
    Desktop,
    /// 360 by 740, by touch.
    Phone,
}

/// An open page.
pub struct Page {
    line: Arc<Line>,
    session: String,
}

impl Page {
    pub(crate) fn open(line: Arc<Line>, context: &Json) -> Page {
        let target = line.ask(None, "Target.createTarget", json!({ "url": "about:blank", "browserContextId": context }));
        let attached = line.ask(None, "Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        let page = Page { line, session: attached["sessionId"].as_str().expect("a session").to_string() };
        for domain in ["Page", "Runtime", "Network", "Log", "Audits"] {
            page.ask(&format!("{domain}.enable"), json!({}));
        }
        page.ask("Page.setLifecycleEventsEnabled", json!({ "enabled": true }));
        // A page in the background gets no focus, and nobody could see where it is.
        page.ask("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }));
        page.shape(Shape::Desktop);
        page.forget();
        page
    }

    /// Goes to an address, and waits until it is loaded.
    pub fn go(&self, address: &str) {
        self.try_go(address).unwrap_or_else(|refused| panic!("{address}: {refused}"));
    }
    /// The same; what keeps the browser from it is the error.
    pub fn try_go(&self, address: &str) -> Result<(), String> {
        let began = self.line.try_ask(Some(&self.session), "Page.navigate", json!({ "url": address }))?;
        if let Some(refused) = began["errorText"].as_str() {
            return Err(refused.to_string());
        }
        // Where only the fragment differs, nothing is loaded.
        let Some(loader) = began["loaderId"].as_str() else { return Ok(()) };
        let is_loaded = |seen: &Seen| seen.loaded.iter().any(|loaded| loaded == loader).then_some(());
        self.line.wait(address, |heard| heard.seen.get(&self.session).and_then(is_loaded));
        Ok(())
    }
    /// Loads the page again.
    pub fn reload(&self) {
        self.loading("reload", || drop(self.ask("Page.reload", json!({}))));
    }
    /// Does something that leads to another document, and waits until that is loaded.
    pub fn loading(&self, what: &str, act: impl FnOnce()) {
        let count = |seen: Option<&Seen>| seen.map_or(0, |seen| seen.loaded.len());
        let before = count(self.line.heard().seen.get(&self.session));
        act();
        self.line.wait(what, |heard| (count(heard.seen.get(&self.session)) > before).then_some(()));
    }
    /// Where the page is.
    pub fn address(&self) -> String {
        self.evaluate("location.href").as_str().expect("an address").to_string()
    }

    /// Presses a button, a link or the like with the mouse.
    pub fn press(&self, name: &str) {
        let place = self.with(name, PRESSED, PLACE);
        assert_eq!(place["covered"], Json::Null, "{name:?} cannot be pressed: {place}");
        for (kind, buttons) in [("mousePressed", 1), ("mouseReleased", 0)] {
            let (x, y) = (&place["x"], &place["y"]);
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", event);
        }
    }
    /// Presses what leads to another document, and waits for that.
    pub fn follow(&self, name: &str) {
        self.loading(name, || self.press(name));
    }
    /// Types into a field in place of what is there.
    pub fn fill(&self, label: &str, text: &str) {
        self.with(label, FILLED, "each => { each.focus(); each.select?.(); return true }");
        self.write(text);
    }
    /// Takes one of the choices of a list, by its words.
    pub fn choose(&self, label: &str, choice: &str) {
        let chosen = format!(
            "each => {{ const found = [...each.options].find(option => option.label.trim() === {choice}); if (!found) return false;
              each.value = found.value; for (const kind of ['input', 'change']) each.dispatchEvent(new Event(kind, {{ bubbles: true }})); return true }}",
            choice = json!(choice)
        );
        assert_eq!(self.with(label, "select", &chosen), true, "{label} has no {choice}");
    }
    /// Types into what has the focus.
    pub fn write(&self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text }));
    }
    /// Presses a key of the keyboard, such as Tab, Enter, Escape or a letter.
    pub fn key(&self, key: &str) {
        self.key_with(key, 0);
    }
    /// The same while Alt (1), Control (2), Meta (4) and Shift (8) are held.
    pub fn key_with(&self, key: &str, held: u8) {
        let (code, number, text) = key_of(key);
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" && held & 7 == 0 { text.as_str() } else { "" };
            let event = json!({ "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number, "text": text, "modifiers": held });
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// What an expression is in the page; a promise is waited for.
    pub fn evaluate(&self, script: &str) -> Json {
        self.try_evaluate(script).unwrap_or_else(|refused| panic!("{refused}: {script}"))
    }
    /// Waits until an expression is true, in whichever document is there then.
    pub fn until(&self, script: &str) {
        let soon = format!(
            "(async () => {{ for (let tries = 0; tries < {}; tries++) {{ if ({script}) return true; await new Promise(next => setTimeout(next, 20)) }} return false }})()",
            TOO_LONG.as_millis() / 20
        );
        // A document that is left takes its promises with it.
        for _ in 0..20 {
            match self.try_evaluate(&soon) {
                Ok(is_so) => return assert_eq!(is_so, true, "never true: {script}\n{}", self.text()),
                Err(refused) => assert!(refused.contains("navigated") || refused.contains("context"), "{refused}: {script}"),
            }
        }
        panic!("the page never rests: {script}");
    }
    /// Waits until the page says something.
    pub fn until_says(&self, text: &str) {
        self.until(&format!("document.body.innerText.replace(/\\s+/g, ' ').includes({})", json!(text)));
    }
    /// Everything that can be read on the page, with single spaces.
    pub fn text(&self) -> String {
        let text = self.evaluate("document.body.innerText.replace(/\\s+/g, ' ')");
        text.as_str().expect("a text").to_string()
    }
    /// True where the page says something.
    pub fn says(&self, text: &str) -> bool {
        self.text().contains(text)
    }
    /// How many elements a selector finds.
    pub fn count(&self, selector: &str) -> u64 {
        self.evaluate(&format!("document.querySelectorAll({}).length", json!(selector))).as_u64().expect("a number")
    }

    /// Looks at the page on a screen.
    pub fn shape(&self, shape: Shape) {
        let (width, height, is_phone) = if shape == Shape::Phone { (360, 740, true) } else { (1280, 800, false) };
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.ask("Emulation.setDeviceMetricsOverride", screen);
        self.ask("Emulation.setTouchEmulationEnabled", json!({ "enabled": is_phone }));
    }
    /// Wishes for dark pages, or for light ones.
    pub fn dark(&self, is_dark: bool) {
        let scheme = if is_dark { "dark" } else { "light" };
        self.ask("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }));
    }
    /// Switches scripts off, or on again, from the next document on.
    pub fn scripts(&self, are_on: bool) {
        self.ask("Emulation.setScriptExecutionDisabled", json!({ "value": !are_on }));
    }
    /// Cuts the page off from everything, or connects it again.
    pub fn offline(&self, is_offline: bool) {
        let conditions = json!({ "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.ask("Network.emulateNetworkConditions", conditions);
    }
    /// The cookies that the browser has for the page, as it keeps them.
    pub fn cookies(&self) -> Vec<Json> {
        let cookies = self.ask("Network.getCookies", json!({}));
        cookies["cookies"].as_array().cloned().unwrap_or_default()
    }
    /// What the screen shows, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let taken = self.ask("Page.captureScreenshot", json!({ "format": "png", "optimizeForSpeed": false }));
        png::bytes(taken["data"].as_str().expect("a picture"))
    }
    /// What the page did so far.
    pub fn seen(&self) -> Seen {
        // An answer comes after the events before it.
        self.ask("Runtime.evaluate", json!({ "expression": "0" }));
        self.line.heard().seen.get(&self.session).cloned().unwrap_or_default()
    }
    /// Forgets what the page did so far.
    pub fn forget(&self) {
        self.seen();
        self.line.heard().seen.remove(&self.session);
    }
    /// Runs a script of ours beside the page's own, where the page's policy and its globals do not reach.
    pub fn beside(&self, script: &str) -> Json {
        let tree = self.ask("Page.getFrameTree", json!({}));
        let world = json!({ "frameId": tree["frameTree"]["frame"]["id"], "worldName": "beside" });
        let context = &self.ask("Page.createIsolatedWorld", world)["executionContextId"];
        let with = json!({ "expression": script, "contextId": context, "returnByValue": true, "awaitPromise": true });
        given(self.ask("Runtime.evaluate", with)).unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// Finds what has that name and gives it to a function of JavaScript.
    fn with(&self, name: &str, kinds: &str, function: &str) -> Json {
        self.until(&format!("({FIND})({}, {})", json!(name), json!(kinds)));
        self.evaluate(&format!("({function})(({FIND})({}, {}))", json!(name), json!(kinds)))
    }
    fn try_evaluate(&self, script: &str) -> Result<Json, String> {
        let with = json!({ "expression": script, "returnByValue": true, "awaitPromise": true, "userGesture": true });
        given(self.line.try_ask(Some(&self.session), "Runtime.evaluate", with)?)
    }
    fn ask(&self, method: &str, with: Json) -> Json {
        self.line.ask(Some(&self.session), method, with)
    }
}

fn given(mut evaluated: Json) -> Result<Json, String> {
    match evaluated.get("exceptionDetails") {
        Some(thrown) => Err(format!("{} {}", thrown["text"], thrown["exception"]["description"])),
        None => Ok(evaluated["result"]["value"].take()),
    }
}

/// Code, number and text of a key.
fn key_of(key: &str) -> (String, u32, String) {
    let (number, text) = match key {
        "Tab" => (9, ""),
        "Enter" => (13, "\r"),
        "Escape" => (27, ""),
        " " => return ("Space".into(), 32, " ".into()),
        "End" => (35, ""),
        "Home" => (36, ""),
        "ArrowLeft" => (37, ""),
        "ArrowUp" => (38, ""),
        "ArrowRight" => (39, ""),
        "ArrowDown" => (40, ""),
        letter => {
            let upper = letter.to_uppercase();
            let number = upper.chars().next().map_or(0, u32::from);
            return (format!("Key{upper}"), number, letter.to_string());
        }
    };
    (key.to_string(), number, text.to_string())
}
