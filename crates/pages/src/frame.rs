//! What is around every page: its head, where one is, who is signed in, and what came of the last action.
use crate::asset::{ICON, SCRIPT, STYLE};
use crate::notice::Notice;

/// What people chose between light and dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As their system says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Every choice.
    pub const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];
    /// Its name in a form and in a cookie.
    pub fn name(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
    /// The choice of that name.
    pub fn parse(name: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.name() == name)
    }
    fn title(self) -> &'static str {
        match self {
            Theme::System => "As the system",
            Theme::Light => "Light",
            Theme::Dark => "Dark",
        }
    }
}

/// Who is signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Whether they administer the server.
    pub is_administrator: bool,
    /// What limits the token they signed in with, where anything does.
    pub limit: Option<String>,
}

/// A part of the way to a page, or of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it says.
    pub text: String,
    /// Where it leads.
    pub to: String,
    /// How many things wait there.
    pub count: Option<u64>,
    /// Whether it leads to the page that one is on.
    pub is_here: bool,
}

impl Link {
    /// A link.
    pub fn to(text: impl Into<String>, to: impl Into<String>) -> Link {
        Link { text: text.into(), to: to.into(), count: None, is_here: false }
    }
}

/// What is around a page.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The page's title.
    pub title: String,
    /// Who is signed in.
    pub person: Option<Person>,
    /// What every form says, so that no other site can send one in this person's name.
    pub form_key: String,
    /// Light or dark.
    pub theme: Theme,
    /// The page's own path and query, to come back to.
    pub path: String,
    /// The way to the page.
    pub way: Vec<Link>,
    /// The other pages of what it belongs to.
    pub tabs: Vec<Link>,
    /// What came of the last action.
    pub notice: Option<Notice>,
    /// Where the page hears that something changed.
    pub live: Option<String>,
}

impl Frame {
    pub(crate) fn style(&self) -> &'static str {
        &STYLE.name
    }
    pub(crate) fn script(&self) -> &'static str {
        &SCRIPT.name
    }
    pub(crate) fn icon(&self) -> &'static str {
        &ICON.name
    }
    /// Each choice of colours: its name, its title, and whether it is made.
    pub(crate) fn themes(&self) -> [(&'static str, &'static str, bool); 3] {
        Theme::ALL.map(|theme| (theme.name(), theme.title(), theme == self.theme))
    }
}
