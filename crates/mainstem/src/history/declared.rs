//! What the tables were declared as at a version, and by which steps they came to be so.
use crate::error::{Error, Result};
use crate::primary::Primary;
use mainstem_core::event::Event;
use mainstem_core::format::event;
use mainstem_core::schema::{Schema, SchemaChange};
use mainstem_core::stamp::Time;

/// The tables at a version, as whoever asks may see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The tables, their columns as they were declared. Their SQL is that of their last whole declaration.
    pub schema: Schema,
    /// What changed them since the dataset began, oldest first.
    pub steps: Vec<Steps>,
}

/// What one version did to the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The version.
    pub version: u64,
    /// When it was accepted.
    pub accepted_at: Time,
    /// Who made it.
    pub actor: String,
    /// The steps.
    pub steps: Vec<SchemaChange>,
}

/// Reads what the tables were at a version. As many events are read as there are versions that changed them.
pub fn declared(primary: &mut dyn Primary, version: u64) -> Result<Declared> {
    let first = primary.events(0, 1)?.into_iter().next().map(|link| event::decode(&link.bytes)).transpose()?;
    let Some(Event::Genesis(genesis)) = first else {
        return Err(Error::corrupt("the primary's first event is not the dataset's beginning"));
    };
    let mut declared = Declared { schema: genesis.schema, steps: Vec::new() };
    for number in primary.chronicle()?.versions().into_iter().filter(|number| *number <= version) {
        let Some(accepted) = primary.version(number)? else { continue };
        accepted.schema.iter().for_each(|step| declared.schema.step(step));
        // Of a version that changed hidden tables alone nothing is told.
        if !accepted.schema.is_empty() {
            let (accepted_at, actor) = (accepted.accepted_at, accepted.header.actor);
            declared.steps.push(Steps { version: number, accepted_at, actor, steps: accepted.schema });
        }
    }
    Ok(declared)
}
