//! Text from plugins, before a person reads it.

use host_core::secret::redact;
use host_core::text::is_hidden;

/// Shortens a text to some characters, without known secrets and without hidden characters, which a terminal would obey.
/// Newlines stay.
pub(super) fn sanitize(text: impl Into<String>, max_chars: usize) -> String {
    let mut text = text.into();
    if text.chars().any(is_hidden) {
        text.retain(|letter| letter == '\n' || !is_hidden(letter));
    }
    // Hidden characters may divide a secret, and so may the end: secrets are looked for between the two steps.
    let mut text = redact(text);
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        text.truncate(end);
    }
    text
}

/// Same as [`sanitize`], in one line.
pub(super) fn sanitize_line(text: impl Into<String>, max_chars: usize) -> String {
    sanitize(text, max_chars).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use host_core::secret::Secret;

    use super::{sanitize, sanitize_line};

    #[test]
    fn a_secret_divided_by_hidden_characters_or_by_the_end_is_redacted() {
        let _secret = Secret::new("k3y-of-a-plugin".to_owned());
        assert_eq!(sanitize("<k3y\u{1b}-of\u{200b}-a-plu\u{202e}gin>", 100), "<***>");
        assert_eq!(sanitize("<k3y-of-a-plugin>", 8), "<***>");
    }

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
