//! Pictures of pages for the documents, taken anew by `scripts/pictures`; every other time they are only taken.
use crate::house::House;
use crate::review::{furnished, vote};
use mainstem_browser::{Browser, Page, Shape};
use std::path::PathBuf;

/// A picture takes no more of whoever reads a document.
const BYTES_MAX: usize = 200_000;

fn take(page: &Page, name: &str) {
    let picture = page.screenshot();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() < BYTES_MAX, "{name}: {} bytes", picture.len());
    if let Some(folder) = std::env::var_os("MAINSTEM_PICTURES").map(PathBuf::from) {
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("the picture is kept");
    }
}

fn propose(house: &House) -> String {
    let id = house.propose("eve.db", "shop", "eve", "Prices of May");
    house.at(&format!("/datasets/shop/proposals/{id}"))
}

#[test]
fn pictures_for_the_documents() {
    let (house, [ann, bo]) = furnished();
    let proposal = propose(&house);
    let browser = Browser::start();
    let (first, second) = (browser.page(), browser.page());
    house.sign_in(&first, &ann);
    house.sign_in(&second, &bo);
    take(&first, "overview");
    first.go(&house.at("/datasets/shop/tables/article"));
    take(&first, "rows");
    second.go(&proposal);
    second.press("Comment on this row: article 1");
    second.choose("About", "price");
    second.fill("Comment", "Is that with tax?");
    second.follow("Comment on the row");
    second.go(&proposal);
    vote(&second, "Approve", "The new prices are those of the list.");
    first.go(&format!("{proposal}?view=beside"));
    take(&first, "proposal");
    first.evaluate("document.getElementById('changes').scrollIntoView()");
    take(&first, "changes");
    second.shape(Shape::Phone);
    second.dark(true);
    second.go(&proposal);
    take(&second, "phone");
    first.go(&format!("{proposal}/merge"));
    take(&first, "merge");
}
