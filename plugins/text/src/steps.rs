//! The steps: each takes a text and gives back a better one.

use std::borrow::Cow;

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

/// Runs the steps; false where a step could not read the text, which then stays as it was before that step. What no step
/// changes is not copied.
pub(crate) fn run<'a>(steps: &[Step], text: &'a str) -> (Cow<'a, str>, bool) {
    let mut text = Cow::Borrowed(text);
    let mut readable = true;
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
                readable &= phone.is_some() || text.is_empty();
                phone
            }
        };
        text = changed.map_or(text, Cow::Owned);
    }
    (text, readable)
}

/// Whether there is one space, and no other, between words and none around them.
fn is_collapsed(text: &str) -> bool {
    let mut before = ' ';
    let is_whole = text.chars().all(|letter| {
        let fits = !letter.is_whitespace() || (letter == ' ' && before != ' ');
        before = letter;
        fits
    });
    is_whole && (text.is_empty() || before != ' ')
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
    // No Brazilian first name begins with a particle, so that one that leads is of a last name.
    let is_alone = !text.contains(' ');
    let mut name = String::with_capacity(text.len());
    for (place, word) in text.split(' ').enumerate() {
        if place > 0 {
            name.push(' ');
        }
        let lower = word.to_lowercase();
        if !is_alone && ["da", "de", "do", "das", "dos", "e"].contains(&lower.as_str()) {
            name.push_str(&lower);
        } else if word != lower && word != word.to_uppercase() {
            name.push_str(word);
        } else {
            let mut begins = true;
            for letter in lower.chars() {
                if begins {
                    name.extend(letter.to_uppercase());
                } else {
                    name.push(letter);
                }
                begins = ['-', '\'', '’'].contains(&letter);
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
    fn text_is_tidied() {
        check(&[Step::Trim, Step::CollapseSpaces], "  Ana   Maria ", "Ana Maria");
        check(&[Step::CollapseSpaces], "Ana\u{a0}Maria ", "Ana Maria");
        check(&[Step::CollapseSpaces], "", "");
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
        assert_eq!(run(&[Step::PhoneBr], "ramal 12"), ("ramal 12".into(), false));
    }
}
