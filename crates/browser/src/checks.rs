//! What every page keeps, whosever words are on it.
//!
//! Invariant: a page runs no script but the server's, asks nobody but its server, opens nothing, and works by keyboard, at 360
//! pixels and by light and dark.
use crate::page::{Page, Shape};
use serde_json::Value as Json;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The version of axe-core that `scripts/axe` fetches.
const AXE_VERSION: &str = "4.14.1";
/// More stops of the Tab key than any page has.
const STOPS_MAX: usize = 2_000;

/// What is wrong with a page's document: elements, attributes and addresses that no template writes.
const STRANGE: &str = r#"(() => {
  const strange = [];
  const kept = new Set(('html head title meta link script style body header nav main section article aside footer div span p a ul ol li dl dt dd ' +
    'h1 h2 h3 h4 h5 h6 table caption colgroup col thead tbody tfoot tr th td form fieldset legend label input button select optgroup option ' +
    'textarea datalist output progress meter details summary dialog code pre kbd samp var mark ins del s b i em strong small sub sup abbr time br ' +
    'hr wbr bdi bdo q blockquote cite data figure figcaption template noscript svg g path circle rect line polyline polygon text tspan title desc use defs ' +
    'symbol lineargradient stop clippath').split(' '));
  for (const each of document.querySelectorAll('*')) {
    const name = each.localName.toLowerCase();
    const shown = () => each.outerHTML.slice(0, 200);
    const isOwnPicture = name === 'img' && each.getAttribute('src')?.startsWith('/assets/');
    if (!kept.has(name) && !isOwnPicture) strange.push('element ' + shown());
    if (name === 'script' && !each.src && each.type !== 'application/json') strange.push('script inside ' + shown());
    if (name === 'meta' && each.httpEquiv && each.httpEquiv !== 'refresh') strange.push('meta ' + shown());
    for (const attribute of each.attributes) {
      const [key, value] = [attribute.name.toLowerCase(), attribute.value];
      if (key.startsWith('on') || key === 'srcdoc' || key === 'ping') strange.push('attribute ' + key + ' in ' + shown());
      if (['href', 'src', 'action', 'formaction', 'xlink:href', 'data', 'poster', 'background', 'srcset'].includes(key)) {
        const address = new URL(value, document.baseURI);
        if (address.origin !== location.origin || address.username) strange.push('address ' + value.slice(0, 200) + ' in ' + shown());
      }
    }
  }
  return strange;
})()"#;

/// Everything that a mouse could use and that is there to be used, numbered, so that the keyboard's stops can be told.
const NUMBERED: &str = r#"(() => {
  const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex], [contenteditable=true]')]
    .filter(each => each.checkVisibility({ visibilityProperty: true }) && !each.matches(':disabled') && each.tabIndex >= 0 && !each.closest('[inert]'));
  window.stopsOfKeyboard = all;
  document.activeElement?.blur();
  window.scrollTo(0, 0);
  const radios = new Set(all.filter(each => each.type === 'radio').map(each => each.form?.id + each.name));
  return all.length - all.filter(each => each.type === 'radio').length + radios.size;
})()"#;

/// What has the focus: its number, and what is wrong with how it shows that.
const FOCUSED: &str = r#"(() => {
  const each = document.activeElement;
  if (!each || each === document.body || each === document.documentElement) return null;
  const style = getComputedStyle(each);
  const box = each.getBoundingClientRect();
  const isRinged = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1 && style.outlineColor !== 'rgba(0, 0, 0, 0)';
  const isSeen = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  const wrong = !isRinged && style.boxShadow === 'none' ? 'nothing shows the focus' : !isSeen ? 'the focus is outside of what is seen' : null;
  return { number: window.stopsOfKeyboard.indexOf(each), wrong, shown: each.outerHTML.slice(0, 160) };
})()"#;

/// Checks all that a page keeps: dark on a phone, light on a desktop, where it ends.
pub fn assert_good(page: &Page) {
    for (shape, is_dark) in [(Shape::Phone, true), (Shape::Desktop, false)] {
        page.shape(shape);
        page.dark(is_dark);
        assert_no_sideways(page);
        assert_accessible(page);
    }
    assert_by_keyboard(page);
    assert_quiet(page);
}

/// Asserts that the page is only what its templates write, and did nothing but ask its server.
pub fn assert_quiet(page: &Page) {
    let address = page.address();
    let strange = page.evaluate(STRANGE);
    assert_eq!(strange, Json::Array(Vec::new()), "{address} has what no template writes");
    let seen = page.seen();
    let origin = page.evaluate("location.origin + '/'").as_str().expect("an origin").to_string();
    let is_own = |asked: &&String| asked.split_once(' ').is_some_and(|(_, asked)| asked.starts_with(&origin));
    let foreign: Vec<&String> = seen.requests.iter().filter(|asked| !is_own(asked)).collect();
    assert!(foreign.is_empty(), "{address} asks elsewhere: {foreign:?}");
    let unwanted = [&seen.dialogs, &seen.errors, &seen.violations, &seen.missing, &seen.opened, &seen.downloads];
    assert!(unwanted.iter().all(|each| each.is_empty()), "{address}: {seen:#?}");
}

/// Asserts that nothing has to be scrolled sideways, but inside its own frame.
pub fn assert_no_sideways(page: &Page) {
    // A phone shows a wide page smaller, so that its inner width says nothing.
    let script = "(() => { const all = document.documentElement; return all.scrollWidth > all.clientWidth ? \
        [all.scrollWidth, [...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > all.clientWidth + 1) \
        .slice(0, 5).map(e => e.outerHTML.slice(0, 120))] : null })()";
    let wide = page.evaluate(script);
    assert_eq!(wide, Json::Null, "{} is wider than the screen", page.address());
}

/// Asserts that the Tab key reaches all that a mouse could use, and that one sees where it is.
pub fn assert_by_keyboard(page: &Page) {
    let address = page.address();
    let usable = page.evaluate(NUMBERED).as_u64().expect("a number") as usize;
    let mut stops = std::collections::BTreeSet::new();
    let mut left_page = 0;
    for _ in 0..STOPS_MAX {
        page.key("Tab");
        let stop = page.evaluate(FOCUSED);
        // Where a field has the focus from the start, what is before it comes after the end.
        if stop == Json::Null && left_page < 2 {
            left_page += 1;
            continue;
        }
        if stop == Json::Null || !stops.insert(stop["number"].as_i64()) {
            break;
        }
        assert_eq!(stop["wrong"], Json::Null, "{address}: {stop}");
    }
    assert_eq!(stops.len(), usable, "{address}: the Tab key stops at {stops:?}");
}

/// Asserts that axe-core finds nothing serious or critical.
pub fn assert_accessible(page: &Page) {
    let Some(axe) = axe() else { return };
    let run = "axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations\
        .filter(each => ['serious', 'critical'].includes(each.impact))\
        .map(each => [each.id, each.help, each.nodes.slice(0, 4).map(node => [node.html.slice(0, 200), node.failureSummary])]))";
    let found = page.beside(&format!("{axe}\n;{run}"));
    assert_eq!(found, Json::Array(Vec::new()), "{}: {found:#}", page.address());
}

/// The source of axe-core; none where its absence is wanted.
fn axe() -> Option<&'static str> {
    static SOURCE: OnceLock<Option<String>> = OnceLock::new();
    SOURCE.get_or_init(fetched).as_deref()
}

fn fetched() -> Option<String> {
    if std::env::var_os("MAINSTEM_WITHOUT_AXE").is_some() {
        return None;
    }
    let program = std::env::current_exe().expect("a test is a program");
    let folders = program.ancestors().map(|folder| folder.join(format!("axe-core-{AXE_VERSION}/axe.min.js")));
    let places: Vec<PathBuf> = folders.collect();
    let found = places.iter().find_map(|place| std::fs::read_to_string(place).ok());
    Some(found.expect("axe-core is not there, which judges accessibility. hint: scripts/axe (MAINSTEM_WITHOUT_AXE=1 does without)"))
}
