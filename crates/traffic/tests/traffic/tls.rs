//! Encrypted lines: whom a client believes, and what it sends to whom it does not.
use mainstem::core::ErrorKind;
use mainstem::core::schema::Schema;
use mainstem::datasets::Place;
use mainstem::local::Founding;
use mainstem::primary::Primary;
use mainstem_http::client::{HttpPrimary, Patience, Trust, Ways, shown_by};
use mainstem_http::fingerprint::Fingerprint;
use mainstem_http::server::{Door, Limits, Porter, Record, Tls};
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;
use std::path::Path;

fn serve(folder: &Path, tls: &Tls) -> Served {
    let around = Seeded::new(1, 1_800_000_000_000);
    let porter = Porter::new(Limits::default(), Door::default(), Record::nowhere(around.clone()), around.clone());
    Served::through(porter, Some(tls), &folder.join("data"), around)
}

fn found(served: &Served, trust: &Trust) {
    let founding = Founding { dataset: "notes", actor: "owner", lineage: 7, schema: &Schema::default(), policy: "" };
    served.place("notes").trusting(trust.clone()).found(&founding, &mut |_| Ok(())).expect("a new dataset");
}

fn describe(served: &Served, trust: &Trust) -> mainstem::Result<()> {
    let primary = HttpPrimary::new(served.address("notes"), served.token(), Patience::default())?;
    primary.trusting(trust.clone()).describe().map(drop)
}

#[test]
fn a_server_with_a_certificate_of_its_own_is_recognised_by_it_and_by_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = Tls::own(&folder.path().join("tls"), &[]).expect("a certificate");
    assert_eq!(Tls::own(&folder.path().join("tls"), &[]).expect("the same").fingerprint(), tls.fingerprint());
    let served = serve(folder.path(), &tls);
    let trust = Trust { known_servers: Some(folder.path().join("config/known_servers")), ..Trust::default() };
    let stranger = describe(&served, &trust).expect_err("nobody vouches for it");
    assert_eq!((stranger.kind, stranger.code), (ErrorKind::Denied, "untrusted"), "{stranger}");
    assert!(stranger.hint.expect("what to do").contains("mainstem trust"));

    let seen = shown_by(&served.address("notes"), &Ways::default(), Patience::default()).expect("it shows one");
    assert_eq!(seen, tls.fingerprint());
    let server = served.address("notes").origin();
    trust.pin(&server, seen).expect("stored");
    trust.pin("https://other.example", Fingerprint::of(b"other")).expect("stored");
    found(&served, &trust);
    describe(&served, &trust).expect("recognised");

    trust.pin(&server, Fingerprint::of(b"another certificate")).expect("stored");
    let changed = describe(&served, &trust).expect_err("it shows another");
    assert_eq!(changed.code, "untrusted");
    assert!(changed.message.contains("another certificate"), "{changed}");
    assert_eq!(trust.pinned("https://other.example").expect("read"), Some(Fingerprint::of(b"other")));
}

#[test]
fn whoever_is_vouched_for_is_believed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = Tls::own(&folder.path().join("tls"), &[]).expect("a certificate");
    let served = serve(folder.path(), &tls);
    let trust = Trust { authorities: Some(folder.path().join("tls/own.crt")), ..Trust::default() };
    found(&served, &trust);
    describe(&served, &trust).expect("its own certificate vouches for it");
    let other = Tls::own(&folder.path().join("other"), &[]).expect("another");
    drop(other);
    let wrong = Trust { authorities: Some(folder.path().join("other/own.crt")), ..Trust::default() };
    assert_eq!(describe(&served, &wrong).expect_err("somebody else's").code, "untrusted");
    let none = Trust { authorities: Some(folder.path().join("nothing.pem")), ..Trust::default() };
    assert!(describe(&served, &none).expect_err("no such file").message.contains("nothing.pem"));
}

#[test]
fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = Tls::own(&folder.path().join("tls"), &[]).expect("a certificate");
    let served = serve(folder.path(), &tls);
    let (first, renewed) = (tls.fingerprint(), Tls::own(&folder.path().join("new"), &[]).expect("another").fingerprint());
    let shown = || shown_by(&served.address("notes"), &Ways::default(), Patience::default()).expect("it shows one");
    std::fs::write(folder.path().join("tls/own.crt"), "nothing").expect("written");
    tls.reload().expect_err("no certificate");
    assert_eq!(shown(), first);
    for name in ["own.crt", "own.key"] {
        std::fs::copy(folder.path().join("new").join(name), folder.path().join("tls").join(name)).expect("copied");
    }
    tls.reload().expect("a good one");
    assert_eq!((shown(), renewed), (renewed, tls.fingerprint()));
}

#[test]
fn a_token_goes_over_no_open_line_unasked() {
    let address = |typed: &str| mainstem_http::address::Address::parse(typed).expect("an address");
    let patience = Patience { connect: std::time::Duration::from_millis(1), ..Patience::default() };
    let ask = |typed: &str, trust: Trust| {
        let primary = HttpPrimary::new(address(typed), Some("secret".into()), patience).expect("a line");
        primary.trusting(trust).describe().expect_err("nobody is there")
    };
    // An address that is for documents: nobody answers there.
    let refused = ask("http://192.0.2.1:7430/notes", Trust::default());
    assert_eq!((refused.kind, refused.code), (ErrorKind::Denied, "open_line"));
    assert!(!refused.to_string().contains("secret"));
    let allowed = Trust { is_open_http_allowed: true, ..Trust::default() };
    assert_eq!(ask("http://192.0.2.1:7430/notes", allowed).code, "line");
    assert_eq!(ask("http://127.0.0.1:1/notes", Trust::default()).code, "line");
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_a_key() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    Tls::own(folder.path(), &[]).expect("a certificate");
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode("own.key"), 0o600);
}
