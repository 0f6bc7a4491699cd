//! What was measured beside what was wanted, as one table for the terminal and for the documents.

/// One figure.
pub struct Figure {
    /// What it is about.
    pub what: String,
    /// The goal in words; empty where there is none.
    pub goal: String,
    /// What was measured, with its unit.
    pub measured: String,
    /// Measured divided by the goal's limit where less is better, the goal's limit divided by measured where more is.
    pub ratio: Option<f64>,
}

impl Figure {
    /// A figure of which less is better.
    pub fn at_most(what: impl Into<String>, limit: f64, measured: f64, unit: &str) -> Figure {
        let goal = format!("≤ {}{unit}", short(limit));
        Figure { what: what.into(), goal, measured: format!("{}{unit}", short(measured)), ratio: Some(measured / limit) }
    }

    /// A figure of which more is better.
    pub fn at_least(what: impl Into<String>, limit: f64, measured: f64, unit: &str) -> Figure {
        let goal = format!("≥ {}{unit}", short(limit));
        Figure { what: what.into(), goal, measured: format!("{}{unit}", short(measured)), ratio: Some(limit / measured) }
    }

    /// A figure without a goal, told for comparison.
    pub fn plain(what: impl Into<String>, measured: f64, unit: &str) -> Figure {
        Figure { what: what.into(), goal: String::new(), measured: format!("{}{unit}", short(measured)), ratio: None }
    }
}

/// A number with as many digits as it deserves.
fn short(number: f64) -> String {
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
    let mut text = String::from("| what | goal | measured | ratio to the goal |\n|---|---|---|---|\n");
    for figure in figures {
        let ratio = figure.ratio.map_or(String::new(), |r| format!("{r:.2}{}", if r > 1.0 { " missed" } else { "" }));
        text.push_str(&format!("| {} | {} | {} | {ratio} |\n", figure.what, figure.goal, figure.measured));
    }
    text
}
