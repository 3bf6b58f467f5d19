//! The steps that clean a text.

use std::borrow::Cow;

use plugin_sdk::prelude::*;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A step that cleans a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Remove spaces at the start and end.
    Trim,
    /// Leave single spaces between words, none at the start and end.
    CollapseSpaces,
    /// Unicode's composed form (NFC): one character for a letter with its accent.
    Nfc,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// A person's name: each word starts with a capital, also after `-` and `'`. In a name of several words, the
    /// particles `da`, `de`, `do`, `das`, `dos` and `e` are lower case. A word of mixed case, such as `McDonald`, is not
    /// changed.
    NameCase,
    /// A phone number in E.164; a number without a country code is Brazilian. A number that is not valid is not changed,
    /// and gets a note.
    PhoneBr,
}

/// Runs the steps on a text. The second value is false if the text is not a valid phone number; that step then does not
/// change it. A text that no step changes is not copied.
pub(crate) fn run<'a>(steps: &[Step], text: &'a str) -> (Cow<'a, str>, bool) {
    let mut text = Cow::Borrowed(text);
    let mut is_valid = true;
    for step in steps {
        let changed = match step {
            Step::Trim => Some(text.trim()).filter(|trimmed| trimmed.len() < text.len()).map(str::to_owned),
            Step::CollapseSpaces => (!is_collapsed(&text)).then(|| collapse(&text)),
            Step::Nfc => (!is_nfc(&text)).then(|| text.nfc().collect()),
            Step::Lower => Some(text.to_lowercase()),
            Step::Upper => Some(text.to_uppercase()),
            Step::NameCase => Some(name_case(&text)),
            Step::PhoneBr => {
                let phone = phone(&text);
                is_valid &= phone.is_some() || text.is_empty();
                phone
            }
        };
        text = changed.map_or(text, Cow::Owned);
    }
    (text, is_valid)
}

/// Whether words are separated by exactly one space, with none at the start and end.
fn is_collapsed(text: &str) -> bool {
    let mut previous = ' ';
    let has_single_spaces = text.chars().all(|letter| {
        let fits = !letter.is_whitespace() || (letter == ' ' && previous != ' ');
        previous = letter;
        fits
    });
    has_single_spaces && (text.is_empty() || previous != ' ')
}

fn collapse(text: &str) -> String {
    let mut collapsed = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    collapsed
}

fn name_case(text: &str) -> String {
    // A particle at the start belongs to a last name, since no Brazilian first name is a particle. A single word is a name.
    let is_single_word = !text.contains(' ');
    let mut name = String::with_capacity(text.len());
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            name.push(' ');
        }
        let lower = word.to_lowercase();
        if !is_single_word && ["da", "de", "do", "das", "dos", "e"].contains(&lower.as_str()) {
            name.push_str(&lower);
        } else if word != lower && word != word.to_uppercase() {
            name.push_str(word);
        } else {
            let mut is_start = true;
            for letter in lower.chars() {
                if is_start {
                    name.extend(letter.to_uppercase());
                } else {
                    name.push(letter);
                }
                is_start = ['-', '\'', '’'].contains(&letter);
            }
        }
    }
    name
}

fn phone(text: &str) -> Option<String> {
    let number = phonenumber::parse(Some(phonenumber::country::BR), text).ok()?;
    let valid = phonenumber::is_valid(&number);
    valid.then(|| number.format().mode(phonenumber::Mode::E164).to_string())
}

#[cfg(test)]
mod tests {
    use super::{Step, run};

    fn check(steps: &[Step], text: &str, expected: &str) {
        assert_eq!(run(steps, text), (expected.into(), true), "{text}");
    }

    #[test]
    fn steps_clean_text() {
        check(&[Step::Trim, Step::CollapseSpaces], "  Ana   Maria ", "Ana Maria");
        check(&[Step::CollapseSpaces], "Ana\u{a0}Maria ", "Ana Maria");
        check(&[Step::CollapseSpaces], "", "");
        check(&[Step::Nfc], "Sa\u{303}o", "São");
        check(&[Step::Trim, Step::Lower], " ANA@EXEMPLO.COM ", "ana@exemplo.com");
        check(&[Step::NameCase], "MARIA DA SILVA E SOUZA", "Maria da Silva e Souza");
        check(&[Step::NameCase], "ANA-MARIA d'ávila", "Ana-Maria D'Ávila");
        check(&[Step::NameCase], "Ronald McDonald", "Ronald McDonald");
        // A last name with a particle; and a particle that is the whole name.
        check(&[Step::NameCase], "DE FREITAS", "de Freitas");
        check(&[Step::NameCase], "Dos Santos e silva", "dos Santos e Silva");
        check(&[Step::NameCase], "e", "E");
    }

    #[test]
    fn phone_numbers_become_e164() {
        check(&[Step::PhoneBr], "(11) 98765-4321", "+5511987654321");
        check(&[Step::PhoneBr], "+55 11 987654321", "+5511987654321");
        check(&[Step::PhoneBr], "11987654321", "+5511987654321");
        assert_eq!(run(&[Step::PhoneBr], "ramal 12"), ("ramal 12".into(), false));
    }
}
