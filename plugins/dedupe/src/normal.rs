//! Values as they are compared: brought to one form, and when two of them are a slip of the pen apart.

use plugin_sdk::prelude::*;
use plugin_sdk::text::fold;

/// How a column's values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// As it is, but for outer spaces.
    Exact,
    /// Without case, accents and punctuation.
    Text,
    /// A person's name: as `text`, and without titles such as `Dr.`.
    Name,
    /// An e-mail address: without case; without the tag after `+`, and at Google without dots, which the provider ignores.
    Email,
    /// A phone number: its digits, without Brazil's country code, leading zeros and the ninth digit of mobiles.
    Phone,
    /// A number such as CPF or CNPJ: letters and digits alone.
    Document,
}

/// Providers that ignore a tag after `+`.
const TAGGED: [&str; 11] = [
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "outlook.com.br",
    "hotmail.com",
    "live.com",
    "icloud.com",
    "me.com",
    "fastmail.com",
    "proton.me",
    "protonmail.com",
];
const TITLES: [&str; 8] = ["dr", "dra", "prof", "profa", "sr", "sra", "srta", "mr"];
/// Shorter values are compared as they are: a letter is too much of them.
const SHORTEST: usize = 4;
/// From here on, two slips are still one value.
const LONG: usize = 10;

impl Kind {
    /// A value in the form that is compared; none where it says nothing.
    pub(crate) fn normal(self, value: &str) -> Option<String> {
        let value = value.trim();
        let normal = match self {
            Self::Exact => value.to_owned(),
            Self::Text => fold(value),
            Self::Name => {
                let folded = fold(value);
                let words: Vec<_> = folded.split(' ').filter(|word| !TITLES.contains(word)).collect();
                words.join(" ")
            }
            Self::Email => email(value)?,
            Self::Phone => phone(value)?,
            Self::Document => value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase(),
        };
        Some(normal).filter(|normal| !normal.is_empty())
    }

    /// Whether two values in that form are the same or a slip of the pen apart: letters swapped, left out, doubled.
    pub(crate) fn is_near(self, left: &str, right: &str) -> bool {
        if left == right {
            return true;
        }
        let shorter = left.chars().count().min(right.chars().count());
        let allowed = match self {
            Self::Exact => 0,
            _ if shorter < SHORTEST => 0,
            Self::Phone | Self::Document => 1,
            _ if shorter < LONG => 1,
            _ => 2,
        };
        allowed > 0 && strsim::osa_distance(left, right) <= allowed && !(self == Self::Name && are_a_pair(left, right))
    }
}

/// Names that a last vowel alone tells apart are two people's: Paulo and Paula.
fn are_a_pair(left: &str, right: &str) -> bool {
    let mut words = left.split(' ').zip(right.split(' '));
    let is_pair = |(left, right): (&str, &str)| {
        let stem = |word: &str| word.strip_suffix(['a', 'e', 'o']).map(str::to_owned);
        left != right && stem(left).is_some() && (stem(left) == stem(right) || stem(left).as_deref() == Some(right))
            || left != right && stem(right).is_some() && stem(right).as_deref() == Some(left)
    };
    words.any(is_pair)
}

fn email(value: &str) -> Option<String> {
    let lower = value.to_lowercase();
    let (local, domain) = lower.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && domain.contains('.'))?;
    let tagged = TAGGED.contains(&domain);
    let local = if tagged { local.split('+').next().unwrap_or(local) } else { local };
    let is_google = domain == "gmail.com" || domain == "googlemail.com";
    let local = if is_google { local.replace('.', "") } else { local.to_owned() };
    let domain = if is_google { "gmail.com" } else { domain };
    Some(format!("{local}@{domain}"))
}

fn phone(value: &str) -> Option<String> {
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let local = match digits.strip_prefix("55") {
        Some(rest) if digits.len() >= 12 => rest.trim_start_matches('0'),
        _ => digits,
    };
    // Mobiles got a ninth digit in front: old entries lack it.
    let local = match local.as_bytes() {
        [_, _, b'9', ..] if local.len() == 11 => format!("{}{}", &local[..2], &local[3..]),
        _ => local.to_owned(),
    };
    let first = local.chars().next()?;
    let is_one_digit = local.chars().all(|digit| digit == first);
    (local.len() >= 8 && !is_one_digit).then_some(local)
}

#[cfg(test)]
mod tests {
    use super::Kind;

    fn check(kind: Kind, value: &str, expected: Option<&str>) {
        assert_eq!(kind.normal(value).as_deref(), expected, "{value}");
    }

    #[test]
    fn values_come_to_one_form() {
        check(Kind::Exact, "  A b ", Some("A b"));
        check(Kind::Text, "São  Paulo!", Some("sao paulo"));
        check(Kind::Name, "Dra. JÚLIA d'Ávila", Some("julia d avila"));
        check(Kind::Name, "  Dr. ", None);
        check(Kind::Email, " Ana.Souza+clinica@Gmail.com ", Some("anasouza@gmail.com"));
        check(Kind::Email, "ana.souza+x@googlemail.com", Some("anasouza@gmail.com"));
        check(Kind::Email, "ana.souza+x@outlook.com", Some("ana.souza@outlook.com"));
        check(Kind::Email, "Ana+x@clinica.com.br", Some("ana+x@clinica.com.br"));
        check(Kind::Email, "nao tem", None);
        check(Kind::Email, "@clinica.com", None);
        check(Kind::Phone, "+55 (11) 98765-4321", Some("1187654321"));
        check(Kind::Phone, "011 8765-4321", Some("1187654321"));
        check(Kind::Phone, "11987654321", Some("1187654321"));
        check(Kind::Phone, "55 3232-1234", Some("5532321234"));
        check(Kind::Phone, "00000-0000", None);
        check(Kind::Phone, "9999999999", None);
        check(Kind::Phone, "ramal 12", None);
        check(Kind::Document, "12.abc.345/01DE-35", Some("12ABC34501DE35"));
    }

    fn near(kind: Kind, left: &str, right: &str, expected: bool) {
        assert_eq!(kind.is_near(left, right), expected, "{left} and {right}");
        assert_eq!(kind.is_near(right, left), expected, "{right} and {left}");
    }

    #[test]
    fn slips_are_near_and_other_people_are_not() {
        near(Kind::Name, "marcia", "marica", true);
        near(Kind::Name, "fernanda", "fernnda", true);
        near(Kind::Name, "albuquerque melo", "albuqerque mello", true);
        near(Kind::Name, "maria", "mariana", false);
        near(Kind::Name, "paulo", "paula", false);
        near(Kind::Name, "gabriel", "gabriela", false);
        near(Kind::Name, "ana", "ane", false);
        near(Kind::Email, "anasouza@gmail.com", "anasuoza@gmail.com", true);
        near(Kind::Phone, "1187654321", "1187654312", true);
        near(Kind::Phone, "1187654321", "1187650021", false);
        near(Kind::Exact, "abcdef", "abcdeg", false);
    }
}
