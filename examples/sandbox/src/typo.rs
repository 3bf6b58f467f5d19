//! Typing errors: two neighbors swapped, or one character left out, doubled or replaced by another.

use rand::{Rng, RngExt};

/// The characters that a typo may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CharacterClass {
    /// Letters: for names.
    Letters,
    /// Digits: for phone numbers and dates.
    Digits,
}

/// Returns the text with one typo; unchanged if it has fewer than two characters of the class.
pub(crate) fn add_typo(text: &str, class: CharacterClass, rng: &mut impl Rng) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let is_in_class = |character: char| match class {
        CharacterClass::Letters => character.is_alphabetic(),
        CharacterClass::Digits => character.is_ascii_digit(),
    };
    let positions: Vec<usize> = (0..characters.len()).filter(|at| is_in_class(characters[*at])).collect();
    if positions.len() < 2 {
        return text.to_owned();
    }
    let pick = rng.random_range(0..positions.len());
    let (at, next) = (positions[pick], positions[(pick + 1).min(positions.len() - 1)]);
    match rng.random_range(0..4) {
        0 if characters[at] != characters[next] => characters.swap(at, next),
        1 => drop(characters.remove(at)),
        2 => characters.insert(at, characters[at]),
        _ => characters[at] = different_character(characters[at], rng),
    }
    characters.into_iter().collect()
}

/// Returns a random letter or digit that differs from this one.
fn different_character(character: char, rng: &mut impl Rng) -> char {
    let range = match character {
        '0'..='9' => b'0'..=b'9',
        'A'..='Z' => b'A'..=b'Z',
        _ => b'a'..=b'z',
    };
    loop {
        let other = char::from(rng.random_range(range.clone()));
        if other != character {
            return other;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha12Rng;

    use super::{CharacterClass, add_typo};

    /// Asserts that a typo changes the text, its length by at most one, and none of the characters in `is_kept`.
    fn check(text: &str, class: CharacterClass, is_kept: impl Fn(char) -> bool) {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        for _ in 0..200 {
            let mistyped = add_typo(text, class, &mut rng);
            assert_ne!(mistyped, text);
            assert!(mistyped.chars().count().abs_diff(text.chars().count()) <= 1, "{mistyped}");
            let kept = |text: &str| text.chars().filter(|character| is_kept(*character)).collect::<String>();
            assert_eq!(kept(&mistyped), kept(text), "{mistyped}");
        }
    }

    #[test]
    fn a_typo_changes_only_characters_of_its_class() {
        check("Conceição", CharacterClass::Letters, |character| character == ' ');
        check("ana.souza12", CharacterClass::Letters, |character| !character.is_alphabetic());
        check("+55 (11) 98765-4321", CharacterClass::Digits, |character| !character.is_ascii_digit());
        check("1980-05-12", CharacterClass::Digits, |character| character == '-');
        assert_eq!(add_typo("A", CharacterClass::Letters, &mut ChaCha12Rng::seed_from_u64(1)), "A");
    }
}
