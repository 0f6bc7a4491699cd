//! Lets the disk fail at one operation after the other, and goes on in the same process when it works again.
use crate::play::{Effort, Play, guarded};
use crate::stage::Phase;
use crate::states::sample;
use mainstem::core::ErrorKind;
use mainstem_disk::Failure;

/// What fails.
#[derive(Clone, Copy, Debug)]
enum What {
    /// One operation.
    Once(Failure),
    /// An operation and all after it, until the disk is mended.
    Lasting(Failure),
    /// One read.
    Read,
}

/// What fails, and whether the program goes on with what it had open.
#[derive(Clone, Copy, Debug)]
struct Way {
    what: What,
    goes_on: bool,
}

const WRITING: [Way; 5] = [
    Way { what: What::Once(Failure::Io), goes_on: false },
    Way { what: What::Once(Failure::Io), goes_on: true },
    Way { what: What::Lasting(Failure::Io), goes_on: false },
    Way { what: What::Once(Failure::Full), goes_on: true },
    Way { what: What::Lasting(Failure::Full), goes_on: false },
];

const READING: [Way; 2] = [Way { what: What::Read, goes_on: false }, Way { what: What::Read, goes_on: true }];

impl Play {
    /// Plays with a failing disk.
    pub fn fail_disk(&mut self, effort: Effort) {
        let counted = self.recorded.operations.iter().filter(|operation| operation.act.is_counted()).count() as u64;
        for (ways, count) in [(&WRITING[..], counted), (&READING[..], self.recorded.reads)] {
            for at in sample(&(1..=count).collect::<Vec<u64>>(), effort.faults) {
                for way in ways {
                    let outcome = self.fail_once(at, *way);
                    self.stage.let_go();
                    if let Err(why) = outcome {
                        self.fail(format!("number {at} fails, {way:?}"), why);
                    }
                }
            }
        }
    }

    fn fail_once(&mut self, at: u64, way: Way) -> Result<(), String> {
        self.stage.show(&self.recorded.base).map_err(|e| e.to_string())?;
        self.stage.begin(Phase::Act);
        if way.goes_on {
            self.stage.hold();
        }
        let disk = &self.stage.disk;
        let before = disk.failed();
        match way.what {
            What::Once(failure) => disk.fail_at(at, failure, false),
            What::Lasting(failure) => disk.fail_at(at, failure, true),
            What::Read => disk.fail_read_at(at),
        }
        let result = guarded(|| (self.script.act)(&self.stage));
        self.stage.disk.calm();
        let _ = self.stage.acknowledgements();
        if self.stage.disk.failed() == before {
            return Ok(());
        }
        self.tally.faults += 1;
        let result = result?;
        if let Err(e) = &result
            && e.kind != ErrorKind::Unavailable
        {
            return Err(format!("answers {:?} {}: {e}", e.kind, e.code));
        }
        if way.goes_on {
            self.stage.begin(Phase::Again);
            self.repeat()?;
            self.stage.let_go();
            return self.follow();
        }
        // Read past SQLite, so only where nobody has anything open.
        self.stage.disk.record();
        let image = self.stage.disk.image();
        self.stage.disk.calm();
        let key = self.looking.key(&image)?;
        if result.is_ok() && self.recorded.said.last() != Some(&key) {
            return Err("answers that all is well, and it is not done".into());
        }
        if !self.recorded.said.contains(&key) {
            return Err("the databases say what they never said in the undisturbed run".into());
        }
        self.follow()
    }
}
