//! `mainstem demo`.
use crate::demo_stage::Stage;
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::Result;
use std::path::PathBuf;

/// Plays a story: two people edit apart and come together, nothing lost
///
/// It makes a folder with a primary and two replicas, runs the commands it shows, and leaves the files to play with.
///
/// Examples:
///   mainstem demo
///   mainstem demo --dir /tmp/recipes
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Demo {
    /// The folder to make; it must not exist
    #[arg(long = "dir", value_name = "FOLDER", default_value = "mainstem-demo")]
    folder: PathBuf,
}

const BOOK: &str = "
CREATE TABLE cook (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE recipe (id INTEGER PRIMARY KEY, title TEXT NOT NULL, cook_id INTEGER REFERENCES cook(id),
                     serves INTEGER, note TEXT);
CREATE TABLE ingredient (recipe_id INTEGER NOT NULL REFERENCES recipe(id), line INTEGER, amount TEXT,
                         what TEXT NOT NULL, PRIMARY KEY (recipe_id, line));
INSERT INTO cook VALUES (1, 'Ann'), (2, 'Ben');
INSERT INTO recipe VALUES (1, 'Pancakes', 1, 2, NULL), (2, 'Potato soup', 1, 4, 'Boil for 20 minutes.'),
                          (3, 'Lentil stew', 2, 4, NULL);
INSERT INTO ingredient VALUES (1, 1, '200 g', 'flour'), (1, 2, '2', 'eggs'), (2, 1, '1 kg', 'potatoes'),
                              (2, 2, '1', 'onion'), (3, 1, '300 g', 'lentils');";

impl Demo {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut stage = Stage::build(session, &self.folder)?;
        begin(&mut stage)?;
        apart(&mut stage)?;
        together(&mut stage)?;
        agree(&mut stage)?;
        stage.farewell()?;
        Ok(Exit::Done)
    }
}

fn begin(stage: &mut Stage<'_>) -> Result<()> {
    stage.chapter("1. Ann has a recipe book: an ordinary SQLite file. She tracks it and publishes it.")?;
    stage.sql_quietly("ann.db", BOOK)?;
    stage.mainstem(&["init", "{}/ann.db", "--as", "ann"])?;
    stage.mainstem(&["--db", "{}/ann.db", "publish", "{}/primary", "--dataset", "recipes"])?;
    stage.say("A title should be decided by people, so the policy keeps clashes in it open:")?;
    stage.mainstem(&["--db", "{}/ann.db", "policy", "set", "recipe.title.strategy", "manual"])?;
    stage.say("Ben takes a copy.")?;
    stage.mainstem(&["clone", "{}/primary", "{}/ben.db", "--as", "ben"])
}

fn apart(stage: &mut Stage<'_>) -> Result<()> {
    stage.chapter("2. Both are offline now, and edit with whatever program they like. Here it is plain SQL.")?;
    stage.say("Ann: more pancakes, a better title for the soup, and a new recipe. Her program numbers it 4.")?;
    stage.sql("ann.db", "UPDATE recipe SET serves = 6 WHERE id = 1;")?;
    stage.sql("ann.db", "UPDATE recipe SET title = 'Potato soup with leek' WHERE id = 2;")?;
    stage.sql("ann.db", "INSERT INTO recipe VALUES (4, 'Apple cake', 1, 12, NULL);")?;
    stage.sql("ann.db", "INSERT INTO ingredient VALUES (4, 1, '6', 'apples'), (4, 2, '250 g', 'flour');")?;
    stage.say("Ben: a note for the same pancakes, another title for the same soup, and a recipe of his own, also number 4.")?;
    stage.sql("ben.db", "UPDATE recipe SET note = 'Let the batter rest.' WHERE id = 1;")?;
    stage.sql("ben.db", "UPDATE recipe SET title = 'Grandmother''s potato soup' WHERE id = 2;")?;
    stage.sql("ben.db", "INSERT INTO recipe VALUES (4, 'Rye bread', 2, 10, NULL);")?;
    stage.sql("ben.db", "INSERT INTO ingredient VALUES (4, 1, '500 g', 'rye flour'), (4, 2, '10 g', 'salt');")?;
    stage.say("Mainstem saw each edit, cell by cell:")?;
    stage.mainstem(&["--db", "{}/ben.db", "status"])
}

fn together(stage: &mut Stage<'_>) -> Result<()> {
    stage.chapter("3. They come together. Ann syncs first, then Ben, then Ann again.")?;
    stage.mainstem(&["--db", "{}/ann.db", "sync"])?;
    stage.mainstem(&["--db", "{}/ben.db", "sync"])?;
    stage.mainstem(&["--db", "{}/ann.db", "sync"])?;
    stage.say("The pancakes have Ann's number and Ben's note. Both new recipes are there, each with its own ingredients:")?;
    stage.query(
        "ben.db",
        "SELECT r.id, r.title, r.serves, r.note, group_concat(i.what, ', ') FROM recipe r
         LEFT JOIN ingredient i ON i.recipe_id = r.id GROUP BY r.id ORDER BY r.id;",
    )?;
    stage.say("Only the soup's title cannot be both. Neither is lost; it waits for an answer:")?;
    stage.mainstem(&["--db", "{}/ann.db", "conflicts"])
}

fn agree(stage: &mut Stage<'_>) -> Result<()> {
    stage.chapter("4. Ann answers with the best of both, and they sync once more.")?;
    let id = stage.first_conflict("ann.db")?;
    let title = "Grandmother's potato soup with leek";
    stage.mainstem(&["--db", "{}/ann.db", "resolve", &id, "--value", title])?;
    stage.mainstem(&["--db", "{}/ann.db", "sync"])?;
    stage.mainstem(&["--db", "{}/ben.db", "sync"])?;
    stage.say("Both copies are the same to the byte, and say so by their digests:")?;
    stage.mainstem(&["--db", "{}/ann.db", "verify"])?;
    stage.mainstem(&["--db", "{}/ben.db", "verify"])?;
    stage.query("ben.db", "SELECT id, title FROM recipe ORDER BY id;")
}
