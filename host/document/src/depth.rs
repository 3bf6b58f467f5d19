//! The depth of a TOML document. It is measured before a parser builds the document: every later step recurses into it,
//! and a stack that overflows ends the process.

use host_core::error::{Error, Result};

/// The most tables and arrays around a value.
const MAX_DEPTH: usize = 128;

/// Checks that a TOML document can be parsed without a stack overflow.
///
/// # Errors
/// A document that is nested too deeply.
pub fn check_depth(text: &str) -> Result<()> {
    first_too_deep(text).map_or(Ok(()), |_| Err(too_deep()))
}

pub(crate) fn too_deep() -> Error {
    Error::config(format!("nested deeper than {MAX_DEPTH} levels"))
}

/// The first byte that is nested too deeply. The text need not be valid TOML.
pub(crate) fn first_too_deep(text: &str) -> Option<usize> {
    let mut scan = TableScan::default();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'#' => at = end_of_line(bytes, at),
            b'"' | b'\'' => at = end_of_text(bytes, at),
            _ => {
                scan.enter(byte);
                if scan.depth() > MAX_DEPTH {
                    return Some(at);
                }
                at += 1;
            }
        }
    }
    None
}

/// Where the scan is in the document.
#[derive(Default)]
struct TableScan {
    /// The depth before each open bracket.
    outer: Vec<usize>,
    /// The depth of the current table or array.
    base: usize,
    /// The dots of the key whose value follows.
    key: usize,
    /// The dots since the last separator. Each dot of a key makes a table.
    dots: usize,
}

impl TableScan {
    fn depth(&self) -> usize {
        self.base + self.key + self.dots
    }

    fn enter(&mut self, byte: u8) {
        match byte {
            b'.' => self.dots += 1,
            b'=' => (self.key, self.dots) = (self.dots, 0),
            b',' | b'\n' => (self.key, self.dots) = (0, 0),
            b'[' | b'{' => {
                self.outer.push(self.base);
                self.base = self.depth() + 1;
                (self.key, self.dots) = (0, 0);
            }
            b']' | b'}' => {
                self.base = self.outer.pop().unwrap_or_default();
                (self.key, self.dots) = (0, 0);
            }
            _ => {}
        }
    }
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| from + length)
}

/// The end of the text whose first quote is at `from`.
fn end_of_text(bytes: &[u8], from: usize) -> usize {
    let quote = bytes[from];
    let triple = [quote; 3];
    let is_long = bytes[from..].starts_with(&triple);
    let mut at = from + if is_long { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 2,
            b'\n' if !is_long => return at,
            _ if is_long && bytes[at..].starts_with(&triple) => {
                // Up to two quotes before the end belong to the text.
                return at + bytes[at..].iter().take(5).take_while(|byte| **byte == quote).count();
            }
            _ if !is_long && byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, check_depth};
    use crate::SourceMap;

    #[test]
    fn every_form_of_nesting_has_a_limit() {
        let repeat = |text: &str, times: usize| text.repeat(times);
        let keys = format!("{}z", repeat("a.", 70));
        let tables =
            |levels: usize| format!("x = {}1{}", repeat(&format!("{{ {keys} = "), levels), repeat(" }", levels));
        let refused = [
            format!("x = {}{}", repeat("[", 10_000), repeat("]", 10_000)),
            format!("{}z = 1", repeat("a.", 100_000)),
            format!("[{}z]", repeat("a.", 100_000)),
            format!("[[{}z]]\ny = 1", repeat("a . ", 100_000)),
            format!("{}z = 1", repeat("\"a\".", 10_000)),
            tables(2),
            // A parser that limits each key and the brackets still builds thousands of levels.
            tables(70),
        ];
        for text in refused {
            let error = SourceMap::parse(&text, "p.toml").expect_err("a deep document");
            assert!(error.message().ends_with("nested deeper than 128 levels"), "{error}");
            assert!(error.message().starts_with("p.toml:1:"), "{error}");
            assert!(check_depth(&text).is_err());
        }
    }

    #[test]
    fn wide_documents_are_not_deep() {
        let numbers = format!("x = [{}]", vec!["1.5"; 10 * MAX_DEPTH].join(", "));
        let lines: String =
            (0..10 * MAX_DEPTH).map(|line| format!("[a.b.c{line}]\nd.e = {{ f.g = [[1.0]] }}\n")).collect();
        let texts = format!(
            "a = \"{0}\"\nb = '{0}\\'\nc = \"\"\"{0}\n\"{0}\\\"\"\"\"\"\nd = '''{0}'''\n# {0}\n",
            "[.".repeat(1000)
        );
        for text in [numbers, lines, texts, tables_at_the_limit()] {
            assert_eq!(check_depth(&text).map_err(|error| error.to_string()), Ok(()));
            assert!(SourceMap::parse(&text, "p.toml").is_ok(), "{text}");
        }
    }

    fn tables_at_the_limit() -> String {
        format!("x = {}1{}", "[".repeat(79), "]".repeat(79))
    }
}
