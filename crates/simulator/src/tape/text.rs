//! A tape as text, one thing a line: what stands before, the workload, the schedule.
use super::{
    ClockFault, Datum, Delivery, DiskFault, Event, Handling, Loss, Manner, Offering, Part, Role, Session, Setup, Statement, Tape, Trick,
    Trouble,
};
use mainstem::core::value::Value;
use std::fmt;
use std::str::FromStr;

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Datum::Value(Value::Null) => f.write_str("null"),
            Datum::Value(Value::Integer(i)) => write!(f, "int:{i}"),
            Datum::Value(Value::Real(r)) => write!(f, "real:{:016x}", r.to_bits()),
            Datum::Value(Value::Text(bytes)) => write!(f, "text:{}", escaped(bytes)),
            Datum::Value(Value::Blob(bytes)) => write!(f, "blob:{}", escaped(bytes)),
            Datum::Long { is_text, bytes, word } => {
                write!(f, "{}:{bytes}:{word}", if *is_text { "long_text" } else { "long_blob" })
            }
        }
    }
}

/// Bytes in printable ASCII, others as `%xx`.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'%' => text.push(*byte as char),
            _ => text.push_str(&format!("%{byte:02x}")),
        }
    }
    text
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(tail.get(..2)?).ok()?, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(bytes)
}

impl Datum {
    fn parse(text: &str) -> Option<Datum> {
        if text == "null" {
            return Some(Datum::Value(Value::Null));
        }
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "int" => Datum::Value(Value::Integer(rest.parse().ok()?)),
            "real" => Datum::Value(Value::Real(f64::from_bits(u64::from_str_radix(rest, 16).ok()?))),
            "text" => Datum::Value(Value::Text(unescaped(rest)?)),
            "blob" => Datum::Value(Value::Blob(unescaped(rest)?)),
            "long_text" | "long_blob" => {
                let (bytes, word) = rest.split_once(':')?;
                Datum::Long { is_text: kind == "long_text", bytes: bytes.parse().ok()?, word: word.to_owned() }
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", escaped(self.sql.as_bytes()))?;
        self.values.iter().try_for_each(|value| write!(f, "\t{value}"))
    }
}

impl Statement {
    fn parse(text: &str) -> Option<Statement> {
        let mut parts = text.split('\t');
        let sql = String::from_utf8(unescaped(parts.next()?)?).ok()?;
        let values = parts.map(Datum::parse).collect::<Option<Vec<_>>>()?;
        Some(Statement { sql, values })
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manner { is_recursive, is_distrustful, is_blind } = self.manner;
        match self.who {
            Some(who) => write!(f, "session {who}")?,
            None => write!(f, "session primary")?,
        }
        for (is_so, word) in [(is_recursive, "recursive"), (is_distrustful, "distrustful"), (is_blind, "blind")] {
            if is_so {
                write!(f, " {word}")?;
            }
        }
        self.statements.iter().try_for_each(|statement| write!(f, "\n\t{statement}"))
    }
}

impl Session {
    fn parse_head(words: &[&str]) -> Option<Session> {
        let who = match *words.first()? {
            "primary" => None,
            number => Some(number.parse().ok()?),
        };
        let is = |word: &str| words.contains(&word);
        let manner = Manner { is_recursive: is("recursive"), is_distrustful: is("distrustful"), is_blind: is("blind") };
        Some(Session { who, manner, statements: Vec::new() })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Run(session) => write!(f, "run {session}"),
            Event::Commit(who, is_titled) => write!(f, "commit {who} {is_titled}"),
            Event::Push(who) => write!(f, "push {who}"),
            Event::Pull(who) => write!(f, "pull {who}"),
            Event::Sync(who) => write!(f, "sync {who}"),
            Event::Wire(who, at, loss) => write!(f, "wire {who} {at} {}", name_of(&LOSSES, loss)),
            Event::Line(who, troubles) => {
                write!(f, "line {who}")?;
                troubles.iter().try_for_each(|trouble| write!(f, "{BAR}{trouble}"))
            }
            Event::Propose(who, offering, troubles) => {
                write!(f, "propose {who} {}", name_of(&OFFERINGS, offering))?;
                troubles.iter().try_for_each(|trouble| write!(f, "{BAR}{trouble}"))
            }
            Event::Review(who, nth, handling, is_twice) => {
                write!(f, "review {who} {nth} ")?;
                match handling {
                    Handling::Part(rows) => write!(f, "part:{rows:016x}")?,
                    Handling::Answer(choice) => write!(f, "answer:{choice}")?,
                    handling => write!(f, "{}", name_of(&HANDLINGS, handling))?,
                }
                write!(f, " {is_twice}")
            }
            Event::TakeBack(who, nth) => write!(f, "takeback {who} {nth}"),
            Event::Cut(who, is_heard) => {
                let who: Vec<String> = who.iter().map(usize::to_string).collect();
                write!(f, "cut {} {is_heard}", who.join(","))
            }
            Event::Mend => write!(f, "mend"),
            Event::Ask(who, scope) => write!(f, "ask {who} {}", escaped(scope.as_bytes())),
            Event::Permit(who, scope) => write!(f, "permit {who} {}", escaped(scope.as_bytes())),
            Event::Role(who, role) => write!(f, "role {who} {}", name_of(&ROLES, role)),
            Event::Probe(who) => write!(f, "probe {who}"),
            Event::Restart => write!(f, "restart"),
            Event::Backup => write!(f, "backup"),
            Event::Return(is_said) => write!(f, "return {is_said}"),
            Event::Deliver(who, bytes, how) => write!(f, "deliver {who} {bytes} {}", name_of(&DELIVERIES, how)),
            Event::Some(who, times) => write!(f, "some {who} {times}"),
            Event::Restore(who, table, is_base) => write!(f, "restore {who} {table} {is_base}"),
            Event::Resolve(who, nth, choice) => write!(f, "resolve {who} {nth} {choice}"),
            Event::Revert(who, back) => write!(f, "revert {who} {back}"),
            Event::Stash(who) => write!(f, "stash {who}"),
            Event::Unstash(who) => write!(f, "unstash {who}"),
            Event::Copy(who) => write!(f, "copy {who}"),
            Event::Keep(who) => write!(f, "keep {who}"),
            Event::Rewind(who) => write!(f, "rewind {who}"),
            Event::Swap(who) => write!(f, "swap {who}"),
            Event::Clone => write!(f, "clone"),
            Event::Policy(text) => write!(f, "policy {}", escaped(text.as_bytes())),
            Event::Verify(who) => write!(f, "verify {who}"),
            Event::Stranger => write!(f, "stranger"),
            Event::Cleanup => write!(f, "cleanup"),
            Event::Disorder(who) => write!(f, "disorder {who}"),
            Event::Unheard(who) => write!(f, "unheard {who}"),
            Event::Clock(who, fault) => {
                let who = who.map_or_else(|| "primary".to_owned(), |who| who.to_string());
                match fault {
                    ClockFault::Jump(ms) => write!(f, "clock {who} jump {ms}"),
                    ClockFault::Freeze => write!(f, "clock {who} freeze"),
                    ClockFault::Drift(parts) => write!(f, "clock {who} drift {parts}"),
                    ClockFault::Right => write!(f, "clock {who} right"),
                }
            }
            Event::Wait(ms) => write!(f, "wait {ms}"),
            Event::Disk(fault, at, event) => write!(f, "disk {} {at} {event}", name_of(&DISK_FAULTS, fault)),
        }
    }
}

const ROLES: [(&str, Role); 3] = [("nobody", Role::Nobody), ("viewer", Role::Viewer), ("contributor", Role::Contributor)];

/// Stands between the troubles of a line.
const BAR: &str = " | ";

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.at)?;
        match &self.what {
            Trick::Lost(loss) => write!(f, "{}", name_of(&LOSSES, loss)),
            Trick::Late(calls) => write!(f, "late {calls}"),
            Trick::Stale => write!(f, "stale"),
            Trick::Before(event) => write!(f, "before {event}"),
            Trick::After(event) => write!(f, "after {event}"),
        }
    }
}

impl Trouble {
    fn parse(text: &str) -> Option<Trouble> {
        let (at, what) = text.split_once(' ')?;
        let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
        let event = || Event::parse(rest).map(Box::new);
        let what = match word {
            "late" => Trick::Late(rest.parse().ok()?),
            "stale" => Trick::Stale,
            "before" => Trick::Before(event()?),
            "after" => Trick::After(event()?),
            loss => Trick::Lost(named(&LOSSES, loss)?),
        };
        Some(Trouble { at: at.parse().ok()?, what })
    }
}

const LOSSES: [(&str, Loss); 3] = [("request", Loss::Request), ("answer", Loss::Answer), ("double", Loss::Double)];
const OFFERINGS: [(&str, Offering); 3] = [("fitting", Offering::Fitting), ("new", Offering::New), ("everything", Offering::Everything)];
const HANDLINGS: [(&str, Handling); 7] = [
    ("approve", Handling::Approve),
    ("refuse", Handling::Refuse),
    ("merge", Handling::Merge),
    ("force", Handling::Force),
    ("reject", Handling::Reject),
    ("withdraw", Handling::Withdraw),
    ("reopen", Handling::Reopen),
];
const DELIVERIES: [(&str, Delivery); 4] =
    [("twice", Delivery::Twice), ("again", Delivery::Again), ("gap", Delivery::Gap), ("truncated", Delivery::Truncated)];

const DISK_FAULTS: [(&str, DiskFault); 5] = [
    ("kill", DiskFault::Kill),
    ("power", DiskFault::Power),
    ("once", DiskFault::Once),
    ("lasting", DiskFault::Lasting),
    ("full", DiskFault::Full),
];

fn name_of<T: PartialEq>(all: &[(&'static str, T)], one: &T) -> &'static str {
    all.iter().find(|(_, each)| each == one).map_or("", |(name, _)| name)
}

fn named<T: Copy>(all: &[(&'static str, T)], name: &str) -> Option<T> {
    all.iter().find(|(each, _)| *each == name).map(|(_, one)| *one)
}

/// What stands behind the bars of a line.
fn troubles(line: &str) -> Option<Vec<Trouble>> {
    let (_, troubles) = line.split_once(BAR).unwrap_or((line, ""));
    troubles.split(BAR).filter(|text| !text.is_empty()).map(Trouble::parse).collect()
}

impl Handling {
    fn parse(text: &str) -> Option<Handling> {
        match text.split_once(':') {
            Some(("part", rows)) => Some(Handling::Part(u64::from_str_radix(rows, 16).ok()?)),
            Some(("answer", choice)) => Some(Handling::Answer(choice.parse().ok()?)),
            _ => named(&HANDLINGS, text),
        }
    }
}

impl Event {
    fn parse(line: &str) -> Option<Event> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at)?.parse::<usize>().ok();
        let is = |at: usize| words.get(at)?.parse::<bool>().ok();
        Some(match *words.first()? {
            "run" => Event::Run(number(1)?),
            "commit" => Event::Commit(number(1)?, is(2)?),
            "push" => Event::Push(number(1)?),
            "pull" => Event::Pull(number(1)?),
            "sync" => Event::Sync(number(1)?),
            "wire" => Event::Wire(number(1)?, number(2)?, named(&LOSSES, words.get(3)?)?),
            "line" => Event::Line(number(1)?, troubles(line)?),
            "propose" => Event::Propose(number(1)?, named(&OFFERINGS, words.get(2)?)?, troubles(line)?),
            "review" => Event::Review(number(1)?, number(2)?, Handling::parse(words.get(3)?)?, is(4)?),
            "takeback" => Event::TakeBack(number(1)?, number(2)?),
            "cut" => Event::Cut(words.get(1)?.split(',').map(|who| who.parse().ok()).collect::<Option<_>>()?, is(2)?),
            "mend" => Event::Mend,
            "ask" | "permit" => {
                let scope = String::from_utf8(unescaped(line.splitn(3, ' ').nth(2)?)?).ok()?;
                if words[0] == "ask" { Event::Ask(number(1)?, scope) } else { Event::Permit(number(1)?, scope) }
            }
            "role" => Event::Role(number(1)?, named(&ROLES, words.get(2)?)?),
            "probe" => Event::Probe(number(1)?),
            "restart" => Event::Restart,
            "backup" => Event::Backup,
            "return" => Event::Return(is(1)?),
            "deliver" => Event::Deliver(number(1)?, number(2)?, named(&DELIVERIES, words.get(3)?)?),
            "some" => Event::Some(number(1)?, number(2)?),
            "restore" => Event::Restore(number(1)?, (*words.get(2)?).to_owned(), is(3)?),
            "resolve" => Event::Resolve(number(1)?, number(2)?, number(3)?),
            "revert" => Event::Revert(number(1)?, number(2)?),
            "stash" => Event::Stash(number(1)?),
            "unstash" => Event::Unstash(number(1)?),
            "copy" => Event::Copy(number(1)?),
            "keep" => Event::Keep(number(1)?),
            "rewind" => Event::Rewind(number(1)?),
            "swap" => Event::Swap(number(1)?),
            "clone" => Event::Clone,
            "policy" => Event::Policy(String::from_utf8(unescaped(line.strip_prefix("policy ")?)?).ok()?),
            "verify" => Event::Verify(number(1)?),
            "stranger" => Event::Stranger,
            "cleanup" => Event::Cleanup,
            "disorder" => Event::Disorder(number(1)?),
            "unheard" => Event::Unheard(number(1)?),
            "clock" => {
                let who = if *words.get(1)? == "primary" { None } else { Some(number(1)?) };
                let amount = || words.get(3)?.parse::<i64>().ok();
                Event::Clock(
                    who,
                    match *words.get(2)? {
                        "jump" => ClockFault::Jump(amount()?),
                        "freeze" => ClockFault::Freeze,
                        "drift" => ClockFault::Drift(amount()?),
                        "right" => ClockFault::Right,
                        _ => return None,
                    },
                )
            }
            "wait" => Event::Wait(number(1)? as u64),
            "disk" => {
                let inner = line.splitn(4, ' ').nth(3)?;
                Event::Disk(named(&DISK_FAULTS, words.get(1)?)?, number(2)? as u64, Box::new(Event::parse(inner)?))
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup { schema, policy, copies, keeps_links, is_still, is_wide_text, has_disk, journals, offsets, parts } = &self.setup;
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "copies {copies}\nlinks {keeps_links}\nstill {is_still}\nutf16 {is_wide_text}\ndisk {has_disk}")?;
        writeln!(f, "journals {}", journals.join(" "))?;
        writeln!(f, "offsets {}", offsets.iter().map(i64::to_string).collect::<Vec<_>>().join(" "))?;
        for (key, value) in policy {
            writeln!(f, "rule {key}\t{value}")?;
        }
        for Part { who, asked, permitted } in parts {
            writeln!(f, "part {who}\t{}\t{}", escaped(asked.as_bytes()), escaped(permitted.as_bytes()))?;
        }
        for statement in schema {
            writeln!(f, "schema {statement}")?;
        }
        writeln!(f, "# workload")?;
        for session in &self.workload {
            writeln!(f, "{session}")?;
        }
        writeln!(f, "# schedule")?;
        self.schedule.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

impl FromStr for Tape {
    type Err = String;

    fn from_str(text: &str) -> Result<Tape, String> {
        let mut tape = Tape::default();
        let mut is_schedule = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                is_schedule |= line == "# schedule";
                continue;
            }
            let read = if is_schedule { Event::parse(line).map(|event| tape.schedule.push(event)) } else { before(&mut tape, line) };
            read.ok_or_else(|| format!("line {} of the tape says nothing known: {line}", number + 1))?;
        }
        Ok(tape)
    }
}

/// Reads a line that stands before the schedule.
fn before(tape: &mut Tape, line: &str) -> Option<()> {
    if let Some(statement) = line.strip_prefix('\t') {
        tape.workload.last_mut()?.statements.push(Statement::parse(statement)?);
        return Some(());
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let setup = &mut tape.setup;
    match word {
        "seed" => tape.seed = rest.parse().ok()?,
        "copies" => setup.copies = rest.parse().ok()?,
        "links" => setup.keeps_links = rest.parse().ok()?,
        "still" => setup.is_still = rest.parse().ok()?,
        "utf16" => setup.is_wide_text = rest.parse().ok()?,
        "disk" => setup.has_disk = rest.parse().ok()?,
        "journals" => setup.journals = rest.split_whitespace().map(str::to_owned).collect(),
        "offsets" => setup.offsets = rest.split_whitespace().map(|n| n.parse().ok()).collect::<Option<_>>()?,
        "rule" => setup.policy.push(rest.split_once('\t').map(|(k, v)| (k.to_owned(), v.to_owned()))?),
        "part" => {
            let (who, scopes) = rest.split_once('\t')?;
            let (asked, permitted) = scopes.split_once('\t')?;
            let text = |escaped: &str| String::from_utf8(unescaped(escaped)?).ok();
            setup.parts.push(Part { who: who.parse().ok()?, asked: text(asked)?, permitted: text(permitted)? });
        }
        "schema" => setup.schema.push(Statement::parse(rest)?),
        "session" => tape.workload.push(Session::parse_head(&rest.split(' ').collect::<Vec<_>>())?),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_read_back_is_the_same() {
        for seed in 0..40 {
            let tape = crate::workload::tape(seed);
            let again: Tape = tape.to_string().parse().expect("it was just written");
            assert_eq!(again.to_string(), tape.to_string());
            assert_eq!(again, tape);
        }
        assert!("seed x".parse::<Tape>().is_err());
    }
}
