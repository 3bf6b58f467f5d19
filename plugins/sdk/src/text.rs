//! Brings text to a form in which spellings can be compared.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Text in lower case, without accents and punctuation, and with single spaces between words.
///
/// ```
/// use plugin_sdk::text::fold;
///
/// assert_eq!(fold("  CLÍNICA-Médica. "), "clinica medica");
/// ```
#[must_use]
pub fn fold(text: &str) -> String {
    let plain = text.nfkd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase);
    let spaced: String = plain.map(|letter| if letter.is_alphanumeric() { letter } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_accents_and_punctuation_are_removed() {
        assert_eq!(fold("  CLÍNICA-Médica. "), "clinica medica");
        assert_eq!(fold("Sa\u{303}o"), "sao");
        assert_eq!(fold("İ¿ﬁ"), "i fi");
        assert_eq!(fold("¿"), "");
    }
}
