//! A music shop, edited by two people while apart, in every way that two edits can meet.
use crate::desk::{Desk, shared};
use crate::team::*;
use serde_json::json;

const EDITS_OF_ADA: &str = "
    UPDATE Track SET UnitPrice = 1.49 WHERE TrackId = 2;
    UPDATE Track SET Name = 'Name by Ada' WHERE TrackId = 1;
    DELETE FROM Playlist WHERE PlaylistId = 2;
    UPDATE Playlist SET Name = 'Audiobooks by Ada' WHERE PlaylistId = 4;
    INSERT INTO Artist VALUES (276, 'Artist of Ada');
    INSERT INTO Album VALUES (348, 'First of Ada', 276), (349, 'Second of Ada', 276);
    INSERT INTO Track VALUES (3504, 'Song one of Ada', 348, 1, 1, NULL, 1000, 2000, 0.99),
                             (3505, 'Song two of Ada', 349, 1, 1, 'Ada', 1000, 2000, 0.99);
    INSERT INTO PlaylistTrack VALUES (1, 3504), (5, 3505);
    UPDATE Customer SET Email = 'wanted@example.org' WHERE CustomerId = 1;
    UPDATE MediaType SET MediaTypeId = -1 WHERE MediaTypeId = 1;
    UPDATE MediaType SET MediaTypeId = 1 WHERE MediaTypeId = 2;
    UPDATE MediaType SET MediaTypeId = 2 WHERE MediaTypeId = -1;
    DELETE FROM Artist WHERE ArtistId = 26;
";

const EDITS_OF_BOB: &str = "
    UPDATE Track SET Composer = 'Composer by Bob' WHERE TrackId = 2;
    UPDATE Track SET Name = 'Name by Bob' WHERE TrackId = 1;
    UPDATE Playlist SET Name = 'Films by Bob' WHERE PlaylistId = 2;
    DELETE FROM Playlist WHERE PlaylistId = 4;
    INSERT INTO Artist VALUES (276, 'Artist of Bob');
    INSERT INTO Album VALUES (348, 'First of Bob', 276), (349, 'Second of Bob', 276), (350, 'Child of the deleted', 26);
    INSERT INTO Track VALUES (3504, 'Song one of Bob', 348, 1, 1, NULL, 1000, 2000, 0.99),
                             (3505, 'Song two of Bob', 349, 1, 1, 'Bob', 1000, 2000, 0.99);
    INSERT INTO PlaylistTrack VALUES (1, 3504), (5, 3505);
    UPDATE Customer SET Email = 'wanted@example.org' WHERE CustomerId = 2;
    UPDATE MediaType SET Name = 'Third by Bob' WHERE MediaTypeId = 3;
";

const WRITTEN: [&str; 21] = [
    "1.49",
    "Composer by Bob",
    "Name by Ada",
    "Name by Bob",
    "Audiobooks by Ada",
    "Films by Bob",
    "Artist of Ada",
    "Artist of Bob",
    "First of Ada",
    "First of Bob",
    "Second of Ada",
    "Second of Bob",
    "Song one of Ada",
    "Song one of Bob",
    "Song two of Ada",
    "Song two of Bob",
    "Child of the deleted",
    "wanted@example.org",
    "Third by Bob",
    "luisg@embraer.com.br",
    "leonekohler@surfeu.de",
];

/// Rows by what they mean: numbers above those of the published data are replaced by what they point to.
const BY_MEANING: &str = "
    SELECT 'artist', iif(ArtistId > 275, 'new', ArtistId), Name FROM Artist ORDER BY 2, 3;
    SELECT 'album', iif(AlbumId > 347, 'new', AlbumId), Title, (SELECT Name FROM Artist r WHERE r.ArtistId = a.ArtistId)
      FROM Album a ORDER BY 2, 3;
    SELECT 'track', iif(TrackId > 3503, 'new', TrackId), t.Name, Title, MediaTypeId, GenreId, Composer, Milliseconds,
      Bytes, UnitPrice FROM Track t LEFT JOIN Album USING (AlbumId) ORDER BY 2, 3;
    SELECT 'playlist track', PlaylistId, t.Name, iif(TrackId > 3503, 'new', TrackId)
      FROM PlaylistTrack JOIN Track t USING (TrackId) ORDER BY 2, 4, 3;
";

const OWN_ALBUMS: &str = "
    SELECT r.Name, a.Title, t.Name, group_concat(p.PlaylistId)
      FROM Artist r JOIN Album a USING (ArtistId) JOIN Track t USING (AlbumId) LEFT JOIN PlaylistTrack p USING (TrackId)
      WHERE r.Name IN ('Artist of Ada', 'Artist of Bob') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
";

struct Outcome {
    by_meaning: String,
    other_rows: String,
    conflicts: Vec<String>,
}

/// Both people edit while apart, then sync in the given order until nothing moves.
fn apart_and_together(order: [usize; 2]) -> Option<Outcome> {
    let chinook = shared("chinook.sqlite")?;
    let desk = Desk::new();
    desk.copy(&chinook, "ada.db");
    desk.sql("ada.db", "CREATE UNIQUE INDEX one_mail ON Customer (Email);");
    let members = found(&desk, "ada.db", &["ada", "bob", "cyd"], &[]);
    let pair = [&members[0], &members[1]];
    assert_together(&pair);
    pair[0].sql(EDITS_OF_ADA);
    pair[1].sql(EDITS_OF_BOB);

    until_quiet(&[pair[order[0]], pair[order[1]]]);
    assert_together(&pair);
    assert_nothing_lost(&pair, &WRITTEN);
    assert_outcome(pair[0]);
    // Somebody who only watched sees the same.
    members[2].sync();
    assert_together(&[pair[0], pair[1], &members[2]]);

    let outcome = Outcome {
        by_meaning: pair[0].sql(BY_MEANING),
        other_rows: desk.rows_without("ada.db", &["Artist", "Album", "Track", "PlaylistTrack"]),
        conflicts: comparable_conflicts(pair[0]),
    };
    assert_plain_again(&desk, &pair);
    Some(outcome)
}

fn assert_outcome(member: &Member<'_>) {
    let own = "Artist of Ada|First of Ada|Song one of Ada|1\nArtist of Ada|Second of Ada|Song two of Ada|5\n\
               Artist of Bob|First of Bob|Song one of Bob|1\nArtist of Bob|Second of Bob|Song two of Bob|5\n";
    assert_eq!(member.sql(OWN_ALBUMS), own);
    let both_cells = member.sql("SELECT UnitPrice, Composer FROM Track WHERE TrackId = 2;");
    assert_eq!(both_cells, "1.49|Composer by Bob\n", "different cells of one row");
    // Last write wins unless the policy says otherwise, and Bob wrote after Ada.
    assert_eq!(member.sql("SELECT Name FROM Track WHERE TrackId = 1;"), "Name by Bob\n");
    let swapped = "1|Protected AAC audio file\n2|MPEG audio file\n3|Third by Bob\n";
    assert_eq!(member.sql("SELECT * FROM MediaType WHERE MediaTypeId < 4 ORDER BY 1;"), swapped);
    assert_eq!(member.sql("SELECT count(*) FROM Customer WHERE Email = 'wanted@example.org';"), "1\n");
    let kinds: Vec<String> = member.conflicts().iter().map(|c| c["kind"].to_string().replace('"', "")).collect();
    for kind in ["update_update", "unique", "missing_parent"] {
        assert!(kinds.iter().any(|k| k == kind), "a conflict of kind {kind}: {kinds:?}");
    }
    let deletes = kinds.iter().filter(|k| ["delete_update", "update_delete"].contains(&k.as_str())).count();
    assert_eq!(deletes, 2, "{kinds:?}");
    let same_cell = member.conflicts().into_iter().find(|c| c["kind"] == "update_update").expect("seen above");
    assert_eq!(same_cell["table"], "Track");
    assert_eq!(same_cell["column"], "Name");
    assert_eq!(same_cell["base"], json!("For Those About To Rock (We Salute You)"));
    assert_eq!(same_cell["strategy"], "last-write-wins");
}

/// The files work without Mainstem, and are plain files again after `deinit`.
fn assert_plain_again(desk: &Desk, pair: &[&Member<'_>; 2]) {
    let before = desk.rows("ada.db");
    for member in pair {
        member.ok(&["deinit"]);
        desk.assert_sound(&member.db);
        let left = member.sql("SELECT count(*) FROM sqlite_master WHERE name LIKE 'mainstem%' OR sql LIKE '%mainstem%';");
        assert_eq!(left, "0\n", "nothing of ours is left in {}", member.db);
        assert_same(&desk.rows(&member.db), &before, "rows before and after deinit");
        member.sql("INSERT INTO Genre (Name) VALUES ('written afterwards');");
    }
    let lines = |db: &str| {
        let mut lines: Vec<String> = desk.dump(db).lines().map(String::from).collect();
        lines.sort();
        lines.join("\n")
    };
    assert_same(&lines("ada.db"), &lines("bob.db"), "the dumps of both plain files");
}

#[test]
fn both_orders_give_the_same() {
    let (Some(ada_first), Some(bob_first)) = (apart_and_together([0, 1]), apart_and_together([1, 0])) else {
        return;
    };
    assert_same(&ada_first.by_meaning, &bob_first.by_meaning, "the rows by meaning, in both orders");
    assert_same(&ada_first.other_rows, &bob_first.other_rows, "the other tables, in both orders");
    assert_eq!(ada_first.conflicts, bob_first.conflicts, "the conflicts, in both orders");
}

#[test]
fn the_same_with_autoincrement() {
    let Some(chinook) = shared("chinook-autoincrement.sqlite") else {
        return;
    };
    let desk = Desk::new();
    desk.copy(&chinook, "ada.db");
    desk.sql("ada.db", "CREATE UNIQUE INDEX one_mail ON Customer (Email);");
    let members = found(&desk, "ada.db", &["ada", "bob"], &[]);
    let pair = [&members[0], &members[1]];
    pair[0].sql(EDITS_OF_ADA);
    pair[1].sql(EDITS_OF_BOB);
    until_quiet(&[pair[1], pair[0]]);
    assert_together(&pair);
    assert_nothing_lost(&pair, &WRITTEN);
    assert_outcome(pair[1]);
    for member in pair {
        // A number that was ever given is not given again.
        let behind = "SELECT count(*) FROM sqlite_sequence WHERE name = 'Artist' AND seq < (SELECT max(ArtistId) FROM Artist);";
        assert_eq!(member.sql(behind), "0\n", "{}", member.db);
    }
}

#[test]
fn deinit_gives_the_file_back() {
    for name in ["chinook.sqlite", "chinook-autoincrement.sqlite"] {
        let Some(chinook) = shared(name) else { return };
        let desk = Desk::new();
        desk.copy(&chinook, "app.db");
        desk.copy(&chinook, "plain.db");
        let app = Member::new(&desk, "ada", "app.db");
        desk.ok(&["--as", "ada", "init", "app.db"]);
        app.ok(&["deinit"]);
        assert_same(&desk.dump("app.db"), &desk.dump("plain.db"), "the dumps without an edit");
        assert_eq!(desk.dump("app.db"), desk.dump("plain.db"));

        desk.ok(&["--as", "ada", "init", "app.db"]);
        for db in ["app.db", "plain.db"] {
            desk.sql(db, EDITS_OF_ADA);
        }
        app.ok(&["deinit", "--force"]);
        assert_eq!(desk.dump("app.db"), desk.dump("plain.db"), "the dumps after the user's own edits");
    }
}
