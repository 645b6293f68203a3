//! What a page of Markdown holds that can be checked.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::collections::BTreeSet;

/// A page, taken apart.
#[derive(Debug, Default)]
pub struct Page {
    /// Targets of links and images, with their lines.
    pub links: Vec<(usize, String)>,
    /// Texts in backticks, with their lines.
    pub spans: Vec<(usize, String)>,
    /// Fenced blocks.
    pub blocks: Vec<Block>,
    /// Headings as fragments of links name them.
    pub headings: BTreeSet<String>,
}

/// A fenced block.
#[derive(Debug, Default)]
pub struct Block {
    /// Line of its fence.
    pub line: usize,
    /// First word after the fence; empty for none.
    pub language: String,
    /// What is in it.
    pub text: String,
}

impl Block {
    /// Whether it holds commands for a shell.
    pub fn is_shell(&self) -> bool {
        matches!(self.language.as_str(), "sh" | "bash" | "shell" | "console")
    }
}

impl Page {
    /// Takes a page apart.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut block: Option<Block> = None;
        let mut heading: Option<String> = None;
        let line = |at: usize| text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let language = info.split([' ', ',']).next().unwrap_or_default().to_lowercase();
                    block = Some(Block { line: line(range.start), language, text: String::new() });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.headings.extend(heading.take().map(|h| fragment(&h))),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line(range.start), dest_url.to_string()));
                }
                Event::Text(words) => {
                    if let Some(block) = &mut block {
                        block.text.push_str(&words);
                    } else if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                }
                Event::Code(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                    page.spans.push((line(range.start), words.to_string()));
                }
                _ => {}
            }
        }
        page
    }

    /// Every command line of the page: code spans, and the lines of shell blocks with their
    /// continuations joined, prompts and comments removed.
    pub fn commands(&self) -> Vec<(usize, String)> {
        let mut all = self.spans.clone();
        for block in self.blocks.iter().filter(|b| b.is_shell()) {
            let mut whole = String::new();
            let mut from = 0;
            for (n, text) in block.text.lines().enumerate() {
                if whole.is_empty() {
                    from = block.line + 1 + n;
                }
                if let Some(open) = text.strip_suffix('\\') {
                    whole.push_str(open);
                    whole.push(' ');
                    continue;
                }
                whole.push_str(text);
                all.push((from, std::mem::take(&mut whole)));
            }
        }
        all
    }
}

/// A heading as GitHub makes fragments: lower case, spaces to dashes, other marks dropped.
fn fragment(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}
