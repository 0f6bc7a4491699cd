//! Policies as text: read, set in place, refused by name, proposed.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
use super::{check, only, parse, propose, set};
use mainstem_core::ErrorKind;
use mainstem_core::gate::{Must, Rule, Severity};
use mainstem_core::policy::{Mode, Policy};
use mainstem_core::stamp::ReplicaId;
use mainstem_core::strategy::Strategy;

const TEXT: &str = r#"# How our team merges.
strategy = "last-write-wins" # the default
clock_skew_ms_max = 60000
priority_actors = { ann = 3, "Bob B." = 2 }
priority_replicas = ["00000000000000000000000000000007=4"]

[tables.Artist]
mode = "review"   # curators look at these

[tables.Artist.columns.Name]
strategy = "manual"

[tables."Order Details".columns]
Tags = { strategy = "set", delimiter = ";" }
"#;

#[test]
fn text_is_read() {
    let policy = parse(TEXT).unwrap();
    assert_eq!(policy.table("artist").mode, Mode::Review);
    assert_eq!(policy.column("ARTIST", "name").strategy, Strategy::Manual);
    assert_eq!(policy.column("Artist", "Country").strategy, Strategy::LastWriteWins);
    assert_eq!(policy.column("Order Details", "Tags").delimiter.as_deref(), Some(";"));
    assert_eq!(policy.clock_skew_ms_max(), 60_000);
    assert_eq!(policy.rank("Bob B.", ReplicaId(7)), 2);
    assert_eq!(policy.rank("carl", ReplicaId(7)), 4);
    assert_eq!(parse("").unwrap(), Policy::default());
    let named = parse("owners = ['Smith, J.', 'bo']\n[tables.price]\nowners = []").unwrap();
    assert_eq!((named.voting("any").owners, named.voting("price").owners), (vec!["Smith, J.".into(), "bo".into()], vec![]));
}

#[test]
fn the_rules_of_some_tables_are_told_without_comments() {
    let told = only(TEXT, &|table| table.eq_ignore_ascii_case("order details")).unwrap();
    assert!(!told.contains("Artist") && !told.contains('#'), "{told}");
    let (told, whole) = (parse(&told).unwrap(), parse(TEXT).unwrap());
    assert_eq!(told.column("Order Details", "Tags"), whole.column("Order Details", "Tags"));
    assert_eq!((told.rank("Bob B.", ReplicaId(7)), told.clock_skew_ms_max()), (2, 60_000));
    assert_eq!(told.table("Artist").mode, Mode::Direct);
    assert_eq!(parse(&only(TEXT, &|_| true).unwrap()).unwrap(), whole);
    assert_eq!(only("", &|_| false).unwrap(), "");
}

#[track_caller]
fn check_set(text: &str, key: &str, value: &str, expect: &str) {
    let after = set(text, key, value).unwrap();
    assert_eq!(after, expect);
    parse(&after).unwrap();
}

#[test]
fn a_key_is_set_and_the_rest_stays() {
    let with = |from: &str, to: &str| TEXT.replace(from, to);
    check_set(TEXT, "strategy", "manual", &with("\"last-write-wins\" #", "\"manual\" #"));
    check_set(TEXT, "artist.mode", "direct", &with("mode = \"review\"   #", "mode = \"direct\"   #"));
    check_set(TEXT, "Artist.NAME.strategy", "text", &with("strategy = \"manual\"", "strategy = \"text\""));
    check_set(TEXT, "Artist.deletes", "delete-wins", &with("at these\n", "at these\ndeletes = \"delete-wins\"\n"));
    check_set(TEXT, "clock_skew_ms_max", "5", &with("60000", "5"));
    check_set(TEXT, "\"Order Details\".Tags.delimiter", "|", &with("\";\"", "\"|\""));
    check_set("", "price.owners", "ann, Bo B.", "[tables.price]\nowners = [\"ann\", \"Bo B.\"]\n");
    check_set("", "quorum", "50%", "quorum = \"50%\"\n");
    check_set("", "approvals", "3", "approvals = 3\n");
    check_set("veto = ['*']\n", "price.veto", "", "veto = ['*']\n\n[tables.price]\nveto = []\n");
    check_set(TEXT, "priority_actors", "ann=1", &with("{ ann = 3, \"Bob B.\" = 2 }", "{ ann = 1 }"));
}

#[test]
fn tables_are_made_where_they_are_missing() {
    check_set("", "strategy", "manual", "strategy = \"manual\"\n");
    check_set("", "Artist.mode", "review", "[tables.Artist]\nmode = \"review\"\n");
    let name = "[tables.Artist.columns.Name]\nstrategy = \"text\"\n";
    check_set("", "Artist.Name.strategy", "text", name);
    check_set("# ours\n", "\"Order Details\".mode", "review", "# ours\n[tables.\"Order Details\"]\nmode = \"review\"\n");
    check_set("", "\"a\\\"b.c\".mode", "review", "[tables.'a\"b.c']\nmode = \"review\"\n");
    let both = set(name, "strategy", "manual").unwrap();
    assert_eq!(both, format!("strategy = \"manual\"\n{name}"));
}

#[track_caller]
fn refused(text: &str, key: &str, value: &str, says: &str) {
    let error = set(text, key, value).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains(says), "{}", error.message);
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    refused(TEXT, "strategy", "newest", "policy key strategy: \"newest\" is not a value for it; allowed: last-write-wins");
    refused(TEXT, "Artist.colour", "red", "policy key Artist.colour: there is no such key here; allowed: strategy, deletes");
    refused(TEXT, "a.b.c.d", "x", "more parts");
    refused(TEXT, "\"a.mode", "x", "not closed");
    refused(TEXT, "\"a\"mode", "x", "a dot is missing");
    refused(TEXT, "a..mode", "x", "a name is empty");
    refused("tables = 3", "a.mode", "review", "tables");
    refused("strategy = [", "a.mode", "review", "policy, line 1");
    for text in [
        "strategy = 1.5",
        "strategy = 3",
        "strategy = ['manual']",
        "owners = ['ann', 3]",
        "owners = 'ann,,bo'",
        "approvals = 0",
        "tables = 3",
        "[tables.a]\nx = 1",
        "[tables.a.columns.b]\nmode = 'review'",
        "[tables.a.columns]\nb = 'max'",
        "a = 1\na = 2",
    ] {
        assert_eq!(parse(text).unwrap_err().kind, ErrorKind::Invalid, "{text}");
    }
    assert!(parse("\n\nstrategy = ").unwrap_err().message.starts_with("policy, line 3: "));
}

#[test]
fn columns_written_with_each_edit_are_proposed_as_max() {
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let artist = names(&["Id", "Name", "UpdatedAt", "ROW_VERSION", "conversion"]);
    let order = names(&["last_modified", "modified_at", "Last Updated", "lastUpdated", "version"]);
    let proposed = propose([("Artist", &artist[..]), ("Order Details", &order[..])]);
    let keys: Vec<&str> = proposed.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "Artist.UpdatedAt.strategy",
            "Artist.ROW_VERSION.strategy",
            "\"Order Details\".last_modified.strategy",
            "\"Order Details\".modified_at.strategy",
            "\"Order Details\".lastUpdated.strategy",
            "\"Order Details\".version.strategy",
        ]
    );
    let text = proposed.iter().fold(String::new(), |text, (key, value)| set(&text, key, value).unwrap());
    assert_eq!(parse(&text).unwrap().column("order details", "VERSION").strategy, Strategy::Max);
}

const GATES: &str = r#"# What must hold.
strategy = "manual"

[gates.price_is_positive] # since spring
table = "product"
column = "price"
rule = "range"
min = 0
severity = "warn"

[gates."all of it"]
rule = "no-rows"
sql = '''
SELECT sum(percent) FROM share
HAVING sum(percent) > 100'''

[gates]
codes = { rule = "in-set", table = "product", column = "code", values = ["a", 1, 1.5] }
"#;

#[test]
fn gates_are_read_in_their_order() {
    let policy = parse(GATES).unwrap();
    let names: Vec<&str> = policy.gates().iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(names, ["price_is_positive", "all of it", "codes"]);
    let cell = |column: &str, must| Rule::Cell { table: "product".into(), column: column.into(), must };
    let range = cell("price", Must::Range(Some(0.into()), None));
    assert_eq!((&policy.gates()[0].rule, policy.gates()[0].severity), (&range, Severity::Warn));
    assert_eq!(policy.gates()[2].rule, cell("code", Must::InSet(vec!["a".into(), 1.into(), 1.5.into()])));
    assert_eq!(policy.table("product").strategy, Strategy::Manual);
    assert_eq!(parse("[gates]").unwrap(), Policy::default());
}

#[test]
fn gates_are_set_whole_or_by_key() {
    let with = |from: &str, to: &str| GATES.replace(from, to);
    check_set(GATES, "gates.price_is_positive.min", "-1.5", &with("min = 0", "min = -1.5"));
    check_set(GATES, "gates.price_is_positive.min", "2026-01-01", &with("min = 0", "min = \"2026-01-01\""));
    check_set(GATES, "gates.PRICE_is_positive.severity", "block", &with("\"warn\"", "\"block\""));
    check_set(GATES, "gates.price_is_positive.time_limit_ms", "9", &with("\"warn\"\n", "\"warn\"\ntime_limit_ms = 9\n"));
    check_set(GATES, "gates.codes.values", "[\"x\"]", &with("[\"a\", 1, 1.5]", "[\"x\"]"));
    let whole = "{ rule = \"not-null\", table = \"product\", column = \"price\" }";
    let after = with("rule = \"range\"\nmin = 0\nseverity = \"warn\"\n", "rule = \"not-null\"\n");
    check_set(GATES, "gates.price_is_positive", whole, &after);
    check_set("", "gates.named", whole, "[gates.named]\nrule = \"not-null\"\ntable = \"product\"\ncolumn = \"price\"\n");
    // A table and a column may be called so, too.
    check_set("", "gates.mode", "review", "[tables.gates]\nmode = \"review\"\n");
    check_set("", "gates.min.strategy", "max", "[tables.gates.columns.min]\nstrategy = \"max\"\n");
}

#[test]
fn what_makes_no_gate_is_refused_by_name() {
    refused(GATES, "gates.price_is_positive.max", "high", "policy key gates.price_is_positive.max: min and max are both numbers");
    refused(
        GATES,
        "gates.price_is_positive.rule",
        "positive",
        "policy key gates.price_is_positive.rule: \"positive\" is not a value for it",
    );
    refused(
        GATES,
        "gates.price_is_positive.pattern",
        "x",
        "gates.price_is_positive.pattern: there is no such key in a gate of the rule range",
    );
    refused(GATES, "gates.new.rule", "not-null", "there is no gate new: a gate begins with all that its rule needs");
    refused(GATES, "gates.new", "{ rule = \"not-null\", table = \"t\" }", "policy key gates.new.column: it is missing");
    refused(GATES, "gates.new", "{ rule = ", "policy key gates.new: ");
    refused(GATES, "gates.new", "{}", "policy key gates.new.rule: it is missing");
    refused(GATES, "gates.new.colour", "red", "policy key gates.new.colour: there is no such key here");
    let pattern = "{ rule = \"pattern\", table = \"t\", column = \"c\", pattern = \"(\" }";
    refused(GATES, "gates.new", pattern, "policy key gates.new: \"(\" is no regular expression: unclosed group");
    for (text, says) in [
        ("gates = 3", "policy key gates: it is a group of gates"),
        ("[gates]\na = 3", "policy key gates.a: a gate is a group of keys"),
        ("[gates.a]\nrule = true", "policy key gates.a.rule: its value is neither text, a number nor a list"),
        ("[gates.a]\nmin = 2026-01-01", "policy key gates.a.min"),
        ("[gates.a]\nrule = [[1]]", "policy key gates.a.rule"),
        ("[gates.\"\"]\nrule = 'unique'", "a gate has a name"),
        ("[gates.\"a b\"]\nrule = 'unique'\ntable = 't'", "policy key gates.\"a b\".columns: it is missing"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.kind == ErrorKind::Invalid && error.message.contains(says), "{text}: {}", error.message);
    }
    // What was set by another version is read; what it is worth shows when it is tried.
    let text = "[gates.a]\nrule = 'pattern'\ntable = 't'\ncolumn = 'c'\npattern = '('";
    assert!(parse(text).is_ok() && check(text).unwrap_err().message.contains("unclosed group"));
}
