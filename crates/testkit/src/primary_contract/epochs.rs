//! What a primary must do about versions that it lost, and epochs.
use super::{Found, KnownAs, Offer, delete, fresh, insert, known, rename, row, snapshot, version_of};
use mainstem::core::change::{Again, Past};
use mainstem::core::value::Value;
use mainstem::primary::{Acquaintance, Cursor, Primary, Pushed};

/// The offer as a replica makes it that saw it accepted as `version` of an epoch that is over.
fn again(offer: &Offer, version: u64, stands_for: Vec<u128>) -> Offer {
    let past = |version| Past { epoch: 99, version };
    let mut front = offer.front.clone();
    front.header.made_on = vec![past(version - 1)];
    front.again = Some(Again { was: vec![past(version)], stands_for, ..Again::default() });
    Offer { front, pages: offer.pages.clone() }
}

/// Has a primary go on in a new epoch, as after an older copy was put in its place.
fn begun_anew(primary: &mut dyn Primary) -> Acquaintance {
    let known = known(primary);
    let epoch = primary.begin_epoch(&Acquaintance { version: 50, hash: [9; 32], ..known }, "ann").expect("an answer");
    Acquaintance { epoch, ..known }
}

pub(super) fn what_was_lost_is_taken_again_once(found: Found<'_>, known_as: KnownAs<'_>) {
    let mut primary = fresh(found);
    let known = begun_anew(primary.as_mut());
    let described = primary.describe().expect("a description");
    // Three people's edits that followed each other: the row goes, comes again, and is edited.
    let made = [
        Offer::new(&described, 7, 5, vec![delete(row("c", "cress", 3), 1)]),
        Offer::new(&described, 8, 9, vec![insert(row("c", "chard", 4), 2)]),
        Offer::new(&described, 9, 2, vec![rename("c", "chard", "celery", 3)]),
    ];
    for (offer, version) in made.iter().zip(2..) {
        let again = again(offer, version, Vec::new());
        assert_eq!(version_of(again.push(primary.as_mut(), &known)), version, "numbers of another epoch do not count");
        assert_eq!(again.push(primary.as_mut(), &known).expect("an answer"), Pushed::Already { version });
        assert_eq!(offer.push(primary.as_mut(), &known).expect("an answer"), Pushed::Already { version }, "also from its author");
        assert_eq!(primary.find_write(offer.front.header.write_id).expect("an answer"), Some(version));
        let event = primary.version(version).expect("an answer").expect("a version");
        assert_eq!(event.was, [Past { epoch: 99, version }]);
        let said = &offer.front.header.actor;
        let author = known_as.map_or(said.clone(), |known| format!("{known}, for {said}"));
        assert_eq!(event.header.actor, author, "whose it is, and who says so");
    }
    assert_eq!(primary.conflicts(false).expect("a list"), [], "what followed each other is no conflict");
    assert_eq!(snapshot(primary.as_mut()).rows[&vec![Value::text("c")]], row("c", "celery", 4));
    let several = again(&Offer::new(&described, 6, 1, vec![rename("a", "apple", "apricot", 4)]), 9, vec![4, 5]);
    let version = version_of(several.push(primary.as_mut(), &known));
    for write_id in [4, 5] {
        let mut one = again(&Offer::new(&described, 6, 1, vec![rename("a", "apple", "almond", 4)]), 8, Vec::new());
        one.front.header.write_id = write_id;
        assert_eq!(one.push(primary.as_mut(), &known).expect("an answer"), Pushed::Already { version }, "it stood for that one too");
    }
    assert_eq!(primary.find_write(12_345).expect("an answer"), None);
}

pub(super) fn a_new_epoch_begins_on_evidence_alone(found: Found<'_>, known_as: KnownAs<'_>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    assert_eq!(primary.begin_epoch(&known, "ann").expect("an answer"), known.epoch, "the version is known");
    let stranger = Acquaintance { lineage: known.lineage ^ 1, version: 50, ..known };
    assert_eq!(primary.begin_epoch(&stranger, "ann").expect("an answer"), known.epoch);
    let ahead = Acquaintance { version: 50, hash: [9; 32], ..known };
    let epoch = primary.begin_epoch(&ahead, "ann").expect("an answer");
    assert_ne!(epoch, known.epoch);
    assert_eq!(primary.begin_epoch(&ahead, "bo").expect("an answer"), epoch, "once");
    let described = primary.describe().expect("a description");
    assert_eq!((described.epoch, described.head.version), (epoch, 1));
    let restored = described.restored.expect("a restore");
    assert_eq!((restored.before, restored.version, restored.actor.as_str()), (known.epoch, 1, known_as.unwrap_or("ann")));
    let from = Cursor { version: 2, page: 0 };
    assert!(primary.pull(&known, from, 1_000).is_err(), "the old epoch is over");
    let now = Acquaintance { epoch, ..known };
    assert!(primary.pull(&now, from, 1_000).expect("a pull").is_last);
}
