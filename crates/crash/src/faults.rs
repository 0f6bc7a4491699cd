//! Lets the disk fail at one operation after the other, and goes on in the same process when it works again.
use crate::play::{Effort, Play, guarded};
use crate::stage::Phase;
use crate::states::sample;
use mainstem::core::ErrorKind;
use mainstem_disk::Failure;

/// A way of failing.
#[derive(Clone, Copy, Debug)]
struct Way {
    failure: Failure,
    /// True where the disk goes on failing until it is mended.
    lasts: bool,
    /// True where the program goes on with what it had open.
    goes_on: bool,
}

const WAYS: [Way; 5] = [
    Way { failure: Failure::Io, lasts: false, goes_on: false },
    Way { failure: Failure::Io, lasts: false, goes_on: true },
    Way { failure: Failure::Io, lasts: true, goes_on: false },
    Way { failure: Failure::Full, lasts: false, goes_on: true },
    Way { failure: Failure::Full, lasts: true, goes_on: false },
];

impl Play {
    /// Plays with a failing disk.
    pub fn fail_disk(&mut self, effort: Effort) {
        let counted = self.recorded.operations.iter().filter(|operation| operation.act.is_counted()).count() as u64;
        let places: Vec<u64> = (1..=counted).collect();
        for at in sample(&places, effort.faults) {
            for way in WAYS {
                let outcome = self.fail_once(at, way);
                self.stage.let_go();
                if let Err(why) = outcome {
                    self.fail(format!("operation {at} fails, {way:?}"), why);
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
        let before = self.stage.disk.failed();
        self.stage.disk.fail_at(at, way.failure, way.lasts);
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
