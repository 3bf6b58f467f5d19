//! What somebody writes down of a patient or a practice: once as it is, more or less; a second time otherwise.

use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt};

use crate::person::{Cnpj, Email, GOOGLE, Person, Phone};
use crate::slip::{Touches, slip};

/// Share of entries without a birth date or a CNPJ.
const UNASKED: f64 = 0.1;
/// Share of second entries in which one thing is blank or another one: e-mail, phone, last name.
const LOST: f64 = 0.15;
/// Ways of writing a phone: of first entries, of all.
const STYLES: usize = 3;
const ALL_STYLES: usize = 5;

/// A contact's own values.
#[derive(Debug, Clone)]
pub(crate) struct ContactEntry {
    first: String,
    last: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    born: Option<String>,
}

/// A company's own values.
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
            phone: Some(phone.written(rng.random_range(0..STYLES))),
            born: (!rng.random_bool(UNASKED)).then(|| born.to_string()),
        }
    }

    /// A second entry of the same patient. E-mail, phone, or name and birth date stay: whoever shares nothing with the
    /// first is somebody else to any reader.
    pub(crate) fn second(&self, person: &Person, index: usize, rng: &mut ChaCha12Rng) -> Self {
        let Person { first, last, email, phone, born } = person;
        let [mut keeps_email, mut keeps_phone, keeps_last] = [(); 3].map(|()| !rng.random_bool(LOST));
        let keeps_born = !rng.random_bool(UNASKED);
        let keeps_name = keeps_last && self.last.is_some() && keeps_born && self.born.is_some();
        if !(keeps_email || keeps_phone || keeps_name) {
            (keeps_email, keeps_phone) = if rng.random_bool(0.5) { (true, false) } else { (false, true) };
        }
        let (other_email, other_phone) = (rng.random_bool(0.5), rng.random_bool(0.5));
        let email = if keeps_email {
            Some(written_again(email, rng))
        } else {
            // Of strangers' addresses none ends with a letter.
            other_email.then(|| format!("{}n@provedor.com.br", Email::of(first, last, index, rng).local))
        };
        let phone = if keeps_phone { Some(*phone) } else { other_phone.then(|| Phone::any(rng)) };
        Self {
            first: if rng.random_bool(0.1) { first.to_uppercase() } else { first.clone() },
            last: keeps_last.then(|| last.clone()),
            email,
            phone: phone.map(|phone| phone.written(rng.random_range(0..ALL_STYLES))),
            born: keeps_born.then(|| born.to_string()),
        }
    }

    /// With a slip of the pen in each value, at this chance.
    pub(crate) fn slipped(self, typos: f64, rng: &mut ChaCha12Rng) -> Self {
        let Self { first, last, email, phone, born } = self;
        let mut maybe = |text: String, touches| if rng.random_bool(typos) { slip(&text, touches, rng) } else { text };
        let of_local = |email: String, maybe: &mut dyn FnMut(String, Touches) -> String| match email.split_once('@') {
            Some((local, domain)) => format!("{}@{domain}", maybe(local.to_owned(), Touches::Letters)),
            None => email,
        };
        Self {
            first: maybe(first, Touches::Letters),
            last: last.map(|last| maybe(last, Touches::Letters)),
            email: email.map(|email| of_local(email, &mut maybe)),
            phone: phone.map(|phone| maybe(phone, Touches::Digits)),
            born: born.map(|born| maybe(born, Touches::Digits)),
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
    /// The first entry of a doctor of this name.
    pub(crate) fn first(name: &str, phone: Phone, cnpj: Cnpj, rng: &mut ChaCha12Rng) -> Self {
        Self {
            name: format!("Dr. {name}"),
            phone: Some(phone.written(rng.random_range(0..STYLES))),
            cnpj: written(cnpj, rng),
        }
    }

    /// A second entry of the same doctor, with the same phone or the same CNPJ.
    pub(crate) fn second(&self, name: &str, phone: Phone, cnpj: Cnpj, rng: &mut ChaCha12Rng) -> Self {
        let cnpj = written(cnpj, rng);
        let keeps_phone = !rng.random_bool(LOST) || cnpj.is_none() || self.cnpj.is_none();
        let other = rng.random_bool(0.5).then(|| Phone::any(rng));
        let phone = if keeps_phone { Some(phone) } else { other };
        let name = match rng.random_range(0..4) {
            0 => name.to_owned(),
            1 => format!("DR {}", name.to_uppercase()),
            _ => format!("Dr. {name}"),
        };
        Self { name, phone: phone.map(|phone| phone.written(rng.random_range(0..ALL_STYLES))), cnpj }
    }

    /// With a slip of the pen in name and phone, at this chance.
    pub(crate) fn slipped(self, typos: f64, rng: &mut ChaCha12Rng) -> Self {
        let mut maybe = |text: String, touches| if rng.random_bool(typos) { slip(&text, touches, rng) } else { text };
        let name = maybe(self.name, Touches::Letters);
        Self { name, phone: self.phone.map(|phone| maybe(phone, Touches::Digits)), ..self }
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

/// The same address in another case; at Google, which ignores them, with other dots or with a tag.
fn written_again(email: &Email, rng: &mut impl Rng) -> String {
    let Email { local, domain } = email;
    let local = match rng.random_range(0..4) {
        0 if *domain == GOOGLE => local.replace('.', ""),
        1 if *domain == GOOGLE => format!("{local}+clinica"),
        2 if *domain == GOOGLE => format!("{}.{}", &local[..1], &local[1..]),
        _ => local.clone(),
    };
    let email = format!("{local}@{domain}");
    match rng.random_range(0..4) {
        0 => email.to_uppercase(),
        1 => format!("{}{}", email[..1].to_uppercase(), &email[1..]),
        _ => email,
    }
}

/// Mostly as the tax office writes it.
fn written(cnpj: Cnpj, rng: &mut impl Rng) -> Option<String> {
    let shown = if rng.random_bool(0.25) { cnpj.bare() } else { cnpj.formatted() };
    (!rng.random_bool(UNASKED)).then_some(shown)
}
