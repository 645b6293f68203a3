//! Strangers' texts in HTML.

/// Characters of a text that are shown.
const LONGEST: usize = 400;

/// A text as the content of an element or of an attribute in double quotes.
pub fn text(of: &str) -> String {
    let mut out = String::with_capacity(of.len().min(LONGEST));
    for (at, c) in of.chars().enumerate() {
        if at == LONGEST {
            out.push('…');
            break;
        }
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in HTML, or they would turn around, hide or break what stands beside them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => {
                out.push('\u{fffd}');
            }
            '\u{fdd0}'..='\u{fdef}' | '\u{feff}' => out.push('\u{fffd}'),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || (c as u32) & 0xfffe == 0xfffe => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A text apart from the direction of what stands around it.
pub fn apart(of: &str) -> String {
    format!("<bdi>{}</bdi>", text(of))
}

/// The beginning of a text, at most so many characters.
pub fn short(of: &str, most: usize) -> String {
    if of.chars().count() <= most {
        return of.to_owned();
    }
    of.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
