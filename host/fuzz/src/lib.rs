//! Texts for the fuzzers: random bytes, read as a sequence of words of a grammar.

/// The text of an input. After `=` the rest is the text itself, as in files of the corpus. Otherwise each byte chooses one
/// of `words`, or repeats the last one up to 16 times, or is a letter of its own.
#[must_use]
pub fn text(input: &[u8], words: &[&str]) -> String {
    if let Some(rest) = input.strip_prefix(b"=") {
        return String::from_utf8_lossy(rest).into_owned();
    }
    let mut text = String::new();
    let mut last = "";
    for &byte in input.iter().take(MAX_WORDS) {
        match byte {
            0..16 => (0..byte).for_each(|_| text.push_str(last)),
            16..40 => text.push(char::from(byte + 80)),
            _ => {
                last = words.get(usize::from(byte - 40) % words.len()).copied().unwrap_or_default();
                text.push_str(last);
            }
        }
    }
    text
}

/// The most words of a text, so that an input takes microseconds.
const MAX_WORDS: usize = 200;

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn bytes_choose_words_and_repeat_them() {
        assert_eq!(text(&[40, 41, 2, 17], &["[", "]"]), "[]]]a");
        assert_eq!(text(b"=[1]", &["["]), "[1]");
    }
}
