//! The forms in which values are compared: how they are normalized, and when two of them are almost equal.

use plugin_sdk::prelude::*;
use plugin_sdk::text::fold;

/// The form in which the values of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// The value without spaces at its start and end.
    Exact,
    /// Text without case, accents and punctuation.
    Text,
    /// A person's name: like `text`, and without titles such as `Dr.`.
    Name,
    /// An e-mail address without case, without the tag after `+` at providers that ignore it, and without dots at Google.
    Email,
    /// The digits of a phone number, without Brazil's country code, leading zeros and the ninth digit of mobile numbers.
    Phone,
    /// The letters and digits of a number such as a CPF or CNPJ.
    Document,
}

/// The providers that ignore a tag after `+`.
const IGNORE_TAGS: [&str; 11] = [
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
/// The characters from which one edit is accepted. In a shorter value, one edit makes a different one.
const ONE_EDIT_FROM: usize = 4;
/// The characters from which two edits are accepted.
const TWO_EDITS_FROM: usize = 10;

impl Form {
    /// The normalized value; none if nothing is left of it.
    pub(crate) fn normalize(self, value: &str) -> Option<String> {
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

    /// Whether two normalized values are equal, or differ only by a typing error. An edit adds, removes or replaces a
    /// character, or swaps two.
    pub(crate) fn is_almost_equal(self, left: &str, right: &str) -> bool {
        if left == right {
            return true;
        }
        let shorter = left.chars().count().min(right.chars().count());
        let allowed = match self {
            Self::Exact => 0,
            _ if shorter < ONE_EDIT_FROM => 0,
            Self::Phone | Self::Document => 1,
            _ if shorter < TWO_EDITS_FROM => 1,
            _ => 2,
        };
        allowed > 0
            && strsim::osa_distance(left, right) <= allowed
            && !(self == Self::Name && differ_in_last_vowel(left, right))
    }
}

/// Whether a word of two names differs only in its last vowel: Paulo and Paula are different people.
fn differ_in_last_vowel(left: &str, right: &str) -> bool {
    let mut words = left.split(' ').zip(right.split(' '));
    let differs = |(left, right): (&str, &str)| {
        let stem = |word: &str| word.strip_suffix(['a', 'e', 'o']).map(str::to_owned);
        left != right && stem(left).is_some() && (stem(left) == stem(right) || stem(left).as_deref() == Some(right))
            || left != right && stem(right).is_some() && stem(right).as_deref() == Some(left)
    };
    words.any(differs)
}

fn email(value: &str) -> Option<String> {
    let lower = value.to_lowercase();
    let (local, domain) = lower.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && domain.contains('.'))?;
    let ignores_tags = IGNORE_TAGS.contains(&domain);
    let local = if ignores_tags { local.split('+').next().unwrap_or(local) } else { local };
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
    // Brazilian mobile numbers got a ninth digit, a 9 at their start, by 2016; older entries lack it.
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
    use super::Form;

    fn check(form: Form, value: &str, expected: Option<&str>) {
        assert_eq!(form.normalize(value).as_deref(), expected, "{value}");
    }

    #[test]
    fn values_are_normalized() {
        check(Form::Exact, "  A b ", Some("A b"));
        check(Form::Text, "São  Paulo!", Some("sao paulo"));
        check(Form::Name, "Dra. JÚLIA d'Ávila", Some("julia d avila"));
        check(Form::Name, "  Dr. ", None);
        check(Form::Email, " Ana.Souza+clinica@Gmail.com ", Some("anasouza@gmail.com"));
        check(Form::Email, "ana.souza+x@googlemail.com", Some("anasouza@gmail.com"));
        check(Form::Email, "ana.souza+x@outlook.com", Some("ana.souza@outlook.com"));
        check(Form::Email, "Ana+x@clinica.com.br", Some("ana+x@clinica.com.br"));
        check(Form::Email, "nao tem", None);
        check(Form::Email, "@clinica.com", None);
        check(Form::Phone, "+55 (11) 98765-4321", Some("1187654321"));
        check(Form::Phone, "011 8765-4321", Some("1187654321"));
        check(Form::Phone, "11987654321", Some("1187654321"));
        check(Form::Phone, "55 3232-1234", Some("5532321234"));
        check(Form::Phone, "00000-0000", None);
        check(Form::Phone, "9999999999", None);
        check(Form::Phone, "ramal 12", None);
        check(Form::Document, "12.abc.345/01DE-35", Some("12ABC34501DE35"));
    }

    fn check_almost_equal(form: Form, left: &str, right: &str, expected: bool) {
        assert_eq!(form.is_almost_equal(left, right), expected, "{left} and {right}");
        assert_eq!(form.is_almost_equal(right, left), expected, "{right} and {left}");
    }

    #[test]
    fn typing_errors_are_almost_equal_and_other_names_are_not() {
        check_almost_equal(Form::Name, "marcia", "marica", true);
        check_almost_equal(Form::Name, "fernanda", "fernnda", true);
        check_almost_equal(Form::Name, "albuquerque melo", "albuqerque mello", true);
        check_almost_equal(Form::Name, "maria", "mariana", false);
        check_almost_equal(Form::Name, "paulo", "paula", false);
        check_almost_equal(Form::Name, "gabriel", "gabriela", false);
        check_almost_equal(Form::Name, "ana", "ane", false);
        check_almost_equal(Form::Email, "anasouza@gmail.com", "anasuoza@gmail.com", true);
        check_almost_equal(Form::Phone, "1187654321", "1187654312", true);
        check_almost_equal(Form::Phone, "1187654321", "1187650021", false);
        check_almost_equal(Form::Exact, "abcdef", "abcdeg", false);
    }
}
