//! The page that describes the interface.
use mainstem::wiring::RealSurroundings;
use mainstem_browser::{Browser, checks};
use mainstem_traffic::Served;
use std::sync::Arc;

#[test]
fn the_description_is_a_good_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::begin(folder.path(), Arc::new(RealSurroundings));
    let browser = Browser::start();
    let page = browser.page();
    page.go(&format!("http://{}/api", served.socket()));
    assert!(page.says("The HTTP interface"));
    checks::assert_good(&page);
    assert_eq!(browser.outside(), [] as [&str; 0]);
}
