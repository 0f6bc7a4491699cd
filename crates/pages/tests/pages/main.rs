//! Pages as a browser would parse them: what every page has, and what each says of what it was given.
#![allow(clippy::unwrap_used, reason = "tests")]
mod contrast;
mod samples;

use mainstem_pages::Page;
use scraper::{ElementRef, Html, Selector};
use std::collections::BTreeSet;

fn select<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).expect("a selector")).collect()
}

fn text(element: &ElementRef<'_>) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn parsed(page: &dyn Fn() -> String) -> Html {
    Html::parse_document(&page())
}

/// What is wrong with a page, whatever it is about.
fn wrong(name: &str, html: &str) -> Vec<String> {
    let page = Html::parse_document(html);
    let mut wrong = Vec::new();
    let mut must = |is_so: bool, what: String| {
        if !is_so {
            wrong.push(format!("{name}: {what}"))
        }
    };
    must(select(&page, "html[lang]").len() == 1, "no language".into());
    must(select(&page, "title").first().is_some_and(|title| text(title).ends_with("· Mainstem")), "no title".into());
    must(select(&page, "h1").len() == 1, format!("{} h1", select(&page, "h1").len()));
    must(select(&page, "main#main").len() == 1 && select(&page, "a.skip[href='#main']").len() == 1, "no way to skip".into());
    must(select(&page, "meta[name=viewport]").len() == 1, "no viewport".into());
    let mut ids = BTreeSet::new();
    for element in select(&page, "*") {
        let value = element.value();
        for (attribute, said) in value.attrs() {
            must(!attribute.starts_with("on") && attribute != "style", format!("{attribute} on {}", value.name()));
            if matches!(attribute, "href" | "src" | "action") {
                must(said.starts_with('/') && !said.starts_with("//") || said.starts_with('#'), format!("{attribute} leads to {said}"));
            }
            if attribute == "aria-labelledby" || attribute == "aria-describedby" {
                must(html.contains(&format!("id=\"{said}\"")), format!("{attribute} names {said}, which is not there"));
            }
        }
        if let Some(id) = value.id() {
            must(ids.insert(id.to_string()), format!("the id {id} is there twice"));
        }
        must(value.name() != "style" && (value.name() != "script" || value.attr("src").is_some()), "a style or script inside".into());
    }
    for field in select(&page, "input:not([type=hidden]), select, textarea") {
        let id = field.value().id().unwrap_or_default();
        let is_inside = field.ancestors().filter_map(ElementRef::wrap).any(|parent| parent.value().name() == "label");
        let is_named = is_inside || field.value().attr("aria-label").is_some() || html.contains(&format!("for=\"{id}\""));
        must(is_named, format!("{} {id} has no label", field.value().name()));
    }
    for form in select(&page, "form[method=post]") {
        let keys = form.select(&Selector::parse("input[type=hidden][name=form_key][value=KEY]").unwrap()).count();
        let is_sign_in = form.value().attr("action").is_some_and(|to| ["/sign-in", "/set-up"].contains(&to));
        must(keys == 1 || is_sign_in, format!("the form to {:?} says no key", form.value().attr("action")));
    }
    for button in select(&page, "button") {
        must(!text(&button).is_empty() && button.value().attr("type").is_some(), "a button without words or type".into());
    }
    for link in select(&page, "a[href]") {
        must(!text(&link).is_empty(), format!("a link without words to {:?}", link.value().attr("href")));
    }
    for table in select(&page, "table") {
        let is_scrolled = table.ancestors().filter_map(ElementRef::wrap).any(|box_| {
            box_.value().attr("class") == Some("scroll")
                && box_.value().attr("tabindex") == Some("0")
                && box_.value().attr("aria-label").is_some()
        });
        must(is_scrolled, "a table that is in no box of its own".into());
    }
    for heading in select(&page, "thead th") {
        must(heading.value().attr("scope") == Some("col") && !text(&heading).is_empty(), "a heading without a scope or words".into());
    }
    for image in select(&page, "img") {
        must(image.value().attr("alt").is_some(), "an image without a text".into());
    }
    wrong
}

#[test]
fn every_page_can_be_used_by_everybody() {
    let found: Vec<String> = samples::all().iter().flat_map(|(name, page)| wrong(name, &page())).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn nothing_that_was_given_is_markup() {
    for (name, page) in samples::all() {
        let page = parsed(&*page);
        // Each sample has a hostile text wherever it may have one.
        for tag in ["svg", "xss", "b"] {
            assert!(select(&page, tag).is_empty(), "{name} has <{tag}>");
        }
        assert_eq!(select(&page, "script").len(), 1, "{name}");
    }
}

#[test]
fn the_frame_says_where_one_is_and_who_one_is() {
    let page = parsed(&|| samples::dataset().render().unwrap());
    assert_eq!(text(&select(&page, ".own summary")[0]), samples::HOSTILE);
    let here: Vec<String> = select(&page, ".tabs [aria-current=page]").iter().map(text).collect();
    assert_eq!(here, ["Tables 3 open"]);
    assert_eq!(select(&page, "body[data-live]").len(), 1);
    let chosen: Vec<_> =
        select(&page, ".theme option[selected]").iter().map(|option| option.value().attr("value").unwrap().to_string()).collect();
    assert_eq!(chosen, ["dark"]);
    assert_eq!(select(&page, "html[data-theme=dark]").len(), 1);
}

#[test]
fn empty_pages_say_what_to_do() {
    for (name, page) in samples::empty() {
        let page = parsed(&*page);
        let said = select(&page, ".empty").iter().map(text).collect::<String>();
        assert!(said.len() > 30, "{name}: {said}");
    }
}

#[test]
fn a_version_shows_each_cell_before_and_after() {
    let page = parsed(&|| samples::version().render().unwrap());
    let was: Vec<String> = select(&page, ".was").iter().map(text).collect();
    let is: Vec<String> = select(&page, ".is").iter().map(text).collect();
    assert_eq!((was.len(), is.len()), (1, 1));
    assert!(was[0].starts_with("was ") && is[0].starts_with("is "), "those who do not see colours are told");
    assert_eq!((select(&page, ".was .v-changed").len(), select(&page, ".is .v-changed").len()), (0, 1));
    let marks: Vec<String> = select(&page, ".is .v-mark").iter().map(text).collect();
    assert_eq!(marks, ["U+200B"]);
}

#[test]
fn a_token_is_shown_once_and_states_are_words() {
    let page = parsed(&|| samples::tokens(Some("mainstem_secret")).render().unwrap());
    assert_eq!(select(&page, "#made").iter().map(text).collect::<Vec<_>>(), ["mainstem_secret"]);
    assert_eq!(select(&page, "td .badge").iter().map(text).collect::<Vec<_>>(), ["good", "expired", "revoked"]);
    let page = parsed(&|| samples::tokens(None).render().unwrap());
    assert!(select(&page, "#made").is_empty());
    assert_eq!(select(&page, "form[action$='/revoke']").len(), 1, "what is over cannot be revoked");
}

#[test]
fn only_who_may_is_offered_what_they_may() {
    for (may, forms) in [(true, 5), (false, 0)] {
        let page = parsed(&|| samples::conflicts(may).render().unwrap());
        assert_eq!(select(&page, "form[method=post][action$='/conflicts']").len(), forms, "{may}");
    }
    for (may, count) in [(true, 1), (false, 0)] {
        let page = parsed(&|| samples::policy(may).render().unwrap());
        assert_eq!(select(&page, "textarea").len(), count, "{may}");
    }
}

#[test]
fn what_was_typed_comes_back_to_the_bit() {
    let page = parsed(&|| samples::policy(true).render().unwrap());
    let typed = select(&page, "textarea")[0].text().collect::<String>();
    assert_eq!(typed, samples::POLICY);
}
