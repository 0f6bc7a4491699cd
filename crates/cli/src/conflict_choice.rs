//! Which conflicts are meant: filters for lists and bulk answers, and ids as typed.
use crate::json::conflict_id;
use crate::output::one_line;
use mainstem::{Error, Result};
use mainstem_core::conflict::{Conflict, ConflictKind};

/// Filters that `conflicts` and `resolve --all` share.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ConflictFilter {
    /// Only conflicts in this table
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// Only conflicts of this kind, such as update_update or delete_update
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Option<ConflictKind>,
}

impl ConflictFilter {
    /// True for a conflict that is asked for.
    pub fn keeps(&self, conflict: &Conflict) -> bool {
        let is_table = self.table.as_ref().is_none_or(|t| t.eq_ignore_ascii_case(&conflict.table));
        is_table && self.kind.is_none_or(|k| k == conflict.kind)
    }
}

fn kind(typed: &str) -> std::result::Result<ConflictKind, String> {
    let name = typed.replace('-', "_");
    ConflictKind::parse(&name).ok_or_else(|| {
        let names: Vec<&str> = ConflictKind::ALL.iter().map(|k| k.name()).collect();
        format!("the kinds are {}", names.join(", "))
    })
}

/// The conflict whose id begins with what was typed.
pub fn by_id<'a>(conflicts: &'a [Conflict], typed: &str) -> Result<&'a Conflict> {
    let hint = "mainstem conflicts";
    let wanted = typed.trim().to_ascii_lowercase();
    let is_id = !wanted.is_empty() && wanted.len() <= 16 && wanted.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id {
        return Err(Error::invalid(format!("{} is not the id of a conflict", one_line(typed))).hint(hint));
    }
    let found: Vec<&Conflict> = conflicts.iter().filter(|c| conflict_id(c.id).starts_with(&wanted)).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(Error::not_found(format!("no conflict has the id {wanted}")).hint(hint)),
        several => {
            let message = format!("{} conflicts have ids that begin with {wanted}", several.len());
            Err(Error::invalid(message).hint(format!("type more of it, such as {}", conflict_id(several[0].id))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstem_core::conflict::{Claim, Side};
    use mainstem_core::stamp::Stamp;
    use mainstem_core::value::Value;

    fn conflict(id: u64, table: &str, kind: ConflictKind) -> Conflict {
        let side = || Side { claim: Claim::Cell(Value::Null), stamp: Stamp::default(), actor: "ann".into() };
        Conflict {
            id,
            kind,
            table: table.into(),
            key: vec![Value::Integer(1)],
            column: None,
            base: Claim::Cell(Value::Null),
            ours: side(),
            theirs: side(),
            strategy: "manual".into(),
            detail: String::new(),
            version: 2,
            answer: None,
        }
    }

    #[test]
    fn an_id_may_be_cut_while_it_stays_clear() {
        let all = [
            conflict(0xabcd_0000_0000_0001, "t", ConflictKind::Unique),
            conflict(0xabce_0000_0000_0002, "t", ConflictKind::Unique),
            conflict(7, "t", ConflictKind::Unique),
        ];
        assert_eq!(by_id(&all, "ABCD").expect("found").id, 0xabcd_0000_0000_0001);
        assert_eq!(by_id(&all, "0000000000000007").expect("found").id, 7);
        assert!(by_id(&all, "abc").expect_err("two of them").message.starts_with("2 conflicts"));
        assert_eq!(by_id(&all, "ffff").expect_err("none").code, "not_found");
        for wrong in ["", "x", "--", "00000000000000070"] {
            assert_eq!(by_id(&all, wrong).expect_err("no id").code, "invalid");
        }
    }

    #[test]
    fn filters_hold_together() {
        let filter = ConflictFilter { table: Some("T".into()), kind: Some(ConflictKind::Unique) };
        assert!(filter.keeps(&conflict(1, "t", ConflictKind::Unique)));
        assert!(!filter.keeps(&conflict(1, "t", ConflictKind::Schema)));
        assert!(!filter.keeps(&conflict(1, "u", ConflictKind::Unique)));
        assert_eq!(kind("update-update"), Ok(ConflictKind::UpdateUpdate));
        assert!(kind("clash").expect_err("unknown").contains("missing_parent"));
    }
}
