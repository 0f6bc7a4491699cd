//! Lets the disk fail at one operation after the other, and goes on in the same process when it works again.
use crate::play::{Effort, Play, guarded};
use crate::stage::Phase;
use crate::states::sample;
use mainstem::core::ErrorKind;
use mainstem_disk::Failure;

/// The ways of failing: how, and whether the disk goes on failing.
const WAYS: [(Failure, bool); 4] = [(Failure::Io, false), (Failure::Io, true), (Failure::Full, false), (Failure::Full, true)];

impl Play {
    /// Plays with a failing disk.
    pub fn fail_disk(&mut self, effort: Effort) {
        let counted = self.recorded.operations.iter().filter(|operation| operation.act.is_counted()).count() as u64;
        let places: Vec<u64> = (1..=counted).collect();
        for at in sample(&places, effort.faults) {
            for (failure, lasting) in WAYS {
                let how = if lasting { "from there on" } else { "once" };
                if let Err(why) = self.fail_once(at, failure, lasting) {
                    self.fail(format!("{failure:?} error at operation {at}, {how}"), why);
                }
            }
        }
    }

    fn fail_once(&mut self, at: u64, failure: Failure, lasting: bool) -> Result<(), String> {
        self.stage.show(&self.recorded.base).map_err(|e| e.to_string())?;
        self.stage.begin(Phase::Act);
        let before = self.stage.disk.failed();
        self.stage.disk.fail_at(at, failure, lasting);
        let result = guarded(|| (self.script.act)(&self.stage));
        self.stage.disk.calm();
        let _ = self.stage.acknowledgements();
        if self.stage.disk.failed() == before {
            return Ok(());
        }
        self.tally.faults += 1;
        self.stage.disk.record();
        let image = self.stage.disk.image();
        self.stage.disk.calm();
        let key = self.looking.key(&image)?;
        match result? {
            Ok(()) if self.recorded.said.last() != Some(&key) => return Err("answers that all is well, and it is not done".into()),
            Err(e) if e.kind != ErrorKind::Unavailable => return Err(format!("answers {:?} {}: {e}", e.kind, e.code)),
            _ => {}
        }
        if !self.recorded.said.contains(&key) {
            return Err("the databases say what they never said in the undisturbed run".into());
        }
        self.follow()
    }
}
