//! Goes through every page that links lead to, a few of each route, and looks at each.
use mainstem_browser::Page;
use mainstem_http::server::routes::{Media, routes};
use std::collections::{BTreeMap, VecDeque};

/// The addresses that a page links to, without what is behind `#`.
const LINKS: &str = "[...new Set([...document.querySelectorAll('a[href]')].map(link => link.href.split('#')[0]))]";

/// The pages that were looked at, by route.
pub type Visited = BTreeMap<String, Vec<String>>;

/// Looks at what can be reached from some addresses, at so many pages of each route, spread over what there is.
pub fn crawl(page: &Page, from: &[String], each_max: usize, look: &mut dyn FnMut(&Page)) -> Visited {
    let pages = page_routes();
    let mut visited = Visited::new();
    let mut next: VecDeque<String> = from.iter().cloned().collect();
    while let Some(address) = next.pop_front() {
        let Some(route) = route_of(&pages, &address) else { continue };
        let same = visited.entry(route).or_default();
        if same.len() >= each_max || same.contains(&address) {
            continue;
        }
        same.push(address.clone());
        page.go(&address);
        look(page);
        let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for link in page.evaluate(LINKS).as_array().into_iter().flatten().filter_map(|link| link.as_str()) {
            if let Some(route) = route_of(&pages, link) {
                kinds.entry(route).or_default().push(link.to_string());
            }
        }
        for links in kinds.into_values() {
            let step = links.len().div_ceil(each_max).max(1);
            next.extend(links.into_iter().step_by(step));
        }
    }
    visited
}

/// The paths of all routes that give pages.
pub fn page_routes() -> Vec<String> {
    routes().into_iter().filter(|route| route.method == "GET" && matches!(route.gives, Media::Page)).map(|route| route.path).collect()
}

/// The route that an address belongs to: the one with the fewest parts that may be anything.
fn route_of(pages: &[String], address: &str) -> Option<String> {
    let path = address.split("://").nth(1)?.split_once('/')?.1.split('?').next()?;
    let parts: Vec<&str> = path.split('/').collect();
    let is_any = |part: &str| part.starts_with('{');
    let fits = |route: &&String| {
        let wanted: Vec<&str> = route.trim_start_matches('/').split('/').collect();
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(|(wanted, part)| is_any(wanted) && !part.is_empty() || wanted == part)
    };
    pages.iter().filter(fits).min_by_key(|route| route.split('/').filter(|part| is_any(part)).count()).cloned()
}
