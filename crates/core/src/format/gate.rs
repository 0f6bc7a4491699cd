//! What came of gates, in bytes.
use super::bytes::{Reader, Writer};
use super::review::{choice, code};
use super::row;
use crate::error::Result;
use crate::gate::{GateResult, Outcome, Sample, Severity};
use alloc::{format, string::String, vec::Vec};

const WHAT: &str = "results of gates";
const PASSED: u64 = 1;
const FAILED: u64 = 2;
const BROKE: u64 = 3;

/// The least bytes that one in a list takes with its length: a result has a field for how it went.
const RESULT_BYTES_MIN: usize = 4;

/// Encodes results, with a version byte.
pub fn encode(results: &[GateResult]) -> Vec<u8> {
    let mut w = Writer::versioned();
    write(&mut w, results);
    w.0
}

/// Decodes results.
pub fn decode(bytes: &[u8]) -> Result<Vec<GateResult>> {
    read(&mut Reader::versioned(WHAT, bytes)?)
}

/// Writes results, for what carries them; where they end is the reader's to know.
pub fn write(w: &mut Writer, results: &[GateResult]) {
    w.list(1, results, write_result);
}

/// Reads results to the end.
pub fn read(r: &mut Reader<'_>) -> Result<Vec<GateResult>> {
    let mut results = Vec::new();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        if tag == 1 {
            results = f.list(RESULT_BYTES_MIN, read_result)?;
            f.finish()?;
        }
    }
    Ok(results)
}

fn write_result(w: &mut Writer, result: &GateResult) {
    w.text(1, &result.gate);
    w.number(2, code(&Severity::ALL, result.severity));
    w.field(3, |w| match &result.outcome {
        Outcome::Passed => w.varint(PASSED),
        Outcome::Failed { rows, samples } => {
            w.varint(FAILED);
            w.number(1, *rows);
            w.list(2, samples, write_sample);
        }
        Outcome::Broke { why } => {
            w.varint(BROKE);
            w.fixed(why.as_bytes());
        }
    });
}

fn read_result(r: &mut Reader<'_>) -> Result<GateResult> {
    let (mut gate, mut severity, mut outcome) = (String::new(), Severity::Block, None);
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => gate = f.text()?,
            2 => severity = choice(&Severity::ALL, &mut f)?,
            3 => outcome = Some(read_outcome(&mut f)?),
            _ => continue,
        }
        f.finish()?;
    }
    let outcome = outcome.ok_or_else(|| fields.error("a gate has no outcome"))?;
    Ok(GateResult { gate, severity, outcome })
}

fn read_outcome(r: &mut Reader<'_>) -> Result<Outcome> {
    match r.varint()? {
        PASSED => Ok(Outcome::Passed),
        BROKE => Ok(Outcome::Broke { why: r.text()? }),
        FAILED => {
            let (mut rows, mut samples) = (0, Vec::new());
            let mut fields = r.fields();
            while let Some((tag, mut f)) = fields.read()? {
                match tag {
                    1 => rows = f.varint()?,
                    2 => samples = f.few(read_sample)?,
                    _ => continue,
                }
                f.finish()?;
            }
            Ok(Outcome::Failed { rows, samples })
        }
        // What is not known here must not pass for passed.
        other => Err(r.error(format!("{other} is no outcome of a gate"))),
    }
}

fn write_sample(w: &mut Writer, sample: &Sample) {
    w.text(1, &sample.table);
    if !sample.key.is_empty() {
        w.field(2, |w| row::write_values(w, &sample.key));
    }
    if !sample.cells.is_empty() {
        w.field(3, |w| row::write_image(w, &sample.cells));
    }
    w.flag(4, sample.is_cut);
}

fn read_sample(r: &mut Reader<'_>) -> Result<Sample> {
    let mut sample = Sample::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => sample.table = f.text()?,
            2 => sample.key = row::read_values(&mut f)?,
            3 => sample.cells = row::read_image(&mut f)?,
            4 => sample.is_cut = f.flag()?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::value::Value;
    use alloc::vec;

    fn results() -> Vec<GateResult> {
        let huge = Value::text("x".repeat(1000));
        let cells = [("price", &Value::Real(-0.5)), ("note", &huge), ("", &Value::Null)];
        let sample = Sample::new("Order Details", &[1.into(), "k".into()], cells.into_iter());
        let found = Sample::new("", &[], [("total", &Value::Integer(120))].into_iter());
        let failed = Outcome::Failed { rows: u64::MAX, samples: vec![sample, found, Sample::default()] };
        let of = |gate: &str, severity, outcome| GateResult { gate: gate.into(), severity, outcome };
        vec![
            of("price_is_positive", Severity::Block, failed),
            of("", Severity::Warn, Outcome::Passed),
            of("sum", Severity::Warn, Outcome::Broke { why: "it took longer than 5 ms".into() }),
            of("sum", Severity::Block, Outcome::Failed { rows: 0, samples: Vec::new() }),
        ]
    }

    #[test]
    fn results_come_back() {
        for count in 0..=results().len() {
            let some = &results()[..count];
            assert_eq!(decode(&encode(some)).as_deref(), Ok(some));
        }
    }

    #[test]
    fn damage_is_told_and_nothing_unknown_passes() {
        let bytes = encode(&results());
        for length in 1..bytes.len() {
            assert!(matches!(decode(&bytes[..length]), Err(Error::Corrupt { .. })) || length == 1, "{length}");
        }
        for at in 0..bytes.len() {
            for bits in [0x01, 0x80, 0xff, 0x10] {
                let mut flipped = bytes.clone();
                flipped[at] ^= bits;
                if let Err(error) = decode(&flipped) {
                    assert!(matches!(error, Error::Corrupt { .. }));
                }
            }
        }
        let mut w = Writer::versioned();
        w.list(1, &[4u64, 0], |w, outcome| w.field(3, |w| w.varint(*outcome)));
        assert!(decode(&w.0).is_err(), "an outcome of later");
        let mut w = Writer::versioned();
        w.list(1, &["a"], |w, gate| w.text(1, gate));
        assert!(decode(&w.0).is_err(), "no outcome");
    }
}
