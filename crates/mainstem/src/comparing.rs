//! In which rows two revisions of a proposal differ, as they were offered.
//!
//! Both are read side by side. A row that one of them has and the other does not have yet is remembered by a hash, so that what is
//! in the same order is compared at once; where too many rows are remembered, a part of all rows is compared at a time.
//! Invariant: memory is bounded by `HELD_MAX` rows, whatever the revisions hold.
use crate::error::Result;
use mainstem_core::change::{Change, Edit, Shape};
use mainstem_core::digest;
use mainstem_core::format::{page, row};
use mainstem_core::proposal::Revision;
use mainstem_core::value::Value;
use std::collections::{BTreeSet, HashMap};

/// Rows that are remembered at a time, of some forty bytes each.
const HELD_MAX: usize = 500_000;
/// Differing rows whose places are told.
const TOLD_MAX: usize = 50;

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// The later revision has it, and the earlier one does not.
    Added,
    /// Both have it, and do something else to it.
    Changed,
    /// The earlier revision has it, and the later one does not.
    Removed,
}

impl How {
    /// Every way.
    pub const ALL: [How; 3] = [How::Added, How::Changed, How::Removed];
}

/// A row that differs: where it is in the later revision, or in the earlier one where that alone has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Different {
    /// True for a row of the earlier revision; those come last.
    pub is_earlier: bool,
    /// The page, from 0.
    pub page: u64,
    /// Its place in the page, from 0.
    pub at: u64,
    /// How.
    pub how: How,
    /// Page and place of the earlier revision, where both have it.
    pub was: Option<(u64, u64)>,
}

/// In which rows two revisions differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differing {
    /// Rows that the later revision alone has.
    pub added: u64,
    /// Rows to which the two do something else.
    pub changed: u64,
    /// Rows that the earlier revision alone has.
    pub removed: u64,
    /// The first of them, in order.
    pub first: Vec<Different>,
}

impl Differing {
    /// How many rows differ.
    pub fn count(&self) -> u64 {
        self.added + self.changed + self.removed
    }

    fn tell(&mut self, first: &mut BTreeSet<Different>, seen: &Seen, how: How, was: Option<&Seen>) {
        match how {
            How::Added => self.added += 1,
            How::Changed => self.changed += 1,
            How::Removed => self.removed += 1,
        }
        let (page, at) = seen.place();
        first.insert(Different { is_earlier: seen.is_earlier, page, at, how, was: was.map(Seen::place) });
        if first.len() > TOLD_MAX {
            first.pop_last();
        }
    }
}

/// Gives the bytes of a page: of the earlier revision, or of the later one. None where they are gone.
pub type PageOf<'a> = &'a mut dyn FnMut(bool, u64) -> Result<Option<Vec<u8>>>;

/// A row of one revision that the other has not shown yet.
struct Seen {
    edit: u64,
    page: u32,
    at: u32,
    is_earlier: bool,
}

impl Seen {
    fn place(&self) -> (u64, u64) {
        (self.page.into(), self.at.into())
    }
}

/// Compares two revisions. None where the rows of one are gone.
pub fn compare(earlier: &Revision, later: &Revision, pages: PageOf<'_>) -> Result<Option<Differing>> {
    compare_within(earlier, later, pages, HELD_MAX)
}

fn compare_within(earlier: &Revision, later: &Revision, pages: PageOf<'_>, held_max: usize) -> Result<Option<Differing>> {
    let mut parts = 1;
    loop {
        match compare_in_parts(earlier, later, pages, (parts, held_max))? {
            Compared::Done(differing) => return Ok(Some(differing)),
            Compared::Gone => return Ok(None),
            Compared::TooMany => parts *= 2,
        }
    }
}

fn compare_in_parts(
    earlier: &Revision,
    later: &Revision,
    pages: PageOf<'_>,
    (parts, held_max): (u128, usize),
) -> Result<Compared<Differing>> {
    let mut differing = Differing::default();
    let mut first = BTreeSet::new();
    for part in 0..parts {
        match compare_part(earlier, later, pages, &mut Part { part, parts, held_max, differing: &mut differing, first: &mut first })? {
            Compared::Done(()) => {}
            Compared::TooMany => return Ok(Compared::TooMany),
            Compared::Gone => return Ok(Compared::Gone),
        }
    }
    differing.first = first.into_iter().collect();
    Ok(Compared::Done(differing))
}

struct Part<'a> {
    part: u128,
    parts: u128,
    held_max: usize,
    differing: &'a mut Differing,
    first: &'a mut BTreeSet<Different>,
}

enum Compared<T> {
    Done(T),
    TooMany,
    Gone,
}

/// Compares the rows whose hash falls into a part.
fn compare_part(earlier: &Revision, later: &Revision, pages: PageOf<'_>, part: &mut Part<'_>) -> Result<Compared<()>> {
    let mut held: HashMap<u128, Seen> = HashMap::new();
    for page in 0..earlier.pages.max(later.pages) {
        for (revision, is_earlier) in [(earlier, true), (later, false)] {
            if page >= revision.pages {
                continue;
            }
            let Some(bytes) = pages(is_earlier, page)? else { return Ok(Compared::Gone) };
            let shapes = &revision.front.shapes;
            for (at, change) in page::decode(&bytes, shapes)?.iter().enumerate() {
                let shape = &shapes[change.table];
                let row = row_hash(shape, change);
                if row % part.parts != part.part {
                    continue;
                }
                let seen = Seen { edit: edit_hash(shape, &change.edit), page: page as u32, at: at as u32, is_earlier };
                match held.remove(&row) {
                    None => drop(held.insert(row, seen)),
                    Some(other) if other.edit == seen.edit => {}
                    Some(other) => {
                        let (old, new) = if is_earlier { (seen, other) } else { (other, seen) };
                        part.differing.tell(part.first, &new, How::Changed, Some(&old));
                    }
                }
            }
        }
        // With one row in each part there is nothing more to divide.
        if held.len() > part.held_max && part.parts < 1 << 64 {
            return Ok(Compared::TooMany);
        }
    }
    for seen in held.values() {
        part.differing.tell(part.first, seen, if seen.is_earlier { How::Removed } else { How::Added }, None);
    }
    Ok(Compared::Done(()))
}

fn hash(domain: &str, parts: &[&[u8]]) -> u128 {
    digest::of(domain, parts)[..16].iter().fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

fn row_hash(shape: &Shape, change: &Change) -> u128 {
    hash("mainstem compared row 1", &[shape.table.to_ascii_lowercase().as_bytes(), &row::encode_key(&change.key)])
}

/// Of what an edit does, whenever it was written.
fn edit_hash(shape: &Shape, edit: &Edit) -> u64 {
    let named = |at: usize, value: &Value| [Value::text(&shape.columns[at]), value.clone()];
    let values: Vec<Value> = match edit {
        Edit::Insert(row) | Edit::Delete(row) => row.iter().enumerate().flat_map(|(at, value)| named(at, value)).collect(),
        Edit::Update(cells) => cells.iter().flat_map(|cell| named(cell.column, &cell.after)).collect(),
    };
    hash("mainstem compared edit 1", &[edit.name().as_bytes(), &row::encode_row(&values)]) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstem_core::change::{Cell, Front};
    use mainstem_core::stamp::Time;

    const PAGE: usize = 7;

    fn shape() -> Shape {
        let columns = vec!["id".to_owned(), "v".to_owned()];
        Shape { table: "t".into(), columns, key: vec![0], ..Shape::default() }
    }

    fn update(id: i64, value: i64, at: u64) -> Change {
        let cell = Cell { column: 1, before: Value::Integer(0), after: Value::Integer(value), at: Time(at) };
        Change { table: 0, key: vec![Value::Integer(id)], edit: Edit::Update(vec![cell]), at: Time(at), moved_from: None }
    }

    fn offered(rows: &[(i64, i64)], at: u64) -> (Revision, Vec<Vec<u8>>) {
        let changes: Vec<Change> = rows.iter().map(|(id, value)| update(*id, *value, at)).collect();
        let shapes = vec![shape()];
        let pages: Vec<Vec<u8>> = changes.chunks(PAGE).map(|changes| page::encode(&shapes, changes)).collect();
        let front = Front { shapes, count: changes.len() as u64, ..Front::default() };
        (Revision { front, pages: pages.len() as u64, ..Revision::default() }, pages)
    }

    fn compared(earlier: &[(i64, i64)], later: &[(i64, i64)], held_max: usize) -> (Differing, usize) {
        let ((before, old), (after, new)) = (offered(earlier, 1), offered(later, 2));
        let mut reads = 0;
        let pages = &mut |is_earlier: bool, page: u64| {
            reads += 1;
            Ok(Some(if is_earlier { &old } else { &new }[page as usize].clone()))
        };
        (compare_within(&before, &after, pages, held_max).expect("pages").expect("they are there"), reads)
    }

    #[test]
    fn what_differs_is_told_and_nothing_else() {
        let earlier: Vec<(i64, i64)> = (0..100).map(|id| (id, id * 10)).collect();
        let mut later = earlier.clone();
        later.remove(3);
        later[50].1 = -1;
        later.push((500, 5));
        let (differing, reads) = compared(&earlier, &later, 20);
        assert_eq!((differing.added, differing.changed, differing.removed), (1, 1, 1));
        let places: Vec<_> = differing.first.iter().map(|one| (one.how, one.is_earlier, one.page * 7 + one.at)).collect();
        assert_eq!(places, [(How::Changed, false, 50), (How::Added, false, 99), (How::Removed, true, 3)]);
        let was: Vec<_> = differing.first.iter().map(|one| one.was.map(|(page, at)| page * 7 + at)).collect();
        assert_eq!(was, [Some(51), None, None]);
        assert_eq!(reads, 30, "in the same order, each page is read once");
    }

    #[test]
    fn the_same_rows_in_another_order_are_the_same_with_little_memory() {
        let earlier: Vec<(i64, i64)> = (0..200).map(|id| (id, 1)).collect();
        let mut later: Vec<(i64, i64)> = earlier.iter().rev().copied().collect();
        assert_eq!(compared(&earlier, &later, 10).0, Differing::default());
        later[199].1 = 2;
        let few = compared(&earlier, &later, 10).0;
        assert_eq!((few.count(), few.changed), (1, 1));
        assert_eq!(few, compared(&earlier, &later, 1_000).0);
    }

    #[test]
    fn of_many_that_differ_the_first_are_told_and_all_are_counted() {
        let earlier: Vec<(i64, i64)> = (0..300).map(|id| (id, 1)).collect();
        let later: Vec<(i64, i64)> = (0..300).map(|id| (id, 2)).collect();
        let (differing, _) = compared(&earlier, &later, 10);
        assert_eq!((differing.changed, differing.first.len()), (300, TOLD_MAX));
        assert!(differing.first.iter().map(|one| one.page * 7 + one.at).eq(0..TOLD_MAX as u64));
        assert_eq!(differing, compared(&earlier, &later, 1_000).0);
    }
}
