//! Whether what is written can be read: each pair of text and ground of the style, light and dark.
use mainstem_pages::asset::STYLE;
use std::collections::BTreeMap;

/// The least contrast of text, as WCAG 2.2 has it for AA.
const TEXT: f64 = 4.5;
/// That of what is no text: borders of fields, the ring around what has the focus.
const SHAPE: f64 = 3.0;

const PAIRS: &[(&str, &str, f64)] = &[
    ("text", "ground", TEXT),
    ("text", "panel", TEXT),
    ("text", "raised", TEXT),
    ("quiet", "ground", TEXT),
    ("quiet", "panel", TEXT),
    ("quiet", "raised", TEXT),
    ("link", "ground", TEXT),
    ("link", "panel", TEXT),
    ("link", "raised", TEXT),
    ("link", "warn-ground", TEXT),
    ("on-main", "main", TEXT),
    ("good", "good-ground", TEXT),
    ("bad", "bad-ground", TEXT),
    ("warn", "warn-ground", TEXT),
    ("mark", "mark-ground", TEXT),
    ("text", "good-ground", TEXT),
    ("text", "bad-ground", TEXT),
    ("quiet", "good-ground", TEXT),
    ("quiet", "bad-ground", TEXT),
    ("bad", "ground", TEXT),
    ("bad", "raised", TEXT),
    ("strong-line", "ground", SHAPE),
    ("focus", "ground", SHAPE),
    ("focus", "panel", SHAPE),
];

fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour")) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The colours that each block of the style names.
fn palettes() -> Vec<BTreeMap<String, String>> {
    let blocks = STYLE.text.split(" color-scheme: ").skip(1).map(|block| block.split('}').next().expect("an end"));
    let named = |block: &str| {
        let pairs = block.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(": "));
        pairs.filter(|(_, value)| value.starts_with('#')).map(|(name, value)| (name.to_string(), value.trim().to_string())).collect()
    };
    blocks.map(named).collect()
}

#[test]
fn everything_can_be_read_in_light_and_in_dark() {
    let palettes = palettes();
    assert_eq!(palettes.len(), 3, "light, dark by the system, dark by choice");
    assert_eq!(palettes[1], palettes[2], "dark is dark, whoever chose it");
    for palette in &palettes {
        for (front, back, least) in PAIRS {
            let found = contrast(&palette[*front], &palette[*back]);
            assert!(found >= *least, "{front} on {back}: {found:.2} ({} on {})", palette[*front], palette[*back]);
        }
    }
}
