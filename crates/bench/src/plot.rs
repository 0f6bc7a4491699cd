//! Two pictures of the figures, as SVG: how far each is from its goal, and what others need for the same work.
//!
//! Bars start at one on a logarithmic axis, so that half and double are equally long.
use crate::figures::{Figure, short};

const LABEL_WIDTH: f64 = 560.0;
const PLOT_WIDTH: f64 = 440.0;
const ROW_HEIGHT: f64 = 18.0;
const TOP: f64 = 58.0;

struct Bar {
    label: String,
    value: f64,
    is_good: bool,
}

/// Each figure with a goal: left of the line it is met.
pub fn goals(figures: &[Figure]) -> String {
    let bar = |f: &Figure| f.ratio().map(|value| Bar { label: f.name.clone(), value, is_good: value <= 1.0 });
    let bars: Vec<Bar> = figures.iter().filter_map(bar).collect();
    drawn("How far from the goals", "measured ÷ goal; left of the line the goal is met", &bars)
}

/// Each peer: right of the line it needs more than we do.
pub fn peers(figures: &[Figure]) -> String {
    let mut bars = Vec::new();
    for figure in figures {
        for peer in &figure.peers {
            let value = figure.beside(peer);
            bars.push(Bar { label: format!("{}: {}", figure.name, peer.name), value, is_good: value >= 1.0 });
        }
    }
    drawn("Beside others on the same work", "peer ÷ Mainstem; right of the line Mainstem needs less", &bars)
}

fn drawn(title: &str, axis: &str, bars: &[Bar]) -> String {
    let logs = || bars.iter().map(|bar| bar.value.log10());
    let least = logs().fold(-0.35, f64::min) - 0.05;
    let most = logs().fold(0.35, f64::max) + 0.05;
    let x = |value: f64| LABEL_WIDTH + (value.log10() - least) / (most - least) * PLOT_WIDTH;
    let (width, height) = (LABEL_WIDTH + PLOT_WIDTH + 70.0, TOP + bars.len() as f64 * ROW_HEIGHT + 14.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\" fill=\"#222222\">{title}</text>\n\
         <text x=\"10\" y=\"37\" fill=\"#666666\">{axis}</text>\n"
    );
    for mark in marks(least, most) {
        let (at, end) = (x(mark), height - 10.0);
        let (colour, line) = if mark == 1.0 { ("#222222", 1.4) } else { ("#dddddd", 0.7) };
        svg.push_str(&format!(
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{end}\" stroke=\"{colour}\" stroke-width=\"{line}\"/>\n"
        ));
        svg.push_str(&format!("<text x=\"{at:.1}\" y=\"{}\" fill=\"#666666\" text-anchor=\"middle\">{mark}×</text>\n", TOP - 6.0));
    }
    for (n, bar) in bars.iter().enumerate() {
        let y = TOP + n as f64 * ROW_HEIGHT + 3.0;
        let (one, end) = (x(1.0), x(bar.value));
        let (from, long) = (one.min(end), (end - one).abs().max(1.0));
        let colour = if bar.is_good { "#2a7f62" } else { "#c8553d" };
        let text = y + ROW_HEIGHT - 8.0;
        svg.push_str(&format!(
            "<text x=\"{}\" y=\"{text}\" fill=\"#222222\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{from:.1}\" y=\"{y}\" width=\"{long:.1}\" height=\"{}\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{text}\" fill=\"#222222\">{}×</text>\n",
            LABEL_WIDTH - 8.0,
            escaped(&bar.label),
            ROW_HEIGHT - 6.0,
            from + long + 4.0,
            short(bar.value),
        ));
    }
    svg + "</svg>\n"
}

/// Round values on the axis: powers of ten, and halves and doubles where there is room.
fn marks(least: f64, most: f64) -> Vec<f64> {
    let steps: &[f64] = if most - least < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = least.floor() as i32..=most.ceil() as i32;
    let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    let round = |mark: f64| if mark < 1.0 { (mark * 1e6).round() / 1e6 } else { mark.round() };
    all.map(round).filter(|mark| (least..=most).contains(&mark.log10())).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
