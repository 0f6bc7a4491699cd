//! Fronts in bytes: everything in a changeset but its rows.
use super::bytes::{Reader, Writer};
use super::{conflict, event, row, schema};
use crate::change::{Again, Choice, Front, Header, Past, RenumberedHere, Resolution, Shape};
use crate::error::{Error, Result};
use crate::stamp::{ReplicaId, Time};
use alloc::{format, string::String, vec::Vec};

/// Encodes a front.
pub fn encode(front: &Front) -> Vec<u8> {
    let mut w = Writer::versioned();
    w.field(1, |w| write_header(w, &front.header));
    w.list(2, &front.schema, schema::write_change);
    w.list(3, &front.shapes, write_shape);
    w.list(4, &front.resolutions, write_resolution);
    w.number(5, front.count);
    w.list(6, &front.conflicts, conflict::write);
    if let Some(again) = &front.again {
        w.field(7, |w| write_again(w, again));
    }
    w.list(8, &front.renumbered_here, |w, here| {
        w.fixed(&here.made_by.to_be_bytes());
        event::write_renumbered(w, &here.row);
    });
    w.list(9, &front.hidden, |w, (table, key)| {
        w.bytes(table.as_bytes());
        row::write_values(w, key);
    });
    w.0
}

/// Decodes a front.
pub fn decode(bytes: &[u8]) -> Result<Front> {
    let mut front = Front::default();
    let mut fields = Reader::versioned("changeset front", bytes)?.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => front.header = read_header(&mut f)?,
            2 => front.schema = f.few(schema::read_change)?,
            3 => front.shapes = f.few(read_shape)?,
            4 => front.resolutions = f.list(4, read_resolution)?,
            5 => front.count = f.varint()?,
            6 => front.conflicts = f.list(16, conflict::read)?,
            7 => front.again = Some(read_again(&mut f)?),
            8 => front.renumbered_here = f.list(25, |r| Ok(RenumberedHere { made_by: r.wide()?, row: event::read_renumbered(r)? }))?,
            9 => front.hidden = f.list(2, |r| Ok((r.nested()?.text()?, row::read_values(r)?)))?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(front)
}

/// Checks what positions into a shape rely on, for a shape that did not come through a decoder.
pub fn check_shape(shape: &Shape) -> Result<()> {
    why_not(shape).map_or(Ok(()), |why| Err(Error::corrupt("changeset front", why)))
}

fn why_not(shape: &Shape) -> Option<String> {
    let names: Vec<&str> = shape.columns.iter().map(String::as_str).collect();
    schema::check_columns(&shape.table, &names, &shape.key, shape.is_numbered).err()
}

pub(super) fn write_header(w: &mut Writer, header: &Header) {
    w.wide(1, header.write_id);
    w.wide(2, header.lineage);
    w.wide(3, header.replica.0);
    w.number(4, header.sequence);
    w.number(5, header.base_version);
    w.text(6, &header.actor);
    w.option(7, header.title.as_deref());
    w.text(8, &header.description);
    w.number(9, header.at.0);
    w.list(10, &header.made_on, write_past);
}

pub(super) fn write_past(w: &mut Writer, past: &Past) {
    w.fixed(&past.epoch.to_be_bytes());
    w.varint(past.version);
}

pub(super) fn read_past(r: &mut Reader<'_>) -> Result<Past> {
    Ok(Past { epoch: r.wide()?, version: r.varint()? })
}

pub(super) fn write_ids(w: &mut Writer, tag: u64, ids: &[u128]) {
    w.list(tag, ids, |w, id| w.fixed(&id.to_be_bytes()));
}

fn write_again(w: &mut Writer, again: &Again) {
    w.list(1, &again.was, write_past);
    write_ids(w, 2, &again.stands_for);
    w.list(3, &again.renumbered, event::write_renumbered);
}

fn read_again(r: &mut Reader<'_>) -> Result<Again> {
    let mut again = Again::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => again.was = f.list(17, read_past)?,
            2 => again.stands_for = f.list(16, Reader::wide)?,
            3 => again.renumbered = f.list(9, event::read_renumbered)?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(again)
}

pub(super) fn read_header(r: &mut Reader<'_>) -> Result<Header> {
    let mut header = Header::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => header.write_id = f.wide()?,
            2 => header.lineage = f.wide()?,
            3 => header.replica = ReplicaId(f.wide()?),
            4 => header.sequence = f.varint()?,
            5 => header.base_version = f.varint()?,
            6 => header.actor = f.text()?,
            7 => header.title = Some(f.text()?),
            8 => header.description = f.text()?,
            9 => header.at = Time(f.varint()?),
            10 => header.made_on = f.list(17, read_past)?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(header)
}

pub(super) fn write_shape(w: &mut Writer, shape: &Shape) {
    w.text(1, &shape.table);
    w.texts(2, &shape.columns);
    w.positions(3, &shape.key);
    w.flag(4, shape.is_numbered);
    if let Some(highest) = shape.highest {
        w.field(5, |w| w.signed(highest));
    }
}

pub(super) fn read_shape(r: &mut Reader<'_>) -> Result<Shape> {
    let mut shape = Shape::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => shape.table = f.text()?,
            2 => shape.columns = f.texts()?,
            3 => shape.key = f.positions()?,
            4 => shape.is_numbered = f.flag()?,
            5 => shape.highest = Some(f.signed()?),
            _ => continue,
        }
        f.finish()?;
    }
    why_not(&shape).map_or(Ok(shape), |why| Err(fields.error(why)))
}

pub(super) fn write_resolution(w: &mut Writer, resolution: &Resolution) {
    w.number(1, resolution.conflict);
    w.field(2, |w| w.byte(choice_code(resolution.choice)));
    w.text(3, &resolution.actor);
    w.number(4, resolution.at.0);
}

pub(super) fn read_resolution(r: &mut Reader<'_>) -> Result<Resolution> {
    let (mut conflict, mut choice, mut actor, mut at) = (0, None, String::new(), Time::default());
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => conflict = f.varint()?,
            2 => choice = Some(read_choice(&mut f)?),
            3 => actor = f.text()?,
            4 => at = Time(f.varint()?),
            _ => continue,
        }
        f.finish()?;
    }
    let choice = choice.ok_or_else(|| fields.error("a resolution lacks its choice"))?;
    Ok(Resolution { conflict, choice, actor, at })
}

pub(super) fn choice_code(choice: Choice) -> u8 {
    match choice {
        Choice::Ours => 1,
        Choice::Theirs => 2,
        Choice::Base => 3,
        Choice::Value => 4,
        Choice::Merged => 5,
    }
}

pub(super) fn read_choice(r: &mut Reader<'_>) -> Result<Choice> {
    Ok(match r.byte()? {
        1 => Choice::Ours,
        2 => Choice::Theirs,
        3 => Choice::Base,
        4 => Choice::Value,
        5 => Choice::Merged,
        other => return Err(r.error(format!("{other} is no choice"))),
    })
}
