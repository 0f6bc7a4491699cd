//! stub
#[derive(clap::Args, Debug)]
/// Examples:
pub struct Changeset {}
impl Changeset {
    pub fn run(&self, _: &mut crate::wiring::Session) -> mainstem::Result<crate::exit_codes::Exit> {
        Err(mainstem::Error::internal("x"))
    }
}
