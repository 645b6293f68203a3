//! Charts as SVG, each with its numbers in a table.

use crate::escape::{apart, short, text};
use crate::{Chart, number, percent};
use std::fmt::Write;

/// Units of the drawing; it is scaled to the width of its card.
const WIDE: f64 = 320.0;
const HIGH: f64 = 130.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 6.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 18.0;
/// Of charts with a line for each name.
const LINE: f64 = 22.0;
const NAMES: f64 = 104.0;
const NAME_CHARACTERS: usize = 17;

impl Chart {
    /// The drawing and the table behind it.
    pub(crate) fn html(&self, title: &str) -> String {
        match self {
            Self::Bins { edges, shares } if edges.len() > 1 => bins(title, edges, shares),
            Self::Bars { bars } if !bars.is_empty() => bars_html(title, bars),
            Self::Intervals { rows } if !rows.is_empty() => intervals(title, rows),
            _ => String::new(),
        }
    }
}

fn open(label: &str, high: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDE} {high:.0}\" role=\"img\" aria-label=\"{}\">", text(label))
}

fn words(at: (f64, f64), anchor: &str, what: &str) -> String {
    format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>", at.0, at.1, text(what))
}

fn numbers(head: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> String {
    let mut out = String::from("<details><summary>Numbers</summary><div class=\"scroll\"><table><thead><tr>");
    for h in head {
        let _infallible = write!(out, "<th scope=\"col\">{}</th>", text(h));
    }
    out.push_str("</tr></thead><tbody>");
    for [name, a, b] in rows {
        let (name, a, b) = (apart(&name), text(&a), text(&b));
        let _infallible = write!(out, "<tr><th scope=\"row\">{name}</th><td>{a}</td><td>{b}</td></tr>");
    }
    out + "</tbody></table></div></details>"
}

/// Greatest share of both sides; never nothing, so that it can be divided by.
fn highest(shares: impl Iterator<Item = f64>) -> f64 {
    shares.filter(|s| s.is_finite()).fold(0.0, f64::max).max(1e-9)
}

fn bins(title: &str, edges: &[f64], [before, now]: &[Vec<f64>; 2]) -> String {
    let count = edges.len() - 1;
    let share = |of: &[f64], at: usize| of.get(at).copied().filter(|s| s.is_finite()).unwrap_or(0.0);
    let top = highest(before.iter().chain(now).copied());
    let step = (WIDE - LEFT - RIGHT) / count as f64;
    let x = |at: usize| LEFT + step * at as f64;
    let y = |of: f64| TOP + (HIGH - TOP - BOTTOM) * (1.0 - of / top);
    let base = y(0.0);
    let mut out = open(&format!("Distribution of {}, reference and now", short(title, 80)), HIGH);
    for (at, of) in [(top, percent(top)), (0.0, "0".to_owned())] {
        let _infallible = write!(out, "<path class=\"grid\" d=\"M{LEFT} {0:.1}H{1:.1}\"/>", y(at), WIDE - RIGHT);
        out += &words((LEFT - 4.0, y(at) + 4.0), "end", &of);
    }
    for at in 0..count {
        let of = share(before, at);
        let (left, up) = (x(at) + 0.5, y(of));
        let (wide, tall) = ((step - 1.0).max(0.5), (base - up).max(0.0));
        let _infallible =
            write!(out, "<rect class=\"was\" x=\"{left:.1}\" y=\"{up:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>");
    }
    let mut line = format!("M{:.1} {base:.1}", x(0));
    for at in 0..count {
        let _infallible = write!(line, "V{:.1}H{:.1}", y(share(now, at)), x(at + 1));
    }
    let _infallible = write!(out, "<path class=\"now\" d=\"{line}V{base:.1}\"/>");
    for (at, anchor) in [(0, "start"), (count, "end")] {
        out += &words((x(at), HIGH - 4.0), anchor, &number(edges[at]));
    }
    out += &words((x(0).midpoint(x(count)), HIGH - 4.0), "middle", &number(edges[0].midpoint(edges[count])));
    out += "</svg>";
    let span = |at: usize| match at {
        0 => format!("up to {}", number(edges[1])),
        at if at + 1 == count => format!("above {}", number(edges[at])),
        at => format!("{} to {}", number(edges[at]), number(edges[at + 1])),
    };
    let rows = (0..count).map(|at| [span(at), percent(share(before, at)), percent(share(now, at))]);
    out + &numbers(["values", "reference", "now"], rows)
}

fn bars_html(title: &str, bars: &[(String, [f64; 2])]) -> String {
    let high = LINE * bars.len() as f64 + 6.0;
    let top = highest(bars.iter().flat_map(|(_, shares)| *shares));
    let most = WIDE - NAMES - 44.0;
    let mut out = open(&format!("Shares of {}, reference and now", short(title, 80)), high);
    for (at, (name, shares)) in bars.iter().enumerate() {
        let y = LINE * at as f64 + 3.0;
        out += &words((NAMES - 6.0, y + 12.0), "end", &short(name, NAME_CHARACTERS));
        for (side, (share, class)) in shares.iter().zip(["was", "is"]).enumerate() {
            let wide = most * (share / top).clamp(0.0, 1.0);
            let wide = if wide.is_finite() { wide } else { 0.0 };
            let up = y + 9.0 * side as f64;
            let _infallible =
                write!(out, "<rect class=\"{class}\" x=\"{NAMES}\" y=\"{up:.1}\" width=\"{wide:.1}\" height=\"8\"/>");
        }
        let longer = most * (shares[0].max(shares[1]) / top).clamp(0.0, 1.0);
        let longer = if longer.is_finite() { longer } else { 0.0 };
        out += &words((NAMES + longer + 4.0, y + 12.0), "start", &percent(shares[1]));
    }
    out += "</svg>";
    let rows = bars.iter().map(|(name, [a, b])| [name.clone(), percent(*a), percent(*b)]);
    out + &numbers(["value", "reference", "now"], rows)
}

fn intervals(title: &str, rows: &[(String, f64, Option<[f64; 2]>)]) -> String {
    let ends =
        || rows.iter().flat_map(|(_, v, i)| i.unwrap_or([*v, *v]).into_iter().chain([*v])).filter(|v| v.is_finite());
    let (low, high) = ends().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high {
        return String::new();
    }
    let room = ((high - low) * 0.06).max(high.abs() * 1e-6).max(1e-9);
    let (low, high) = (low - room, high + room);
    let x = |v: f64| NAMES + (WIDE - NAMES - 8.0) * ((v - low) / (high - low)).clamp(0.0, 1.0);
    let tall = LINE * rows.len() as f64 + BOTTOM;
    let mut out = open(&format!("{} with intervals", short(title, 80)), tall);
    for (at, (name, value, ends)) in rows.iter().enumerate() {
        let y = LINE * at as f64 + LINE / 2.0;
        out += &words((NAMES - 6.0, y + 4.0), "end", &short(name, NAME_CHARACTERS));
        let _infallible = write!(out, "<path class=\"grid\" d=\"M{NAMES} {y:.1}H{:.1}\"/>", WIDE - 8.0);
        if let Some([from, to]) = ends {
            let _infallible = write!(out, "<path class=\"span\" d=\"M{:.1} {y:.1}H{:.1}\"/>", x(*from), x(*to));
        }
        if value.is_finite() {
            let _infallible = write!(out, "<circle class=\"is\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>", x(*value));
        }
    }
    for (at, anchor) in [(low + room, "start"), (high - room, "end")] {
        out += &words((x(at), tall - 4.0), anchor, &number(at));
    }
    out += "</svg>";
    let shown = rows.iter().map(|(name, value, ends)| {
        let of = ends.map_or_else(String::new, |[a, b]| format!("{} to {}", number(a), number(b)));
        [name.clone(), number(*value), of]
    });
    out + &numbers(["of", "value", "interval"], shown)
}
