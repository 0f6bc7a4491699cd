//! What a run did and how often each invariant was looked at: figures that add up over seeds.
use std::collections::BTreeMap;

/// Declares an enum whose variants are counted, with the name each is printed by.
macro_rules! counted {
    ($(#[$head:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$head])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &[$name] = &[$($name::$variant,)*];
            /// What it is printed by.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

counted! {
    /// The invariants of this simulator, by the ids of the catalogue of hazards (section 5).
    Invariant {
        /// What was acknowledged stays.
        Acknowledged = "I-2 acknowledged versions survive",
        /// What is captured is in the ledger, in the outbox, or kept for a person: no fourth place.
        Captured = "I-3 captured changes have a place",
        /// No state holds a value that nobody wrote.
        Written = "I-4 every value was written by somebody",
        /// A loser can be found.
        Retrievable = "I-5 losers are retrievable",
        /// A later write never loses to one its author knew.
        Causal = "I-6 later writes hold",
        /// Remote changes leave the outbox alone.
        Outbox = "I-7 receiving keeps the outbox",
        /// Work that may not be sent any more.
        Aside = "I-9 work survives the loss of a permission",
        /// Nobody's deletes.
        Deletes = "I-8 deletes were made by somebody",
        /// Everybody ends alike.
        Converged = "I-10 all copies equal the primary",
        /// Conflicts too.
        Conflicts = "I-11 all copies hold the same conflicts",
        /// Orders do not matter.
        Orders = "I-12 orders of arrival end alike",
        /// Digests from rows equal those that are kept.
        Digests = "I-13 digests equal stored rows",
        /// Then nothing moves.
        Rest = "I-14 traffic is zero at rest",
        /// No loops of success.
        Bounded = "I-15 traffic is bounded by edits",
        /// Nobody goes back in time.
        Forwards = "I-20 versions at a copy never go back",
        /// Half a version is never seen.
        Whole = "I-21 versions are seen whole",
        /// Causes come first.
        Causes = "I-22 what is seen is seen with its causes",
        /// Numbers without gaps.
        Sequence = "I-23 sequence numbers are gapless",
        /// Nothing is skipped.
        Delivered = "I-24 below the cursor nothing is missing",
        /// Twice is once.
        Idempotent = "I-25 receiving twice is receiving once",
        /// Rows and cursor move together.
        Together = "I-26 rows, cursor and conflicts move together",
        /// Captured equals scanned.
        Capture = "I-30 captured changes equal a full scan",
        /// Programs do not notice.
        Unnoticed = "I-31 statements answer as without capture",
        /// Triggers are there.
        Triggers = "I-32 capture is in place",
        /// Unseen writes are compared first.
        Reconciled = "I-33 unseen writes are found before a push",
        /// No echo.
        Silent = "I-34 received changes are not captured",
        /// What was rolled back is not there.
        RolledBack = "I-35 what was rolled back is not captured",
        /// Copies find out.
        Identity = "I-36 copies of one file get identities of their own",
        /// Both go on.
        Copies = "I-37 copies and rewound files keep their work",
        /// What copies hold comes back to a primary that went back.
        Returned = "I-38 what a restored primary lost is back",
        /// Strangers.
        Lineage = "I-39 strangers are refused",
        /// Nothing passes review by.
        Reviewed = "I-40 reviewed tables change by merges alone",
        /// Votes on exactly that, of others, enough of them, by the rules of now.
        Votes = "I-41, I-42, I-47 merges have the votes they need",
        /// Shown, voted on, merged: the same bytes.
        Shown = "I-43 what is merged is what was shown",
        /// The version and the word that it is merged.
        Atomic = "I-45 a proposal is merged with its version",
        /// Asked twice.
        Repeated = "I-46 a repeated request has one effect",
        /// Closing and talking.
        Intact = "I-48 what is not merged changes no row",
        /// It goes with its merge, and everything else is what others see.
        Held = "REV-9 what is kept for review is marked, and goes with its merge",
        /// What a version did is undone, and nothing else.
        Reverted = "I-49 a version taken back leaves what was before it",
        /// The chain of hashes.
        Chain = "I-50 the ledger's chain verifies",
        /// One history.
        History = "I-51 remembered heads are ancestors",
        /// Nobody sees more.
        Permitted = "I-52 nothing is told that may not be seen",
        /// Nobody changes what is another's.
        Untouched = "I-53 nobody changes what is another's",
        /// Everybody sees what they may.
        Visible = "I-54 a part is what it asks for and may see",
        /// Nothing is forgotten too early.
        Buried = "I-60 tombstones wait for every replica",
        /// Deleted rows.
        Deleted = "I-61 deleted rows stay deleted",
        /// One row after another.
        Incarnation = "I-62 a row has cells of one row only",
        /// No creates from behind the horizon.
        Creates = "I-63 who began again makes nothing anew",
        /// A cleanup takes nothing that counts.
        Collected = "I-64 a cleanup changes no digest",
        /// Opens and is sound.
        Sound = "I-70 files open and are sound",
        /// Limits.
        Limits = "I-73 answers, logs and open files are bounded",
        /// Nothing goes on for ever.
        Terminates = "I-74 a sync takes a bounded number of calls",
        /// One bad change.
        Unblocked = "I-75 a conflict blocks nothing else",
        /// Empty outboxes.
        Drained = "I-76 outboxes are empty after three rounds",
        /// No panics.
        Calm = "I-77 no panic and no unexpected failure",
        /// No stamp from the future.
        Stamps = "G2 stamps keep to the primary's clock",
        /// Numbers are given once.
        Numbers = "C9 numbers that were given are not given again",
        /// Twice the same.
        Determined = "I-78 a seed gives one run",
    }
}

counted! {
    /// Situations that a run of some length must reach (section 4.6 of the catalogue, what applies without a server).
    Situation {
        PowerCut = "power cut between two writes",
        Killed = "process killed between two writes",
        DiskFull = "disk full",
        DiskError = "disk error",
        Cleanup = "tombstones and history collected",
        CleanupIdle = "cleanup with nothing to do",
        Away = "away for 400 days",
        SameCell = "same-cell conflict",
        DeleteAgainstUpdate = "delete against update",
        CreateAgainstCreate = "two rows with one key",
        UniqueClash = "unique clash",
        MissingParent = "parent deleted under a new child",
        ConstraintClash = "combination refused by a constraint",
        SchemaBoth = "schema changed on a copy",
        SplitVersion = "version split over pulls",
        LostAnswer = "answer lost after effect",
        LostRequest = "request lost",
        DoubleRequest = "request doubled",
        LateRequest = "request arrives after others",
        OldAnswer = "answer of an earlier request",
        Meanwhile = "others at work between two requests",
        CutOff = "cut off from the primary",
        Restarted = "primary restarted",
        Granted = "role given",
        Revoked = "role taken, or only to read",
        Rescoped = "scope changed",
        Probed = "everything tried by who may see a part",
        Reseeded = "began again from a snapshot",
        Restored = "primary restored from a backup",
        WentBack = "primary put back without a word",
        DoubleAnswer = "answer received twice or late",
        GapAnswer = "answer after a gap",
        TruncatedAnswer = "answer cut short",
        ClonedFile = "file copied, both go on",
        Rewound = "file rewound in place",
        Swapped = "file swapped for an older one",
        Recloned = "new clone",
        Renumbered = "row renumbered",
        Waiting = "child waits for its parent",
        ClockBack = "clock jumps back",
        ClockFuture = "far-future clock refused",
        PolicyChanged = "policy changed",
        Resolved = "conflict answered by a person",
        Unseen = "write with triggers off",
        Direct = "write straight at the primary",
        NullKey = "NULL in a key",
        NulText = "U+0000 in a text",
        InvalidText = "invalid UTF-8 in a text",
        NegativeZero = "-0.0",
        IntegerEnds = "ends of int64",
        LongValue = "value above 10 MB",
        Stashed = "work put aside and laid on again",
        Stranger = "stranger refused",
        Disorder = "push out of turn",
        WideText = "UTF-16 file",
        FailedStatement = "statement that fails",
        ReplacedRow = "row replaced",
        MovedKey = "key moved",
        ManyColumns = "table of many columns",
        LargeQueue = "queue of 10,000 changes",
        Reverted = "version taken back",
        Proposed = "changes offered for review",
        Voted = "vote on a proposal",
        MergedByVotes = "proposal merged by its votes",
        MergedByForce = "proposal merged by force",
        ClosedProposal = "proposal rejected or withdrawn",
        Reopened = "proposal opened again",
        Divided = "proposal accepted in part",
        Answered = "conflicts of a proposal answered",
        TakenBack = "proposal taken back on its author's copy",
        KeptAtEnd = "changes kept for review when faults stop",
    }
}

/// Figures of a run, or of many.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Runs.
    pub seeds: u64,
    /// Statements of programs, and steps of the schedule.
    pub operations: u64,
    /// Milliseconds that passed in the simulated world.
    pub simulated_ms: u64,
    /// How often each invariant was evaluated.
    pub checks: BTreeMap<Invariant, u64>,
    /// How often each situation was reached.
    pub situations: BTreeMap<Situation, u64>,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts an evaluation.
    pub fn check(&mut self, invariant: Invariant) {
        *self.checks.entry(invariant).or_default() += 1;
    }
    /// Counts a situation.
    pub fn reach(&mut self, situation: Situation) {
        *self.situations.entry(situation).or_default() += 1;
    }
    /// Counts a fault.
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }
    /// Adds another's figures.
    pub fn add(&mut self, other: &Tally) {
        self.seeds += other.seeds;
        self.operations += other.operations;
        self.simulated_ms += other.simulated_ms;
        other.checks.iter().for_each(|(key, n)| *self.checks.entry(*key).or_default() += n);
        other.situations.iter().for_each(|(key, n)| *self.situations.entry(*key).or_default() += n);
        other.faults.iter().for_each(|(key, n)| *self.faults.entry(key).or_default() += n);
    }
}

/// An invariant that does not hold, and how that shows.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// Which.
    pub invariant: Invariant,
    /// What was seen. Its first words, up to a colon, are the reason by which a smaller tape must fail too.
    pub why: String,
}

impl Wrong {
    /// A violation.
    pub fn new(invariant: Invariant, why: impl Into<String>) -> Wrong {
        Wrong { invariant, why: why.into() }
    }
    /// The same, with more to say at its end.
    pub fn at(mut self, place: impl std::fmt::Display) -> Wrong {
        self.why.push_str(&format!(" ({place})"));
        self
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.why)
    }
}

/// What a check answers.
pub type Verdict<T = ()> = Result<T, Wrong>;
