//! Servers that are reached through a proxy alone: their names mean nothing here.
use mainstem::core::ErrorKind;
use mainstem::core::schema::Schema;
use mainstem::datasets::Place;
use mainstem::error::Error;
use mainstem::local::Founding;
use mainstem::primary::Primary;
use mainstem_http::address::Address;
use mainstem_http::client::{HttpPlace, HttpPrimary, Patience, Trust, Ways, shown_by};
use mainstem_http::server::{Door, Limits, Porter, Record, Tls};
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::{Forward, Served};
use std::path::Path;

/// A name that no system knows.
const NAME: &str = "data.mainstem.test";

fn serve(folder: &Path, tls: Option<&Tls>) -> Served {
    let around = Seeded::new(1, 1_800_000_000_000);
    let door = Door::new(&[NAME.to_string()], &[]).expect("a name");
    let porter = Porter::new(Limits::default(), door, Record::nowhere(around.clone()), around.clone());
    Served::through(porter, tls, &folder.join("data"), around)
}

fn by_name(served: &Served) -> Address {
    Address { host: NAME.into(), ..served.address("notes") }
}

fn through(proxy: &str, straight: &str) -> Ways {
    let proxy = proxy.to_string();
    Ways::named(&move |name| match name {
        "HTTPS_PROXY" | "HTTP_PROXY" => Some(proxy.clone()),
        "NO_PROXY" => Some(straight.to_string()),
        _ => None,
    })
}

fn describe(served: &Served, trust: &Trust) -> Result<(), Error> {
    HttpPrimary::new(by_name(served), served.token(), Patience::default())?.trusting(trust.clone()).describe().map(drop)
}

#[test]
fn a_server_behind_a_proxy_is_reached_through_it_and_recognised_as_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = Tls::own(&folder.path().join("tls"), &[NAME.to_string()]).expect("a certificate");
    let served = serve(folder.path(), Some(&tls));
    let proxy = Forward::begin(served.socket(), Some("ann:p@ss"));
    let ways = through(&format!("http://ann:p%40ss@{}", proxy.socket()), "");
    let trust = Trust { known_servers: Some(folder.path().join("known_servers")), ways: ways.clone(), ..Trust::default() };
    // Nobody vouches for it: the proxy is no reason to believe anybody.
    assert_eq!(describe(&served, &trust).expect_err("a stranger").code, "untrusted");
    let seen = shown_by(&by_name(&served), &ways, Patience::default()).expect("it shows one");
    assert_eq!(seen, tls.fingerprint());
    trust.pin(&by_name(&served).origin(), seen).expect("stored");
    let founding = Founding { dataset: "notes", actor: "owner", lineage: 7, schema: &Schema::default(), policy: "" };
    let place = HttpPlace::new(by_name(&served), served.token(), Patience::default());
    place.trusting(trust.clone()).found(&founding, &mut |_| Ok(())).expect("a new dataset");
    describe(&served, &trust).expect("recognised");
    assert!(
        proxy.asked().iter().all(|asked| *asked == format!("CONNECT {NAME}:{} HTTP/1.1", served.socket().port())),
        "{:?}",
        proxy.asked()
    );
    let heard = proxy.heard();
    let token = served.token().expect("a token");
    assert!(!heard.windows(token.len()).any(|bytes| bytes == token.as_bytes()), "the proxy hears no token");
    // Whoever is not known to it is told so.
    let unknown = Trust { ways: through(&format!("http://{}", proxy.socket()), ""), ..trust.clone() };
    let refused = describe(&served, &unknown).expect_err("407");
    assert_eq!((refused.kind, refused.code), (ErrorKind::Unavailable, "line"));
    assert!(refused.message.contains("407") && refused.hint.expect("what to do").contains("NAME:PASSWORD"), "{}", refused.message);
    // Without it nobody knows the name; where it is gone, that is said.
    let straight = Trust { ways: through(&format!("http://{}", proxy.socket()), NAME), ..trust.clone() };
    assert_eq!(describe(&served, &straight).expect_err("no such name").code, "line");
    drop(proxy);
    let gone = describe(&served, &trust).expect_err("it is gone");
    assert!(gone.message.contains("the proxy"), "{}", gone.message);
}

#[test]
fn an_open_line_goes_through_a_proxy_only_where_a_token_may_be_heard() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let served = serve(folder.path(), None);
    let proxy = Forward::begin(served.socket(), None);
    let ways = through(&proxy.socket().to_string(), "");
    let trust = Trust { ways, ..Trust::default() };
    assert_eq!(describe(&served, &trust).expect_err("anybody could read it").code, "open_line");
    assert_eq!(proxy.asked(), Vec::<String>::new());
    let allowed = Trust { is_open_http_allowed: true, ..trust.clone() };
    assert_eq!(describe(&served, &allowed).expect_err("there is none yet").code, "no_primary");
    assert_eq!(proxy.asked().len(), 1);
    // What is on this machine goes through nobody.
    let near = HttpPrimary::new(served.address("notes"), served.token(), Patience::default()).expect("a line");
    assert_eq!(near.trusting(trust).describe().expect_err("there is none yet").code, "no_primary");
    assert_eq!(proxy.asked().len(), 1);
}
