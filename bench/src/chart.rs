//! A chart of some rows as SVG, with one group of bars for each workload.

use std::fmt::Write;

use crate::measure::Row;

const COLOURS: [&str; 6] = ["#8c8c8c", "#bdbdbd", "#d1495b", "#30638e", "#66a182", "#edae49"];
const LEFT: f64 = 150.0;
const WIDTH: f64 = 560.0;
const BAR: f64 = 14.0;
const GAP: f64 = 18.0;
/// The most that a bar shows. Longer bars end here, and their figure is written next to them.
const LONGEST: f64 = 4.0;

/// Draws the time per call as a multiple of the first subject's. Shorter is better.
pub fn svg(title: &str, caption: &str, rows: &[&Row], columns: usize) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let columns = columns.min(first.cells.len());
    let group = columns as f64 * BAR + GAP;
    let top = 76.0;
    let height = top + rows.len() as f64 * group + 16.0;
    let scale = WIDTH / LONGEST;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"15\" font-weight=\"bold\">{}</text>\n<text x=\"12\" y=\"37\" fill=\"#555\">{}</text>\n",
        escaped(title),
        escaped(caption),
        width = LEFT + WIDTH + 60.0,
    );
    let mut x = 12.0;
    for (at, (name, _)) in first.cells.iter().take(columns).enumerate() {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"48\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{}\" y=\"57\">{}</text>",
            COLOURS[at % COLOURS.len()],
            x + 14.0,
            escaped(name)
        );
        x += 30.0 + name.len() as f64 * 6.0;
    }
    let _ = writeln!(
        svg,
        "<line x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{}\" stroke=\"#999\" stroke-dasharray=\"3 3\"/>",
        height - 12.0,
        x = LEFT + scale,
    );
    for (line, row) in rows.iter().enumerate() {
        let y = top + line as f64 * group;
        let middle = y + columns as f64 * BAR / 2.0 + 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            escaped(&row.workload)
        );
        for at in 0..columns {
            let Some(ratio) = row.ratio(at) else { continue };
            let y = y + at as f64 * BAR;
            let width = ratio.median.min(LONGEST) * scale;
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{}\">{:.2}</text>",
                BAR - 2.0,
                COLOURS[at % COLOURS.len()],
                LEFT + width + 4.0,
                y + 10.0,
                ratio.median
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
