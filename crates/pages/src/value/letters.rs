//! What letters are to a reader: seen, unseen, or seen as others.

/// What a reader sees of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Itself.
    Seen,
    /// Nothing, or something else than is there; what it is called.
    Unseen(&'static str),
    /// The end of a line.
    LineEnd,
    /// A tab.
    Tab,
    /// A space that nothing shows to be there.
    EdgeSpace,
}

/// What a reader sees of a character; `is_edge` where it is the first or the last of its text.
pub fn sort(c: char, is_edge: bool) -> Sort {
    let name = match u32::from(c) {
        0x0A => return Sort::LineEnd,
        0x09 => return Sort::Tab,
        0x20 if is_edge => return Sort::EdgeSpace,
        0x00..=0x1F | 0x7F..=0x9F => "control character",
        0x061C | 0x200E | 0x200F => "direction mark",
        0x202A | 0x202B | 0x2066 | 0x2067 | 0x2068 => "begins a run of another direction",
        0x202D | 0x202E => "turns the direction of what follows",
        0x202C | 0x2069 => "ends a run of another direction",
        0x200B | 0x2060 | 0xFEFF => "space without width",
        0x200C | 0x200D => "joins or parts letters without width",
        0x2061..=0x2065 | 0x206A..=0x206F | 0xFFF9..=0xFFFB | 0x180B..=0x180F | 0x1D173..=0x1D17A => "format character without width",
        0xAD => "hyphen that is seen at line ends alone",
        0x115F | 0x1160 | 0x3164 | 0xFFA0 | 0x17B4 | 0x17B5 | 0x2800 | 0x034F => "letter that is not seen",
        0xFE00..=0xFE0F | 0xE0100..=0xE01EF => "chooses another form of the letter before",
        0xE0000..=0xE007F => "tag that is not seen",
        0xA0 | 0x1680 | 0x2000..=0x200A | 0x202F | 0x205F | 0x3000 => "another space",
        0x2028 | 0x2029 => "another line end",
        0x0300..=0x036F | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F => "mark on the letter before",
        0xE000..=0xF8FF | 0xF0000..=0x10FFFF => "private character",
        0xFFF0..=0xFFF8 | 0xFFFD..=0xFFFF => "no character",
        code if code & 0xFFFE == 0xFFFE => "no character",
        _ => return Sort::Seen,
    };
    Sort::Unseen(name)
}

/// Letters of other scripts that look like Latin ones.
const LATIN_LOOKALIKES: &str = "АВЕЅІЈКМНОРСТУХѴаеіјорсухѕһԁԛԝѵΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανρτυικ";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Cherokee,
    Wide,
    Mathematical,
    Other,
}

fn script(c: char) -> Script {
    match u32::from(c) {
        0x41..=0x5A | 0x61..=0x7A | 0xAA | 0xBA | 0xC0..=0x24F | 0x1E00..=0x1EFF => Script::Latin,
        0x370..=0x3FF | 0x1F00..=0x1FFF => Script::Greek,
        0x400..=0x52F | 0x1C80..=0x1C8F | 0x2DE0..=0x2DFF | 0xA640..=0xA69F => Script::Cyrillic,
        0x531..=0x58F => Script::Armenian,
        0x13A0..=0x13FF | 0xAB70..=0xABBF => Script::Cherokee,
        0xFF01..=0xFF5E => Script::Wide,
        0x2100..=0x214F | 0x1D400..=0x1D7FF => Script::Mathematical,
        _ => Script::Other,
    }
}

/// What to beware of in a text: letters that are taken for others.
pub fn warnings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && script(c) == Script::Other).filter(|word| !word.is_ascii()) {
        let has = |wanted: Script| word.chars().any(|c| script(c) == wanted);
        let named =
            [(Script::Greek, "Greek"), (Script::Cyrillic, "Cyrillic"), (Script::Armenian, "Armenian"), (Script::Cherokee, "Cherokee")];
        let others: Vec<&str> = named.iter().filter(|(script, _)| has(*script)).map(|(_, name)| *name).collect();
        let letters = || word.chars().filter(|c| c.is_alphabetic());
        if has(Script::Latin) && !others.is_empty() {
            found.push(format!("mixes Latin and {} letters", others.join(" and ")));
        } else if others.len() > 1 {
            found.push(format!("mixes {} letters", others.join(" and ")));
        } else if !others.is_empty() && letters().all(|c| LATIN_LOOKALIKES.contains(c)) {
            found.push(format!("{} letters that look Latin", others[0]));
        }
        if has(Script::Wide) || has(Script::Mathematical) {
            found.push("letters in another form".to_string());
        }
    }
    found.sort();
    found.dedup();
    found
}
