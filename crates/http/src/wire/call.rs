//! The calls of the replica protocol: one for each method of [`mainstem::primary::Primary`], and what is done over HTTP only.
//!
//! A request's first frame holds the arguments; a push's further frames are its pages. An answer's last frame holds the
//! result; what comes in many pieces (rows, tombstones, findings, conflicts) is in the frames before it.

macro_rules! calls {
    ($($variant:ident = $name:literal,)*) => {
        /// A call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Call { $(#[doc = $name] $variant,)* }
        impl Call {
            /// Every call.
            pub const ALL: &[Call] = &[$(Call::$variant,)*];
            /// Its name in addresses.
            pub fn name(self) -> &'static str {
                match self { $(Call::$variant => $name,)* }
            }
        }
    };
}

calls! {
    Describe = "describe",
    Wait = "wait",
    Push = "push",
    Pull = "pull",
    Snapshot = "snapshot",
    FindWrite = "find-write",
    VersionHash = "version-hash",
    Version = "version",
    Page = "page",
    Rows = "rows",
    RowsOf = "rows-of",
    Schema = "schema",
    RowHistory = "row-history",
    Touches = "touches",
    Blame = "blame",
    Events = "events",
    Examine = "examine",
    Chronicle = "chronicle",
    Conflicts = "conflicts",
    BeginEpoch = "begin-epoch",
    SetPolicy = "set-policy",
    Seen = "seen",
    Replicas = "replicas",
    Tombstones = "tombstones",
    DeletedSince = "deleted-since",
    Cleanup = "cleanup",
    Found = "found",
    Propose = "propose",
    Act = "act",
    Merge = "merge",
    Proposals = "proposals",
    Proposal = "proposal",
    ShownPage = "shown-page",
    StagedPage = "staged-page",
    FindRevision = "find-revision",
    Answer = "answer",
    AcceptPart = "accept-part",
    ProposeRevert = "propose-revert",
    Staging = "staging",
    CleanStaging = "clean-staging",
    ProposalAtOnce = "proposal-at-once",
    Differing = "differing",
}
