//! The values that staff type into the CRM for a patient or a practice: a first entry with small variations, and a
//! duplicate entry that differs from it.

use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt};

use crate::person::{Cnpj, EmailAddress, GMAIL, Person, Phone};
use crate::typo::{CharacterClass, add_typo};

/// Share of entries without a birth date or a CNPJ.
const MISSING_RATE: f64 = 0.1;
/// Share of duplicate entries in which an e-mail address, phone or last name is blank or replaced, each on its own.
const CHANGED_RATE: f64 = 0.15;
/// Phone formats of first entries.
const CURRENT_PHONE_STYLES: usize = 3;
/// Phone formats of duplicate entries, including outdated ones.
const ALL_PHONE_STYLES: usize = 5;

/// The values of a contact.
#[derive(Debug, Clone)]
pub(crate) struct ContactEntry {
    first: String,
    last: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    born: Option<String>,
}

/// The values of a company.
#[derive(Debug, Clone)]
pub(crate) struct CompanyEntry {
    name: String,
    phone: Option<String>,
    cnpj: Option<String>,
}

impl ContactEntry {
    /// The first entry of a patient.
    pub(crate) fn first(person: &Person, missing_last_names: f64, rng: &mut ChaCha12Rng) -> Self {
        let Person { first, last, email, phone, born } = person;
        let email = format!("{}@{}", email.local, email.domain);
        let email = if rng.random_bool(0.1) { email.to_uppercase() } else { email };
        Self {
            last: (!rng.random_bool(missing_last_names)).then(|| last.clone()),
            first: if rng.random_bool(0.05) { format!(" {first}  ") } else { first.clone() },
            email: Some(email),
            phone: Some(phone.format(rng.random_range(0..CURRENT_PHONE_STYLES))),
            born: (!rng.random_bool(MISSING_RATE)).then(|| born.to_string()),
        }
    }

    /// A duplicate entry of the same patient. It keeps the e-mail address, the phone, or name and birth date: an entry
    /// that shares none of them could not be recognized as the same patient.
    pub(crate) fn duplicate(&self, person: &Person, index: usize, rng: &mut ChaCha12Rng) -> Self {
        let Person { first, last, email, phone, born } = person;
        let [mut keeps_email, mut keeps_phone, keeps_last] = [(); 3].map(|()| !rng.random_bool(CHANGED_RATE));
        let keeps_born = !rng.random_bool(MISSING_RATE);
        let keeps_name = keeps_last && self.last.is_some() && keeps_born && self.born.is_some();
        if !(keeps_email || keeps_phone || keeps_name) {
            (keeps_email, keeps_phone) = if rng.random_bool(0.5) { (true, false) } else { (false, true) };
        }
        let (has_other_email, has_other_phone) = (rng.random_bool(0.5), rng.random_bool(0.5));
        let email = if keeps_email {
            Some(vary_email(email, rng))
        } else {
            // Other patients' addresses end with a digit, so the letter makes this one unique.
            has_other_email.then(|| format!("{}n@provedor.com.br", EmailAddress::random(first, last, index, rng).local))
        };
        let phone = if keeps_phone { Some(*phone) } else { has_other_phone.then(|| Phone::random(rng)) };
        Self {
            first: if rng.random_bool(0.1) { first.to_uppercase() } else { first.clone() },
            last: keeps_last.then(|| last.clone()),
            email,
            phone: phone.map(|phone| phone.format(rng.random_range(0..ALL_PHONE_STYLES))),
            born: keeps_born.then(|| born.to_string()),
        }
    }

    /// Adds a typo to each value with the given probability.
    pub(crate) fn with_typos(self, typos: f64, rng: &mut ChaCha12Rng) -> Self {
        let Self { first, last, email, phone, born } = self;
        let mut maybe = |text: String, class| if rng.random_bool(typos) { add_typo(&text, class, rng) } else { text };
        let in_local_part =
            |email: String, maybe: &mut dyn FnMut(String, CharacterClass) -> String| match email.split_once('@') {
                Some((local, domain)) => format!("{}@{domain}", maybe(local.to_owned(), CharacterClass::Letters)),
                None => email,
            };
        Self {
            first: maybe(first, CharacterClass::Letters),
            last: last.map(|last| maybe(last, CharacterClass::Letters)),
            email: email.map(|email| in_local_part(email, &mut maybe)),
            phone: phone.map(|phone| maybe(phone, CharacterClass::Digits)),
            born: born.map(|born| maybe(born, CharacterClass::Digits)),
        }
    }

    /// The value of a property.
    pub(crate) fn value(&self, property: &str) -> Option<String> {
        match property {
            "firstname" => Some(self.first.clone()),
            "lastname" => self.last.clone(),
            "email" => self.email.clone(),
            "phone" => self.phone.clone(),
            "date_of_birth" => self.born.clone(),
            _ => None,
        }
    }
}

impl CompanyEntry {
    /// The first entry of a doctor.
    pub(crate) fn first(name: &str, phone: Phone, cnpj: Cnpj, rng: &mut ChaCha12Rng) -> Self {
        Self {
            name: format!("Dr. {name}"),
            phone: Some(phone.format(rng.random_range(0..CURRENT_PHONE_STYLES))),
            cnpj: format_cnpj(cnpj, rng),
        }
    }

    /// A duplicate entry of the same doctor, with the same phone or the same CNPJ.
    pub(crate) fn duplicate(&self, name: &str, phone: Phone, cnpj: Cnpj, rng: &mut ChaCha12Rng) -> Self {
        let cnpj = format_cnpj(cnpj, rng);
        let keeps_phone = !rng.random_bool(CHANGED_RATE) || cnpj.is_none() || self.cnpj.is_none();
        let other = rng.random_bool(0.5).then(|| Phone::random(rng));
        let phone = if keeps_phone { Some(phone) } else { other };
        let name = match rng.random_range(0..4) {
            0 => name.to_owned(),
            1 => format!("DR {}", name.to_uppercase()),
            _ => format!("Dr. {name}"),
        };
        Self { name, phone: phone.map(|phone| phone.format(rng.random_range(0..ALL_PHONE_STYLES))), cnpj }
    }

    /// Adds a typo to name and phone, each with the given probability.
    pub(crate) fn with_typos(self, typos: f64, rng: &mut ChaCha12Rng) -> Self {
        let mut maybe = |text: String, class| if rng.random_bool(typos) { add_typo(&text, class, rng) } else { text };
        let name = maybe(self.name, CharacterClass::Letters);
        Self { name, phone: self.phone.map(|phone| maybe(phone, CharacterClass::Digits)), ..self }
    }

    /// The value of a property.
    pub(crate) fn value(&self, property: &str) -> Option<String> {
        match property {
            "name" => Some(self.name.clone()),
            "phone" => self.phone.clone(),
            "cnpj" => self.cnpj.clone(),
            _ => None,
        }
    }
}

/// Writes an address differently: in another case and, at Gmail, which ignores both, with other dots or a tag.
fn vary_email(email: &EmailAddress, rng: &mut impl Rng) -> String {
    let EmailAddress { local, domain } = email;
    let local = match rng.random_range(0..4) {
        0 if *domain == GMAIL => local.replace('.', ""),
        1 if *domain == GMAIL => format!("{local}+clinica"),
        2 if *domain == GMAIL => format!("{}.{}", &local[..1], &local[1..]),
        _ => local.clone(),
    };
    let email = format!("{local}@{domain}");
    match rng.random_range(0..4) {
        0 => email.to_uppercase(),
        1 => format!("{}{}", email[..1].to_uppercase(), &email[1..]),
        _ => email,
    }
}

/// Formats a CNPJ, mostly with punctuation, sometimes without; `None` if it was not entered.
fn format_cnpj(cnpj: Cnpj, rng: &mut impl Rng) -> Option<String> {
    let text = if rng.random_bool(0.25) { cnpj.bare() } else { cnpj.formatted() };
    (!rng.random_bool(MISSING_RATE)).then_some(text)
}
