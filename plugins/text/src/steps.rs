//! The steps: each takes a text and gives back a better one.

use plugin_sdk::prelude::*;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// No space at the ends.
    Trim,
    /// One space where there were several.
    CollapseSpaces,
    /// Unicode's composed form: one letter for a letter and its accent.
    Nfc,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// A person's name: capitals first, also after `-` and `'`, but for `da`, `de`, `do`, `das`, `dos`, `e` before
    /// another word, as in the last name `de Freitas`; a name of one word is none of these. A word that is neither all
    /// lower nor all upper case is left to whoever wrote it so.
    NameCase,
    /// A Brazilian phone number as E.164; one that cannot be read stays, with a note.
    PhoneBr,
}

/// Runs the steps; false where a step could not read the text, which then stays as it was before that step.
pub(crate) fn run(steps: &[Step], text: &str) -> (String, bool) {
    let mut text = text.to_owned();
    let mut readable = true;
    for step in steps {
        text = match step {
            Step::Trim => text.trim().to_owned(),
            Step::CollapseSpaces => collapse(&text),
            Step::Nfc if is_nfc(&text) => text,
            Step::Nfc => text.nfc().collect(),
            Step::Lower => text.to_lowercase(),
            Step::Upper => text.to_uppercase(),
            Step::NameCase => name_case(&text),
            Step::PhoneBr => match phone(&text) {
                Some(phone) => phone,
                None => {
                    readable = text.is_empty();
                    text
                }
            },
        };
    }
    (text, readable)
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn name_case(text: &str) -> String {
    // No Brazilian first name begins with a particle, so that one that leads is of a last name.
    let is_alone = !text.contains(' ');
    let word = |word: &str| {
        let lower = word.to_lowercase();
        if !is_alone && ["da", "de", "do", "das", "dos", "e"].contains(&lower.as_str()) {
            return lower;
        }
        if word != lower && word != word.to_uppercase() {
            return word.to_owned();
        }
        let parts = lower.split_inclusive(['-', '\'', '’']).flat_map(|part| {
            let mut letters = part.chars();
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters)
        });
        parts.collect()
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
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
        assert_eq!(run(steps, text), (expected.to_owned(), true), "{text}");
    }

    #[test]
    fn text_is_tidied() {
        check(&[Step::Trim, Step::CollapseSpaces], "  Ana   Maria ", "Ana Maria");
        check(&[Step::Nfc], "Sa\u{303}o", "São");
        check(&[Step::Trim, Step::Lower], " ANA@EXEMPLO.COM ", "ana@exemplo.com");
        check(&[Step::NameCase], "MARIA DA SILVA E SOUZA", "Maria da Silva e Souza");
        check(&[Step::NameCase], "ANA-MARIA d'ávila", "Ana-Maria D'Ávila");
        check(&[Step::NameCase], "Ronald McDonald", "Ronald McDonald");
        // A last name alone; a particle alone is a name, or an initial.
        check(&[Step::NameCase], "DE FREITAS", "de Freitas");
        check(&[Step::NameCase], "Dos Santos e silva", "dos Santos e Silva");
        check(&[Step::NameCase], "e", "E");
    }

    #[test]
    fn brazilian_phones_become_e164() {
        check(&[Step::PhoneBr], "(11) 98765-4321", "+5511987654321");
        check(&[Step::PhoneBr], "+55 11 987654321", "+5511987654321");
        check(&[Step::PhoneBr], "11987654321", "+5511987654321");
        assert_eq!(run(&[Step::PhoneBr], "ramal 12"), ("ramal 12".to_owned(), false));
    }
}
