//! What was measured beside what was wanted and what others need, as one table for the terminal and for the documents.

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Goal {
    /// Nothing is wanted; told for comparison.
    Open,
    /// Less is better.
    AtMost(f64),
    /// More is better.
    AtLeast(f64),
}

/// Somebody else on the same work, in the figure's own unit.
pub struct Peer {
    /// Who.
    pub name: String,
    /// What was measured.
    pub measured: f64,
}

/// One figure.
pub struct Figure {
    /// A short name, unique in the table.
    pub name: String,
    /// What else is to be said, such as the two sides of a ratio.
    pub detail: String,
    /// What it should be.
    pub goal: Goal,
    /// What was measured, by CPU seconds where it is about time.
    pub measured: f64,
    /// The same by the clock on the wall.
    pub wall: Option<f64>,
    /// The unit of all of these.
    pub unit: &'static str,
    /// Others.
    pub peers: Vec<Peer>,
}

impl Figure {
    /// A figure without a goal.
    pub fn new(name: impl Into<String>, measured: f64, unit: &'static str) -> Figure {
        Figure { name: name.into(), detail: String::new(), goal: Goal::Open, measured, wall: None, unit, peers: Vec::new() }
    }

    /// A figure of which less is better.
    pub fn at_most(name: impl Into<String>, limit: f64, measured: f64, unit: &'static str) -> Figure {
        Figure { goal: Goal::AtMost(limit), ..Figure::new(name, measured, unit) }
    }

    /// A figure of which more is better.
    pub fn at_least(name: impl Into<String>, limit: f64, measured: f64, unit: &'static str) -> Figure {
        Figure { goal: Goal::AtLeast(limit), ..Figure::new(name, measured, unit) }
    }

    /// With more said about it.
    pub fn detail(self, detail: impl Into<String>) -> Figure {
        Figure { detail: detail.into(), ..self }
    }

    /// With what the clock on the wall says.
    pub fn wall(self, wall: f64) -> Figure {
        Figure { wall: Some(wall), ..self }
    }

    /// Beside somebody else.
    pub fn peer(mut self, name: impl Into<String>, measured: f64) -> Figure {
        self.peers.push(Peer { name: name.into(), measured });
        self
    }

    /// Measured divided by the goal where less is better, the goal divided by measured where more is.
    pub fn ratio(&self) -> Option<f64> {
        match self.goal {
            Goal::Open => None,
            Goal::AtMost(limit) => Some(self.measured / limit),
            Goal::AtLeast(limit) => Some(limit / self.measured),
        }
    }

    /// How many times ours a peer needs: above one, we are ahead of it.
    pub fn beside(&self, peer: &Peer) -> f64 {
        match self.goal {
            Goal::AtLeast(_) => self.measured / peer.measured,
            _ => peer.measured / self.measured,
        }
    }

    fn row(&self) -> String {
        let Figure { name, detail, unit, .. } = self;
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let goal = match self.goal {
            Goal::Open => String::new(),
            Goal::AtMost(limit) => format!("≤ {}{unit}", short(limit)),
            Goal::AtLeast(limit) => format!("≥ {}{unit}", short(limit)),
        };
        let measured = short(self.measured);
        let wall = self.wall.map_or(String::new(), |wall| format!("{}{unit}", short(wall)));
        let ratio = self.ratio().map_or(String::new(), |r| format!("{r:.2}{}", if r > 1.0 { " missed" } else { "" }));
        let peer = |peer: &Peer| format!("{} {}{unit} ({}×)", peer.name, short(peer.measured), short(self.beside(peer)));
        let peers: Vec<String> = self.peers.iter().map(peer).collect();
        format!("| {name}{detail} | {goal} | {measured}{unit} | {wall} | {ratio} | {} |\n", peers.join(", "))
    }
}

/// A number with as many digits as it deserves.
pub fn short(number: f64) -> String {
    match number.abs() {
        n if n >= 1_000.0 => {
            let digits = format!("{n:.0}");
            let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).expect("digits")).collect();
            groups.join(",")
        }
        n if n >= 100.0 => format!("{number:.0}"),
        n if n >= 10.0 => format!("{number:.1}"),
        n if n >= 0.1 || n == 0.0 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

/// The table in Markdown. A ratio of 1.00 or less means that the goal is met.
pub fn table(figures: &[Figure]) -> String {
    let head = "| what | goal | measured (CPU) | wall | ratio to the goal | peers (how many times ours) |\n|---|---|---|---|---|---|\n";
    figures.iter().fold(head.to_string(), |text, figure| text + &figure.row())
}
