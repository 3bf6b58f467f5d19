//! Invisible characters that a terminal or a page interprets.

/// Whether a character is a control character (C0, C1), a mark of writing direction, a line separator, or has no width.
/// The joiners U+200C and U+200D are part of names and stay.
#[must_use]
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text with every hidden character but newlines and tabs as the escape `\u001b`, for a terminal. The escape is one of
/// JSON too, so that JSON stays the same value.
#[must_use]
pub fn escape_hidden(text: &str) -> String {
    escape(text, |letter| !matches!(letter, '\n' | '\t'))
}

/// Same as [`escape_hidden`], in one line.
#[must_use]
pub fn escape_line(text: &str) -> String {
    escape(text, |_| true)
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if !is_hidden(letter) || !is_escaped(letter) => shown.push(letter),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    shown.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{escape_hidden, escape_line};

    #[test]
    fn a_terminal_obeys_no_text() {
        let text = "a\u{1b}]0;x\u{7}\u{9b}2J\u{202e}b\u{2028}\u{e0041}\r\nc\td\u{7f}";
        let shown = escape_hidden(text);
        assert_eq!(shown, "a\\u001b]0;x\\u0007\\u009b2J\\u202eb\\u2028\\udb40\\udc41\\r\nc\td\\u007f");
        assert_eq!(escape_line("a\nb\tc"), "a\\nb\\tc");
        assert_eq!(escape_hidden("São João 👩\u{200d}🔬 – ─"), "São João 👩\u{200d}🔬 – ─");
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({ "name": "a\u{9b}\u{202e}\u{e0041}\u{7f}" });
        let shown = escape_hidden(&value.to_string());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
        assert!(shown.is_ascii());
    }
}
