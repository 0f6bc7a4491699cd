//! `mainstem review`.
use crate::catalog::Catalog;
use crate::diff::{AsJson, FormArguments, Rendering, RowFilter};
use crate::exit_codes::Exit;
use crate::key_argument::KeyArgument;
use crate::output::Output;
use crate::review_pages::ProposalPages;
use crate::wiring::Session;
use crate::{review_text, review_view};
use mainstem::Result;
use mainstem::primary::{Pages, Primary};
use mainstem::review::{By, Judged};
use mainstem_core::ErrorKind;

/// Shows a proposal: what merging it would do, cell by cell, what was said, and what is missing
///
/// What is shown is what a vote and a merge from this copy are about afterwards: if merging would do something else by then,
/// they are refused. Of many changes, the first are shown; -n and --after show more.
///
/// Examples:
///   mainstem review 3
///   mainstem review 3 price 17
///   mainstem review 3 -n 1000 --after 1000
///   mainstem review 3 --summary
///   mainstem review 3 --html -o review.html
///   mainstem review 3 --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Review {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// Only this table
    #[arg(value_name = "TABLE")]
    table: Option<String>,
    /// Only this row
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    /// Show at most this many rows [default: 100; of --json, --html and --sql: all]
    #[arg(short = 'n', value_name = "COUNT")]
    limit: Option<u64>,
    /// Leave out this many rows first
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    after: u64,
    /// Leave the rows out
    #[arg(long)]
    summary: bool,
    #[command(flatten)]
    form: FormArguments,
}

/// Rows that a terminal shows at once.
const ROWS_SHOWN: u64 = 100;

impl Review {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        let judged = self.found(&mut session.out, primary.as_mut(), by)?;
        let table = self.table.as_ref().map(|t| Catalog::open(&opened.path)?.table(t)).transpose()?;
        let filter = RowFilter { table, key: self.key.clone().map(KeyArgument) };
        let is_json = session.out.is_json();
        let mut file = self.form.sink(is_json)?;
        let out = file.as_mut().unwrap_or(&mut session.out);
        if is_json {
            let head = review_view::judged(&judged).to_string();
            let head = head.strip_suffix('}').unwrap_or(&head);
            out.write(format_args!("{},\"changes\":", head))?;
        } else if !self.form.is_bare() {
            review_text::summary(out, &judged)?;
            review_text::since(out, primary.as_mut(), &judged, &actor)?;
            review_text::discussion(out, &judged)?;
        }
        self.show_changes(out, primary.as_mut(), &judged, &filter)?;
        if is_json {
            out.line("}")?;
        } else if !self.form.is_bare() {
            review_text::next(out, &judged)?;
        }
        out.flush()?;
        if let Some(assessment) = &judged.assessment {
            opened.replica.note_shown(self.id, assessment.revision, &assessment.digest)?;
        }
        Ok(Exit::Done)
    }

    /// How it stands. What was offered is shown at once where it takes a while to find what merging it does.
    fn found(&self, out: &mut Output, primary: &mut dyn Primary, by: By<'_>) -> Result<Judged> {
        match primary.proposal_at_once(self.id, by)? {
            Some(judged) if !judged.is_unfound() => return Ok(judged),
            Some(judged) if !out.is_json() && !self.form.is_bare() => {
                review_text::offered(out, &judged)?;
                out.flush()?;
            }
            _ => {}
        }
        review_text::found(primary, self.id, by)
    }

    fn show_changes(&self, out: &mut Output, primary: &mut dyn Primary, judged: &Judged, filter: &RowFilter) -> Result<()> {
        let is_bare = out.is_json() || self.form.is_bare();
        let mut rendering: Box<dyn Rendering> = match self.summary {
            true if !out.is_json() => return Ok(()),
            true => Box::new(AsJson::default()),
            false => self.form.rendering(out.is_json(), &format!("Proposal {}", self.id)),
        };
        let limit = self.limit.unwrap_or(if is_bare { u64::MAX } else { ROWS_SHOWN });
        rendering.begin(out)?;
        let (mut met, mut shown) = (0, 0);
        let mut pages = match ProposalPages::new(primary, judged) {
            _ if self.summary => return rendering.end(out),
            Err(e) if e.kind == ErrorKind::NotFound && !is_bare => return out.line(e.message),
            pages => pages?,
        };
        while let Some(changes) = pages.next()? {
            for change in &changes {
                let shape = &pages.shapes()[change.table];
                if !filter.keeps(shape, change)? {
                    continue;
                }
                met += 1;
                if met > self.after && shown < limit {
                    shown += 1;
                    rendering.change(out, shape, change)?;
                }
            }
        }
        rendering.end(out)?;
        if !is_bare && met > self.after + shown {
            let next = out.suggest(&format!("mainstem review {} --after {}", self.id, self.after + shown));
            out.line(format_args!("{} of {met} rows; more: {next}", shown))?;
        }
        Ok(())
    }
}
