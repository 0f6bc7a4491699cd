//! A diff as a page for a browser, complete in itself: no script, no address, nothing fetched.
//!
//! Invariant: every name and value is escaped; a page never runs or loads what a cell holds.
use super::words::{Run, compare};
use super::{Rendering, shown_cells};
use crate::output::Output;
use crate::plain_text::{self, Extent};
use mainstem::Result;
use mainstem_core::change::{Change, Edit, Shape};
use mainstem_core::value::Value;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
h2{margin-top:2rem}article{border:1px solid #8886;border-radius:6px;margin:.8rem 0;overflow:auto}\
h3{font-size:1rem;margin:0;padding:.4rem .8rem;background:#8882}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem;border-top:1px solid #8884}thead th{font-weight:normal;opacity:.7}\
td{font-family:ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\
ins,.after{background:#2a04;text-decoration:none}del,.before{background:#d334}del{text-decoration:line-through}\
.insert h3{border-left:6px solid #2a0}.update h3{border-left:6px solid #c80}.delete h3{border-left:6px solid #d33}";

/// Shows changes as a page.
pub struct AsHtml {
    title: String,
    table: Option<String>,
    count: u64,
}

impl AsHtml {
    /// A page of that title.
    pub fn new(title: &str) -> Self {
        AsHtml { title: title.to_string(), table: None, count: 0 }
    }
}

impl Rendering for AsHtml {
    fn begin(&mut self, out: &mut Output) -> Result<()> {
        let title = escape(&plain_text::name(&self.title));
        out.line(format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>"
        ))
    }
    fn change(&mut self, out: &mut Output, shape: &Shape, change: &Change) -> Result<()> {
        self.count += 1;
        if self.table.as_ref() != Some(&shape.table) {
            self.table = Some(shape.table.clone());
            out.line(format_args!("<h2>{}</h2>", escape(&plain_text::name(&shape.table))))?;
        }
        out.line(article(shape, change))
    }
    fn end(&mut self, out: &mut Output) -> Result<()> {
        let rows = plain_text::count(self.count, "row", "rows");
        out.line(format_args!("<p>{rows} changed.</p>\n</body></html>"))
    }
}

fn article(shape: &Shape, change: &Change) -> String {
    let kind = change.edit.name();
    let was = change.moved_from.as_ref().map_or(String::new(), |k| format!(" (was {})", plain_text::key(k)));
    let key = escape(&format!("{}{was}", plain_text::key(&change.key)));
    let mut text = format!("<article class=\"{kind}\"><h3>{key} · {kind}</h3>\n<table>");
    if matches!(change.edit, Edit::Update(_)) {
        text.push_str("<thead><tr><th>column</th><th>before</th><th>after</th></tr></thead>");
    }
    for (column, before, after) in shown_cells(shape, &change.edit) {
        let column = escape(&plain_text::name(column));
        text.push_str(&format!("\n<tr><th>{column}</th>{}</tr>", cells(before, after)));
    }
    text + "\n</table></article>"
}

fn cells(before: Option<&Value>, after: Option<&Value>) -> String {
    let shown = |v: &Value| escape(&plain_text::value(v, Extent::Full));
    match (before, after) {
        (Some(Value::Text(b)), Some(Value::Text(a))) => {
            if let (Ok(b), Ok(a)) = (std::str::from_utf8(b), std::str::from_utf8(a)) {
                let runs = compare(b, a);
                return format!("<td>'{}'</td><td>'{}'</td>", side(&runs, true), side(&runs, false));
            }
        }
        (Some(v), None) => return format!("<td class=\"before\">{}</td>", shown(v)),
        (None, Some(v)) => return format!("<td class=\"after\">{}</td>", shown(v)),
        _ => {}
    }
    let cell = |v: Option<&Value>, class: &str| format!("<td class=\"{class}\">{}</td>", v.map_or(String::new(), shown));
    cell(before, "before") + &cell(after, "after")
}

fn side(runs: &[Run<'_>], is_before: bool) -> String {
    let visible = |t: &str| escape(&plain_text::text(t.as_bytes(), Extent::Full));
    let mut text = String::new();
    for run in runs {
        match run {
            Run::Same(t) => text.push_str(&visible(t)),
            Run::Removed(t) if is_before => text.push_str(&format!("<del>{}</del>", visible(t))),
            Run::Added(t) if !is_before => text.push_str(&format!("<ins>{}</ins>", visible(t))),
            _ => {}
        }
    }
    text
}

/// The text with everything that HTML reads as something else escaped, inside elements and inside quoted attributes.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
