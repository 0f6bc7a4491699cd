//! Conflicts in bytes.
use super::bytes::{Reader, Writer};
use super::{front, row, value};
use crate::conflict::{Answer, Claim, Conflict, ConflictKind, Side};
use crate::error::Result;
use crate::stamp::{ReplicaId, Stamp, Time};
use crate::value::Key;
use alloc::{format, string::String, vec::Vec};

/// Encodes a conflict.
pub fn encode(conflict: &Conflict) -> Vec<u8> {
    let mut w = Writer::versioned();
    write(&mut w, conflict);
    w.0
}

/// Decodes a conflict.
pub fn decode(bytes: &[u8]) -> Result<Conflict> {
    read(&mut Reader::versioned("conflict", bytes)?)
}

pub(super) fn write(w: &mut Writer, conflict: &Conflict) {
    w.number(1, conflict.id);
    w.field(2, |w| w.byte(kind_code(conflict.kind)));
    w.text(3, &conflict.table);
    w.field(4, |w| row::write_values(w, &conflict.key));
    w.option(5, conflict.column.as_deref());
    w.field(6, |w| write_claim(w, &conflict.base));
    w.field(7, |w| write_side(w, &conflict.ours));
    w.field(8, |w| write_side(w, &conflict.theirs));
    w.text(9, &conflict.strategy);
    w.text(10, &conflict.detail);
    w.number(11, conflict.version);
    if let Some(answer) = &conflict.answer {
        w.field(12, |w| write_answer(w, answer));
    }
}

pub(super) fn read(r: &mut Reader<'_>) -> Result<Conflict> {
    let (mut id, mut version, mut kind, mut key) = (0, 0, None, Key::new());
    let (mut table, mut strategy, mut detail) = (String::new(), String::new(), String::new());
    let (mut column, mut base, mut ours, mut theirs, mut answer) = (None, Claim::Row(None), None, None, None);
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => id = f.varint()?,
            2 => kind = Some(read_kind(&mut f)?),
            3 => table = f.text()?,
            4 => key = row::read_values(&mut f)?,
            5 => column = Some(f.text()?),
            6 => base = read_claim(&mut f)?,
            7 => ours = Some(read_side(&mut f)?),
            8 => theirs = Some(read_side(&mut f)?),
            9 => strategy = f.text()?,
            10 => detail = f.text()?,
            11 => version = f.varint()?,
            12 => answer = Some(read_answer(&mut f)?),
            _ => continue,
        }
        f.finish()?;
    }
    let kind = kind.ok_or_else(|| fields.error("a conflict lacks its kind"))?;
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return Err(fields.error("a conflict lacks a side"));
    };
    Ok(Conflict { id, kind, table, key, column, base, ours, theirs, strategy, detail, version, answer })
}

fn kind_code(kind: ConflictKind) -> u8 {
    match kind {
        ConflictKind::CreateCreate => 1,
        ConflictKind::UpdateUpdate => 2,
        ConflictKind::UpdateDelete => 3,
        ConflictKind::DeleteUpdate => 4,
        ConflictKind::MissingParent => 5,
        ConflictKind::Unique => 6,
        ConflictKind::Constraint => 7,
        ConflictKind::Schema => 8,
    }
}

fn read_kind(r: &mut Reader<'_>) -> Result<ConflictKind> {
    let code = r.byte()?;
    let kind = ConflictKind::ALL.into_iter().find(|&k| kind_code(k) == code);
    kind.ok_or_else(|| r.error(format!("{code} is no kind of conflict")))
}

const CELL: u8 = 1;
const ROW: u8 = 2;
const NO_ROW: u8 = 3;

fn write_claim(w: &mut Writer, claim: &Claim) {
    match claim {
        Claim::Cell(v) => {
            w.byte(CELL);
            value::write(&mut w.0, v);
        }
        Claim::Row(Some(image)) => {
            w.byte(ROW);
            row::write_image(w, image);
        }
        Claim::Row(None) => w.byte(NO_ROW),
    }
}

fn read_claim(r: &mut Reader<'_>) -> Result<Claim> {
    Ok(match r.byte()? {
        CELL => Claim::Cell(value::read(r)?),
        ROW => Claim::Row(Some(row::read_image(r)?)),
        NO_ROW => Claim::Row(None),
        other => return Err(r.error(format!("{other} is no kind of claim"))),
    })
}

fn write_side(w: &mut Writer, side: &Side) {
    w.field(1, |w| write_claim(w, &side.claim));
    w.number(2, side.stamp.time.0);
    w.wide(3, side.stamp.replica.0);
    w.text(4, &side.actor);
}

fn read_side(r: &mut Reader<'_>) -> Result<Side> {
    let (mut claim, mut stamp, mut actor) = (None, Stamp::default(), String::new());
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => claim = Some(read_claim(&mut f)?),
            2 => stamp.time = Time(f.varint()?),
            3 => stamp.replica = ReplicaId(f.wide()?),
            4 => actor = f.text()?,
            _ => continue,
        }
        f.finish()?;
    }
    let claim = claim.ok_or_else(|| fields.error("a conflict's side says nothing"))?;
    Ok(Side { claim, stamp, actor })
}

fn write_answer(w: &mut Writer, answer: &Answer) {
    w.field(1, |w| w.byte(front::choice_code(answer.choice)));
    w.option(2, answer.actor.as_deref());
    w.number(3, answer.at.0);
}

fn read_answer(r: &mut Reader<'_>) -> Result<Answer> {
    let (mut choice, mut actor, mut at) = (None, None, Time::default());
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => choice = Some(front::read_choice(&mut f)?),
            2 => actor = Some(f.text()?),
            3 => at = Time(f.varint()?),
            _ => continue,
        }
        f.finish()?;
    }
    let choice = choice.ok_or_else(|| fields.error("an answer lacks its choice"))?;
    Ok(Answer { choice, actor, at })
}
