//! Slips of the pen: neighbours swapped, a letter left out, doubled, or replaced by another.

use rand::{Rng, RngExt};

/// What a slip may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touches {
    /// Letters: names.
    Letters,
    /// Digits: phones and dates.
    Digits,
}

/// The text with one slip; as it is where it has nothing to slip on.
pub(crate) fn slip(text: &str, touches: Touches, rng: &mut impl Rng) -> String {
    let mut signs: Vec<char> = text.chars().collect();
    let is_touched = |sign: char| match touches {
        Touches::Letters => sign.is_alphabetic(),
        Touches::Digits => sign.is_ascii_digit(),
    };
    let places: Vec<usize> = (0..signs.len()).filter(|at| is_touched(signs[*at])).collect();
    if places.len() < 2 {
        return text.to_owned();
    }
    let pick = rng.random_range(0..places.len());
    let (at, next) = (places[pick], places[(pick + 1).min(places.len() - 1)]);
    match rng.random_range(0..4) {
        0 if signs[at] != signs[next] => signs.swap(at, next),
        1 => drop(signs.remove(at)),
        2 => signs.insert(at, signs[at]),
        _ => signs[at] = another(signs[at], rng),
    }
    signs.into_iter().collect()
}

/// Another letter or digit than this one.
fn another(sign: char, rng: &mut impl Rng) -> char {
    let among = match sign {
        '0'..='9' => b'0'..=b'9',
        'A'..='Z' => b'A'..=b'Z',
        _ => b'a'..=b'z',
    };
    loop {
        let other = char::from(rng.random_range(among.clone()));
        if other != sign {
            return other;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha12Rng;

    use super::{Touches, slip};

    fn check(text: &str, touches: Touches, keeps: impl Fn(char) -> bool) {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        for _ in 0..200 {
            let slipped = slip(text, touches, &mut rng);
            assert_ne!(slipped, text);
            assert!(slipped.chars().count().abs_diff(text.chars().count()) <= 1, "{slipped}");
            let kept = |text: &str| text.chars().filter(|sign| keeps(*sign)).collect::<String>();
            assert_eq!(kept(&slipped), kept(text), "{slipped}");
        }
    }

    #[test]
    fn one_letter_or_digit_slips() {
        check("Conceição", Touches::Letters, |sign| sign == ' ');
        check("ana.souza12", Touches::Letters, |sign| !sign.is_alphabetic());
        check("+55 (11) 98765-4321", Touches::Digits, |sign| !sign.is_ascii_digit());
        check("1980-05-12", Touches::Digits, |sign| sign == '-');
        assert_eq!(slip("A", Touches::Letters, &mut ChaCha12Rng::seed_from_u64(1)), "A");
    }
}
