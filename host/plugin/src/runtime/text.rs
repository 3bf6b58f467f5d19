//! Text from plugins, before a person reads it.

/// Shortens a text to some characters and removes control characters, which a terminal would obey. Newlines stay.
pub(super) fn sanitize(text: impl Into<String>, max_chars: usize) -> String {
    let text = text.into();
    if text.len() <= max_chars && !text.chars().any(char::is_control) {
        return text;
    }
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).take(max_chars).collect()
}

/// As [`sanitize`], in one line.
pub(super) fn sanitize_line(text: impl Into<String>, max_chars: usize) -> String {
    sanitize(text, max_chars).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::{sanitize, sanitize_line};

    #[test]
    fn control_characters_are_removed() {
        assert_eq!(sanitize("a\u{1b}[2J\nb", 10), "a[2J\nb");
        assert_eq!(sanitize_line("a\u{1b}[2J\nb", 10), "a[2J b");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(sanitize("ãããã", 2), "ãã");
    }
}
