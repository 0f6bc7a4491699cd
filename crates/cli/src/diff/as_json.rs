//! A diff as a JSON list of changes, one per line.
use super::Rendering;
use crate::json;
use crate::output::{JsonList, Output};
use mainstem::Result;
use mainstem_core::change::{Change, Shape};

/// Shows changes as JSON.
#[derive(Debug, Default)]
pub struct AsJson {
    list: Option<JsonList>,
}

impl Rendering for AsJson {
    fn begin(&mut self, out: &mut Output) -> Result<()> {
        self.list = Some(JsonList::begin(out)?);
        Ok(())
    }
    fn change(&mut self, out: &mut Output, shape: &Shape, change: &Change) -> Result<()> {
        let list = self.list.as_mut().expect("begin was called first");
        list.push(out, &json::change(shape, change))
    }
    fn end(&mut self, out: &mut Output) -> Result<()> {
        self.list.take().expect("begin was called first").end(out)?;
        out.line("")
    }
}
