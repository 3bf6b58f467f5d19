//! Generates the clinic network from a seed: records with known data errors, and the ground truth about them.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt, SeedableRng};

use crate::clinic::{CHANNELS, CITIES, PIPELINE, SPECIALTIES, STAGES};
use crate::data_entry::{CompanyEntry, ContactEntry};
use crate::network::{Consultation, Doctor, Network, Patient, iso};
use crate::object_types::{CALCULATED_PROPERTY, ObjectType};
use crate::person::{Cnpj, Person, Phone, first_name, last_name};

/// Size, seed and data errors of the generated network. Shares and probabilities are from 0 to 1.
#[derive(Debug, Clone)]
pub struct GeneratorOptions {
    /// The seed. The same options make the same network.
    pub seed: u64,
    /// Number of patients, duplicates not counted.
    pub patients: usize,
    /// The last day with data.
    pub until: Date,
    /// Share of patients and doctors that are entered twice.
    pub duplicates: f64,
    /// Share of patients whose last name is missing.
    pub missing_last_names: f64,
    /// Share of companies whose specialty is misspelled.
    pub misspelled: f64,
    /// Share of deals without an associated company.
    pub unlinked: f64,
    /// Probability of a typo in each field of a duplicate.
    pub typos: f64,
    /// Share of patients who are relatives of the previous one: the same last name, and the same phone, e-mail or both.
    pub families: f64,
    /// Share of patients who have the first and last name of an earlier one.
    pub namesakes: f64,
    /// Whether to generate records of every object type, not only companies, contacts and deals.
    pub everything: bool,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            patients: 2000,
            until: Date::constant(2026, 10, 31),
            duplicates: 0.03,
            missing_last_names: 0.05,
            misspelled: 0.6,
            unlinked: 0.06,
            typos: 0.0,
            families: 0.04,
            namesakes: 0.01,
            everything: false,
        }
    }
}

/// A network under construction.
struct Generator<'a> {
    options: &'a GeneratorOptions,
    rng: ChaCha12Rng,
    /// A separate generator for typos, so that all other data is the same with and without them.
    typo_rng: ChaCha12Rng,
    network: Network,
    previous: Option<Person>,
    /// First and last names of all patients so far.
    names: Vec<(String, String)>,
}

impl Network {
    /// Generates a network.
    #[must_use]
    pub fn generate(options: &GeneratorOptions) -> Self {
        let mut generator = Generator {
            options,
            rng: ChaCha12Rng::seed_from_u64(options.seed),
            typo_rng: ChaCha12Rng::seed_from_u64(options.seed ^ 0x0005_1195),
            network: Self::default(),
            previous: None,
            names: Vec::new(),
        };
        let doctors = (options.patients / 40).max(10);
        (0..doctors).for_each(|_| generator.add_doctor());
        (0..options.patients).for_each(|index| generator.add_patient(index));
        let mut network = generator.network;
        if options.everything {
            network.add_other_objects(options);
        }
        network
    }
}

impl Generator<'_> {
    /// Adds a doctor with one company, or two if entered twice.
    fn add_doctor(&mut self) {
        let rng = &mut self.rng;
        let specialty = rng.random_range(0..SPECIALTIES.len());
        let name = format!("{} {}", first_name(rng), last_name(rng));
        let created = instant(first_day(self.options) - 30.days(), 9, rng);
        let owner = (7001 + rng.random_range(0..3)).to_string();
        let (phone, cnpj) = (Phone::random(rng), Cnpj::random(rng));
        let entry = CompanyEntry::first(&name, phone, cnpj, rng);
        let mut entries = vec![entry];
        if rng.random_bool(self.options.duplicates) {
            let duplicate = entries[0].duplicate(&name, phone, cnpj, rng);
            entries.push(duplicate.with_typos(self.options.typos, &mut self.typo_rng));
        }
        let mut companies = Vec::new();
        for (at, entry) in (created..).step_by(86_400_000).zip(&entries) {
            // Each entry has its own spelling of the specialty.
            let spelling = spell(specialty, self.options.misspelled, &mut self.rng);
            companies.push(self.network.add(ObjectType::Company, at, |property| match property {
                "especialidade_medica" => Some(spelling.to_owned()),
                "city" => Some(CITIES[specialty % CITIES.len()].to_owned()),
                "hubspot_owner_id" => Some(owner.clone()),
                _ => entry.value(property),
            }));
        }
        self.network.doctors.push(Doctor { specialty, companies });
    }

    /// Makes a person: a relative of the previous one, a namesake of an earlier one, or neither.
    fn person(&mut self, index: usize) -> Person {
        let rng = &mut self.rng;
        let (is_relative, is_namesake) =
            (rng.random_bool(self.options.families), rng.random_bool(self.options.namesakes));
        let person = match &self.previous {
            Some(previous) if is_relative => previous.relative(index, rng),
            Some(_) if is_namesake => {
                let (first, last) = self.names[rng.random_range(0..self.names.len())].clone();
                Person::named(first, last, index, rng)
            }
            _ => Person::random(index, rng),
        };
        self.names.push((person.first.clone(), person.last.clone()));
        self.previous = Some(person.clone());
        person
    }

    /// Adds a patient with one contact, or two if entered twice, and all consultations.
    fn add_patient(&mut self, index: usize) {
        let person = self.person(index);
        let (options, rng) = (self.options, &mut self.rng);
        let channel = pick_channel(rng);
        let (_, source, detail, _, retention) = CHANNELS[channel];
        let days = (options.until - first_day(options)).get_days();
        // The square root makes later days more likely: the network grows.
        let day = f64::from(days) * rng.random_range(0.0f64..1.0).sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "a day within three years")]
        let first_contact = first_day(options) + (day as i32).days();
        let created = instant(first_contact, 8, rng);
        let city = CITIES[rng.random_range(0..CITIES.len())];
        let entry = ContactEntry::first(&person, options.missing_last_names, rng);
        let mut entries = vec![entry];
        if rng.random_bool(options.duplicates) {
            let duplicate = entries[0].duplicate(&person, index, rng);
            entries.push(duplicate.with_typos(options.typos, &mut self.typo_rng));
        }
        let doctor = rng.random_range(0..self.network.doctors.len());
        let company = self.network.doctors[doctor].companies[0];
        let mut contacts = Vec::new();
        for (at, entry) in (created..).step_by(3_600_000).zip(&entries) {
            let contact = self.network.add(ObjectType::Contact, at, |property| match property {
                "city" => Some(city.to_owned()),
                "lifecyclestage" => Some("customer".to_owned()),
                "hs_analytics_source" => Some(source.to_owned()),
                "hs_analytics_source_data_1" => Some(detail.to_owned()),
                _ => entry.value(property),
            });
            self.network.associate(ObjectType::Contact, contact, ObjectType::Company, company);
            contacts.push(contact);
        }
        self.network.patients.push(Patient { channel, doctor, contacts });
        self.add_consultations(index, doctor, &person.first, first_contact, retention);
    }

    /// Adds a patient's consultations. After each one, `retention` is the chance of another, in percent.
    fn add_consultations(&mut self, patient: usize, doctor: usize, name: &str, first_contact: Date, retention: u32) {
        let mut day = first_contact + self.rng.random_range(0..20).days();
        while day <= self.options.until {
            let rng = &mut self.rng;
            let doctors = self.network.doctors.len();
            let doctor = if rng.random_bool(0.9) { doctor } else { rng.random_range(0..doctors) };
            let amount = 100 * rng.random_range(250..900) + 50 * rng.random_range(0..2);
            let stage = match rng.random_range(0..100) {
                0..82 => 1,
                82..92 => 2,
                92..95 => 3,
                _ => 0,
            };
            let refund = match stage {
                3 => amount,
                1 if rng.random_bool(0.02) => amount / 2,
                _ => 0,
            };
            let unlinked = rng.random_bool(self.options.unlinked);
            let closed = instant(day, 8, rng);
            self.add_consultation(
                Consultation { deal: 0, patient, doctor, unlinked, closed, amount, refund, stage },
                name,
            );
            if self.rng.random_range(0..100) >= retention {
                break;
            }
            day += self.rng.random_range(20..75).days();
        }
    }

    /// Adds the deal of a consultation and associates it with one of the patient's contacts and, unless unlinked, one
    /// of the doctor's companies.
    fn add_consultation(&mut self, consultation: Consultation, name: &str) {
        let money = |centavos: i64| format!("{}.{:02}", centavos / 100, centavos % 100);
        let network = &mut self.network;
        let (specialty, ..) = SPECIALTIES[network.doctors[consultation.doctor].specialty];
        let (stage, ..) = STAGES[consultation.stage];
        let created = consultation.closed - 5 * 86_400_000;
        let deal = network.add(ObjectType::Deal, created, |property| match property {
            "dealname" => Some(format!("Consulta {specialty} - {name}")),
            "amount" => Some(money(consultation.amount)),
            "deal_currency_code" => Some("BRL".to_owned()),
            "valor_reembolsado" => (consultation.refund > 0).then(|| money(consultation.refund)),
            "pipeline" => Some(PIPELINE.to_owned()),
            "dealstage" => Some(stage.to_owned()),
            "closedate" => Some(iso(consultation.closed)),
            CALCULATED_PROPERTY => Some("5".to_owned()),
            _ => None,
        });
        let pick = |ids: &[u64], rng: &mut ChaCha12Rng| ids[rng.random_range(0..ids.len())];
        let contact = pick(&network.patients[consultation.patient].contacts, &mut self.rng);
        let company = pick(&network.doctors[consultation.doctor].companies, &mut self.rng);
        network.associate(ObjectType::Deal, deal, ObjectType::Contact, contact);
        if !consultation.unlinked {
            network.associate(ObjectType::Deal, deal, ObjectType::Company, company);
        }
        network.consultations.push(Consultation { deal, ..consultation });
    }
}

/// The specialty's canonical name or, with the given probability, a misspelling.
fn spell(specialty: usize, misspelled: f64, rng: &mut ChaCha12Rng) -> &'static str {
    let (canonical, _, misspellings) = SPECIALTIES[specialty];
    if rng.random_bool(misspelled) { misspellings[rng.random_range(0..misspellings.len())] } else { canonical }
}

/// The first day of the 36 months with data.
pub(crate) fn first_day(options: &GeneratorOptions) -> Date {
    (options.until - 35.months()).first_of_month()
}

/// A random time of a local day, from hour `earliest` on, in milliseconds since 1970. After 21:00 it is the next day in
/// UTC.
pub(crate) fn instant(day: Date, earliest: i8, rng: &mut impl Rng) -> i64 {
    let time = day.at(rng.random_range(earliest..24), rng.random_range(0..60), rng.random_range(0..60), 0);
    jiff::tz::offset(-3).to_timestamp(time).map_or(0, Timestamp::as_millisecond)
}

/// Picks a channel by the shares of [`CHANNELS`].
fn pick_channel(rng: &mut impl Rng) -> usize {
    let mut left = rng.random_range(0..100);
    for (index, (_, _, _, share, _)) in CHANNELS.iter().enumerate() {
        if left < *share {
            return index;
        }
        left -= share;
    }
    0
}
