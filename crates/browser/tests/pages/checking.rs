//! The checks themselves: a page that breaks one thing is found out for that thing.
use mainstem_browser::{Browser, Page, checks};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A good page with something in it.
fn page_with(inside: &str) -> String {
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'><title>A page</title>\
         <style>:root {{ color-scheme: light dark; background: Canvas }}</style></head><body><main><h1>A page</h1>{inside}</main></body></html>"
    )
}

/// Serves pages by their number; those from 100 on under a strict policy.
fn serve(pages: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).unwrap_or(0);
            let path = String::from_utf8_lossy(&asked[..read]).split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_string();
            let number: Option<usize> = path.parse().ok();
            let body = number.and_then(|number| pages.get(number % 100)).map_or("", String::as_str);
            let policy =
                if number >= Some(100) { "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n" } else { "" };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n";
            let _ = stream.write_all(format!("{head}{policy}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    address
}

fn complaint(page: &Page, check: fn(&Page)) -> String {
    let caught = catch_unwind(AssertUnwindSafe(|| check(page))).err();
    caught.map_or_else(String::new, |panic| panic.downcast_ref::<String>().cloned().expect("a message"))
}

type Case = (&'static str, fn(&Page), &'static str);

const CASES: &[Case] = &[
    ("<script>alert(1)</script>", checks::assert_quiet, "script inside"),
    ("<p onclick='x()'>x</p>", checks::assert_quiet, "attribute onclick"),
    ("<a href='javascript:alert(1)'>x</a>", checks::assert_quiet, "address javascript:"),
    ("<a href='http://outside.example/'>x</a>", checks::assert_quiet, "address http://outside"),
    ("<img src='http://outside.example/x.png' alt=x>", checks::assert_quiet, "element <img"),
    ("<svg><set attributeName=onmouseover to='x()'/></svg>", checks::assert_quiet, "element <set"),
    ("<iframe srcdoc='x'></iframe>", checks::assert_quiet, "element <iframe"),
    ("<p style='width: 500px'>x</p>", checks::assert_no_sideways, "wider than the screen"),
    ("<p style='color: #aaa; background: #fff'>faint</p>", checks::assert_accessible, "color-contrast"),
    ("<input>", checks::assert_accessible, "label"),
    ("<button style='outline: none'>x</button>", checks::assert_by_keyboard, "nothing shows the focus"),
    ("<button style='position: fixed; top: -90px'>x</button>", checks::assert_by_keyboard, "outside of what is seen"),
    (
        "<a href='/'>x</a><a href='/' id=trap>y</a><script>trap.onfocus = () => trap.previousSibling.focus()</script>",
        checks::assert_by_keyboard,
        "the Tab key stops at",
    ),
];

#[test]
fn what_a_page_breaks_is_found_out() {
    let address =
        serve(CASES.iter().map(|(inside, _, _)| page_with(inside)).chain([page_with("<p>All is well. <a href='/'>On</a></p>")]).collect());
    let browser = Browser::start();
    let page = browser.page();
    page.shape(mainstem_browser::Shape::Phone);
    for (number, (inside, check, why)) in CASES.iter().enumerate() {
        page.forget();
        page.go(&format!("{address}/{number}"));
        let complaint = complaint(&page, *check);
        assert!(complaint.contains(why), "{inside}: {complaint:?}");
    }
    page.forget();
    page.go(&format!("{address}/{}", CASES.len()));
    checks::assert_good(&page);
}

#[test]
fn what_a_page_does_is_seen_even_where_the_policy_forbids_it() {
    let loud = page_with("<script>alert('heard'); fetch('http://outside.example/told').catch(() => 0); window.nothing.here</script>");
    let quiet = page_with("<p>x</p>");
    let address = serve(vec![loud, quiet]);
    let browser = Browser::start();
    let page = browser.page();
    page.go(&format!("{address}/0"));
    let seen = page.seen();
    assert_eq!(seen.dialogs, ["heard"]);
    assert!(seen.errors.iter().any(|error| error.contains("TypeError")), "{seen:?}");
    assert!(seen.requests.contains(&"GET http://outside.example/told".to_string()), "{seen:?}");
    page.until("performance.getEntriesByName('http://outside.example/told').length");
    assert!(browser.outside().iter().any(|asked| asked.contains("outside.example/told")), "{:?}", browser.outside());
    page.forget();
    page.go(&format!("{address}/100"));
    let seen = page.seen();
    assert!(seen.dialogs.is_empty() && !seen.violations.is_empty(), "{seen:?}");
    page.go(&format!("{address}/101"));
    page.offline(true);
    assert!(page.try_go(&format!("{address}/1")).is_err());
}
