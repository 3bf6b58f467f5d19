//! Ground truth about people: names, e-mail addresses, phone numbers, birth dates, and tax ids of practices.

use fake::Fake;
use fake::faker::name::raw::{FirstName, LastName};
use fake::locales::PT_BR;
use jiff::ToSpan;
use jiff::civil::Date;
use rand::RngExt;
use rand::rngs::ChaCha12Rng;

/// A patient's true data.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) email: EmailAddress,
    pub(crate) phone: Phone,
    pub(crate) born: Date,
}

/// An e-mail address.
#[derive(Debug, Clone)]
pub(crate) struct EmailAddress {
    /// Ends with the patient's index, so that it stays unique without dots and tags.
    pub(crate) local: String,
    pub(crate) domain: &'static str,
}

/// A mobile phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Phone {
    area: u32,
    front: u32,
    back: u32,
}

/// A CNPJ, the tax id of a Brazilian company: fourteen digits, the last two are check digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cnpj(u64);

/// The domain whose addresses ignore dots and tags.
pub(crate) const GMAIL: &str = "gmail.com";
const OTHER_DOMAIN: &str = "exemplo.com.br";
/// Share of patients with a Gmail address.
const GMAIL_RATE: f64 = 0.3;
/// Share of relatives whose first names differ in the last letter only, such as Paulo and Paula.
const COUNTERPART_RATE: f64 = 0.1;

impl Person {
    /// A random person; `index` is the patient's.
    pub(crate) fn random(index: usize, rng: &mut ChaCha12Rng) -> Self {
        Self::named(first_name(rng), last_name(rng), index, rng)
    }

    /// A random person of this name.
    pub(crate) fn named(first: String, last: String, index: usize, rng: &mut ChaCha12Rng) -> Self {
        let email = EmailAddress::random(&first, &last, index, rng);
        Self { first, last, email, phone: Phone::random(rng), born: birth_date(rng) }
    }

    /// A member of the same household: the same last name, and the same phone, e-mail address, or both.
    pub(crate) fn relative(&self, index: usize, rng: &mut ChaCha12Rng) -> Self {
        let counterpart = counterpart(&self.first).filter(|_| rng.random_bool(COUNTERPART_RATE));
        let first = counterpart.unwrap_or_else(|| other_first_name(&self.first, rng));
        let own = Self::named(first, self.last.clone(), index, rng);
        let shared = rng.random_range(0..3);
        let born = if own.born == self.born { own.born.tomorrow().unwrap_or(own.born) } else { own.born };
        Self {
            email: if shared == 1 { own.email.clone() } else { self.email.clone() },
            phone: if shared == 2 { own.phone } else { self.phone },
            born,
            ..own
        }
    }
}

impl EmailAddress {
    /// A random address of this patient.
    pub(crate) fn random(first: &str, last: &str, index: usize, rng: &mut ChaCha12Rng) -> Self {
        let local = format!("{}.{}{index}", ascii(first), ascii(last));
        Self { local, domain: if rng.random_bool(GMAIL_RATE) { GMAIL } else { OTHER_DOMAIN } }
    }
}

impl Phone {
    /// A random number.
    pub(crate) fn random(rng: &mut ChaCha12Rng) -> Self {
        let area = [11, 21, 31, 41, 51, 81][rng.random_range(0..6)];
        Self { area, front: rng.random_range(8000..9999), back: rng.random_range(0..10_000) }
    }

    /// Formats the number in one of five styles: 0 to 2 are current, 3 and 4 are outdated.
    pub(crate) fn format(self, style: usize) -> String {
        let Self { area, front, back } = self;
        match style {
            0 => format!("({area}) 9{front}-{back:04}"),
            1 => format!("+55 {area} 9{front}{back:04}"),
            2 => format!("{area}9{front}{back:04}"),
            3 => format!("0{area} 9{front} {back:04}"),
            // The old eight-digit format: mobile numbers have had nine digits since 2016.
            _ => format!("({area}) {front}-{back:04}"),
        }
    }
}

impl Cnpj {
    /// A random number of a head office (branch 0001).
    pub(crate) fn random(rng: &mut ChaCha12Rng) -> Self {
        let mut number = rng.random_range(1_000_000..100_000_000) * 10_000 + 1;
        for _ in 0..2 {
            number = number * 10 + check_digit(number);
        }
        Self(number)
    }

    /// Fourteen digits without punctuation.
    pub(crate) fn bare(self) -> String {
        format!("{:014}", self.0)
    }

    /// `00.000.000/0000-00`.
    pub(crate) fn formatted(self) -> String {
        let digits = self.bare();
        format!("{}.{}.{}/{}-{}", &digits[..2], &digits[2..5], &digits[5..8], &digits[8..12], &digits[12..])
    }
}

/// Computes a CNPJ check digit. From the last digit on, weights run from 2 to 9 and repeat; the digit is 11 minus the
/// weighted sum modulo 11, or 0 if that remainder is below 2.
fn check_digit(number: u64) -> u64 {
    let (mut left, mut weight, mut sum) = (number, 2, 0);
    while left > 0 {
        sum += left % 10 * weight;
        weight = if weight == 9 { 2 } else { weight + 1 };
        left /= 10;
    }
    if sum % 11 < 2 { 0 } else { 11 - sum % 11 }
}

/// A random Brazilian first name.
pub(crate) fn first_name(rng: &mut ChaCha12Rng) -> String {
    FirstName(PT_BR).fake_with_rng(rng)
}

/// A random Brazilian last name.
pub(crate) fn last_name(rng: &mut ChaCha12Rng) -> String {
    LastName(PT_BR).fake_with_rng(rng)
}

fn other_first_name(name: &str, rng: &mut ChaCha12Rng) -> String {
    loop {
        let other = first_name(rng);
        if ascii(&other) != ascii(name) {
            return other;
        }
    }
}

/// Swaps a final `o` and `a`, as in Paulo and Paula; `None` for short names and other endings.
fn counterpart(name: &str) -> Option<String> {
    let other = |last, other| name.strip_suffix(last).map(|stem| format!("{stem}{other}"));
    other('o', 'a').or_else(|| other('a', 'o')).filter(|name| name.len() > 4)
}

/// A random date from 1931 to 2015.
fn birth_date(rng: &mut ChaCha12Rng) -> Date {
    Date::constant(1931, 1, 1) + rng.random_range(0..31_000).days()
}

/// Lowercases a name, removes accents and everything that is not a letter or digit.
fn ascii(text: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        'á' | 'â' | 'ã' | 'à' | 'Á' | 'Â' => Some('a'),
        'é' | 'ê' | 'É' | 'Ê' => Some('e'),
        'í' | 'Í' => Some('i'),
        'ó' | 'ô' | 'õ' | 'Ó' => Some('o'),
        'ú' | 'Ú' => Some('u'),
        'ç' => Some('c'),
        c if c.is_ascii_alphanumeric() => Some(c),
        _ => None,
    };
    text.chars().filter_map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::{Cnpj, check_digit, counterpart};

    #[test]
    fn cnpj_check_digits_are_computed() {
        assert_eq!(check_digit(112_223_330_001), 8);
        assert_eq!(check_digit(1_122_233_300_018), 1);
        assert_eq!(Cnpj(11_222_333_000_181).formatted(), "11.222.333/0001-81");
        assert_eq!(Cnpj(1_222_333_000_181).bare(), "01222333000181");
    }

    #[test]
    fn counterparts_swap_the_last_letter() {
        assert_eq!(counterpart("Paulo").as_deref(), Some("Paula"));
        assert_eq!(counterpart("Camila").as_deref(), Some("Camilo"));
        assert_eq!(counterpart("Ana"), None);
        assert_eq!(counterpart("Beatriz"), None);
    }
}
