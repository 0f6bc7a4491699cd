//! Whether a changeset as a whole needs review, whatever its rows are in.
use super::{Mode, Policy};
use crate::change::Front;
use crate::schema::SchemaChange;
use alloc::format;
use alloc::string::String;

impl Policy {
    /// True where changes of a table need approval.
    pub fn is_reviewed(&self, table: &str) -> bool {
        self.table(table).mode == Mode::Review
    }

    /// Why a changeset as a whole needs review: it changes a reviewed table itself, or it changes more rows than may go
    /// without. None where its rows alone decide.
    pub fn reviewed_whole(&self, front: &Front) -> Option<String> {
        let of_step = |step: &SchemaChange| match step {
            SchemaChange::CreateTable { table } | SchemaChange::Rebuild { table, .. } => {
                self.is_reviewed(&table.name).then(|| table.name.clone())
            }
            SchemaChange::DropTable { name } => self.is_reviewed(name).then(|| name.clone()),
            SchemaChange::RenameTable { from, to } => (self.is_reviewed(from) || self.is_reviewed(to)).then(|| from.clone()),
            SchemaChange::AddColumn { table, .. } | SchemaChange::DropColumn { table, .. } | SchemaChange::RenameColumn { table, .. } => {
                self.is_reviewed(table).then(|| table.clone())
            }
            SchemaChange::PutObject { .. } | SchemaChange::DropObject { .. } => None,
        };
        if let Some(table) = front.schema.iter().find_map(of_step) {
            return Some(format!("table {table} is changed by review only"));
        }
        let above = self.review_above().filter(|above| front.count > *above)?;
        Some(format!("a change of {} rows needs review; {above} may go without", front.count))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::*;
    use alloc::vec;

    #[test]
    fn tables_themselves_and_many_rows_need_review() {
        let mode = Entry { path: vec!["Recipe".into()], key: "mode".into(), value: "review".into() };
        let above = Entry { path: vec![], key: "review_above".into(), value: 10.into() };
        let policy = Policy::from_entries(&[mode, above]).expect("a valid policy");
        let of = |step: SchemaChange| policy.reviewed_whole(&Front { schema: vec![step], ..Front::default() });
        let dropped = |name: &str| SchemaChange::DropTable { name: name.into() };
        assert_eq!(of(dropped("recipe")).as_deref(), Some("table recipe is changed by review only"));
        assert_eq!(
            of(SchemaChange::RenameTable { from: "x".into(), to: "RECIPE".into() }).as_deref(),
            Some("table x is changed by review only")
        );
        assert_eq!(of(dropped("note")), None);
        let rows = |count| policy.reviewed_whole(&Front { count, ..Front::default() });
        assert_eq!(rows(10), None);
        assert_eq!(rows(11).as_deref(), Some("a change of 11 rows needs review; 10 may go without"));
    }
}
