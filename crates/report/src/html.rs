//! The page.

use crate::escape::{apart, short, text};
use crate::{Card, Cell, Chart, Mood, Report, Section, Table};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded, run, framed or sent, whatever a text may have smuggled in; the page's own styles are in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

impl Mood {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    /// For who does not see colours.
    fn sign(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "✓ ",
            Self::Warn => "! ",
            Self::Bad => "✗ ",
        }
    }
}

impl Report {
    /// The report as one file.
    pub fn html(&self) -> String {
        let title = text(&short(&self.title, 200));
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{}</h1>\n",
            apart(&self.title)
        );
        let (class, sign) = (self.mood.class(), self.mood.sign());
        let _infallible = writeln!(out, "<p class=\"verdict {class}\">{sign}{}</p>", apart(&self.verdict));
        out += &facts(&self.facts);
        out += "</header>\n<main>\n";
        for section in &self.sections {
            section.html(&mut out);
        }
        out += "</main>\n<footer>\n";
        if !self.command.is_empty() {
            let _infallible = writeln!(out, "<p>Made by <code>{}</code></p>", text(&self.command));
        }
        let _infallible = write!(out, "<p>{}</p>\n</footer>\n</body>\n</html>\n", apart(&self.made));
        out
    }
}

impl Section {
    fn html(&self, out: &mut String) {
        let _infallible = writeln!(out, "<section>\n<h2>{}</h2>", apart(&self.title));
        for sentence in &self.says {
            let _infallible = writeln!(out, "<p>{}</p>", apart(sentence));
        }
        if let Some(table) = &self.table {
            table.html(out);
        }
        if !self.cards.is_empty() {
            let two = |c: &Card| matches!(c.chart, Some(Chart::Bins { .. } | Chart::Bars { .. }));
            if self.cards.iter().any(two) {
                *out += "<p class=\"key\"><span>reference</span><span>now</span></p>\n";
            }
            *out += "<div class=\"cards\">\n";
            self.cards.iter().for_each(|card| card.html(out));
            *out += "</div>\n";
        }
        *out += "</section>\n";
    }
}

impl Table {
    fn html(&self, out: &mut String) {
        let label = text(&self.caption);
        let _infallible = write!(
            out,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><table><caption>{label}</caption>\
             <thead><tr>"
        );
        for head in &self.head {
            let _infallible = write!(out, "<th scope=\"col\">{}</th>", apart(head));
        }
        *out += "</tr></thead><tbody>\n";
        for row in &self.rows {
            *out += "<tr>";
            for (at, Cell { text, mood }) in row.iter().enumerate() {
                let (tag, scope) = if at == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
                let class = if *mood == Mood::Plain { String::new() } else { format!(" class=\"{}\"", mood.class()) };
                let _infallible = write!(out, "<{tag}{scope}{class}>{}{}</{tag}>", mood.sign(), apart(text));
            }
            *out += "</tr>\n";
        }
        if self.rows.is_empty() {
            let _infallible = write!(out, "<tr><td colspan=\"{}\">nothing</td></tr>", self.head.len().max(1));
        }
        *out += "</tbody></table></div>\n";
    }
}

impl Card {
    fn html(&self, out: &mut String) {
        let _infallible = write!(out, "<article>\n<div class=\"top\"><h3>{}</h3>", apart(&self.title));
        if !self.badge.is_empty() {
            let (class, sign) = (self.mood.class(), self.mood.sign());
            let _infallible = write!(out, "<span class=\"badge {class}\">{sign}{}</span>", apart(&self.badge));
        }
        *out += "</div>\n";
        if let Some(chart) = &self.chart {
            *out += &chart.html(&self.title);
        }
        *out += &facts(&self.facts);
        for sentence in &self.says {
            let _infallible = write!(out, "<p>{}</p>", apart(sentence));
        }
        *out += "</article>\n";
    }
}

fn facts(facts: &[(String, String)]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let mut out = String::from("<dl>");
    for (name, value) in facts {
        let _infallible = write!(out, "<dt>{}</dt><dd>{}</dd>", apart(name), apart(value));
    }
    out + "</dl>\n"
}
