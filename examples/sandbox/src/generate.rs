//! Generates the clinic network from a seed, with its dirt, and keeps the truth beside it.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt, SeedableRng};

use crate::clinic::{CHANNELS, CITIES, PIPELINE, SPECIALTIES, STAGES};
use crate::entry::{CompanyEntry, ContactEntry};
use crate::kinds::{CALCULATED, Kind};
use crate::network::{Consultation, Doctor, Network, Patient, iso};
use crate::person::{Cnpj, Person, Phone, first_name, last_name};

/// How large, how dirty, from which seed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed and sizes make the same network.
    pub seed: u64,
    /// Patients, before duplicates.
    pub patients: usize,
    /// The last day with data.
    pub until: Date,
    /// Share of contacts and companies that are entered twice.
    pub duplicates: f64,
    /// Share of patients without last name.
    pub missing_last_names: f64,
    /// Share of doctors whose specialty is misspelled.
    pub misspelled: f64,
    /// Share of deals without a company.
    pub unlinked: f64,
    /// Chance of a slip of the pen in each field of a duplicate.
    pub typos: f64,
    /// Share of patients who are relatives of the one before: the same last name, and the same phone or e-mail.
    pub families: f64,
    /// Share of patients with first and last name of an earlier one.
    pub namesakes: f64,
    /// Whether there are records of every type, not of the clinic's own three alone.
    pub everything: bool,
}

impl Default for Options {
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

/// A network in the making.
struct Generator<'a> {
    options: &'a Options,
    rng: ChaCha12Rng,
    /// Slips have a seed of their own: the clinic is the same with them as without.
    slips: ChaCha12Rng,
    network: Network,
    /// The patient before.
    before: Option<Person>,
    /// First and last name of each patient.
    names: Vec<(String, String)>,
}

impl Network {
    /// The network of these options.
    #[must_use]
    pub fn generate(options: &Options) -> Self {
        let mut generator = Generator {
            options,
            rng: ChaCha12Rng::seed_from_u64(options.seed),
            slips: ChaCha12Rng::seed_from_u64(options.seed ^ 0x0005_1195),
            network: Self::default(),
            before: None,
            names: Vec::new(),
        };
        let doctors = (options.patients / 40).max(10);
        (0..doctors).for_each(|_| generator.doctor());
        (0..options.patients).for_each(|index| generator.patient(index));
        let mut network = generator.network;
        if options.everything {
            network.beside_the_clinic(options);
        }
        network
    }
}

impl Generator<'_> {
    fn doctor(&mut self) {
        let rng = &mut self.rng;
        let specialty = rng.random_range(0..SPECIALTIES.len());
        let name = format!("{} {}", first_name(rng), last_name(rng));
        let created = instant(first_day(self.options) - 30.days(), 9, rng);
        let owner = (7001 + rng.random_range(0..3)).to_string();
        let (phone, cnpj) = (Phone::any(rng), Cnpj::any(rng));
        let entry = CompanyEntry::first(&name, phone, cnpj, rng);
        let mut entries = vec![entry];
        if rng.random_bool(self.options.duplicates) {
            let second = entries[0].second(&name, phone, cnpj, rng);
            entries.push(second.slipped(self.options.typos, &mut self.slips));
        }
        let mut companies = Vec::new();
        for (at, entry) in (created..).step_by(86_400_000).zip(&entries) {
            // Whoever enters a doctor spells the specialty.
            let spelled = spelled(specialty, self.options.misspelled, &mut self.rng);
            companies.push(self.network.add(Kind::Company, at, |property| match property {
                "especialidade_medica" => Some(spelled.to_owned()),
                "city" => Some(CITIES[specialty % CITIES.len()].to_owned()),
                "hubspot_owner_id" => Some(owner.clone()),
                _ => entry.value(property),
            }));
        }
        self.network.doctors.push(Doctor { specialty, companies });
    }

    fn person(&mut self, index: usize) -> Person {
        let rng = &mut self.rng;
        let (is_relative, is_namesake) =
            (rng.random_bool(self.options.families), rng.random_bool(self.options.namesakes));
        let person = match &self.before {
            Some(before) if is_relative => before.relative(index, rng),
            Some(_) if is_namesake => {
                let (first, last) = self.names[rng.random_range(0..self.names.len())].clone();
                Person::named(first, last, index, rng)
            }
            _ => Person::stranger(index, rng),
        };
        self.names.push((person.first.clone(), person.last.clone()));
        self.before = Some(person.clone());
        person
    }

    fn patient(&mut self, index: usize) {
        let person = self.person(index);
        let (options, rng) = (self.options, &mut self.rng);
        let channel = pick_channel(rng);
        let (_, source, detail, _, retention) = CHANNELS[channel];
        let days = (options.until - first_day(options)).get_days();
        // More patients come later: the network grows.
        let day = f64::from(days) * rng.random_range(0.0f64..1.0).sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "a day within three years")]
        let came = first_day(options) + (day as i32).days();
        let created = instant(came, 8, rng);
        let city = CITIES[rng.random_range(0..CITIES.len())];
        let entry = ContactEntry::first(&person, options.missing_last_names, rng);
        let mut entries = vec![entry];
        if rng.random_bool(options.duplicates) {
            let second = entries[0].second(&person, index, rng);
            entries.push(second.slipped(options.typos, &mut self.slips));
        }
        let doctor = rng.random_range(0..self.network.doctors.len());
        let company = self.network.doctors[doctor].companies[0];
        let mut contacts = Vec::new();
        for (at, entry) in (created..).step_by(3_600_000).zip(&entries) {
            let contact = self.network.add(Kind::Contact, at, |property| match property {
                "city" => Some(city.to_owned()),
                "lifecyclestage" => Some("customer".to_owned()),
                "hs_analytics_source" => Some(source.to_owned()),
                "hs_analytics_source_data_1" => Some(detail.to_owned()),
                _ => entry.value(property),
            });
            self.network.link(Kind::Contact, contact, Kind::Company, company);
            contacts.push(contact);
        }
        self.network.patients.push(Patient { channel, doctor, contacts });
        self.consultations(index, doctor, &person.first, came, retention);
    }

    fn consultations(&mut self, patient: usize, doctor: usize, name: &str, came: Date, retention: u32) {
        let mut day = came + self.rng.random_range(0..20).days();
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
            self.consultation(Consultation { deal: 0, patient, doctor, unlinked, closed, amount, refund, stage }, name);
            if self.rng.random_range(0..100) >= retention {
                break;
            }
            day += self.rng.random_range(20..75).days();
        }
    }

    fn consultation(&mut self, consultation: Consultation, name: &str) {
        let money = |centavos: i64| format!("{}.{:02}", centavos / 100, centavos % 100);
        let network = &mut self.network;
        let (specialty, ..) = SPECIALTIES[network.doctors[consultation.doctor].specialty];
        let (stage, ..) = STAGES[consultation.stage];
        let created = consultation.closed - 5 * 86_400_000;
        let deal = network.add(Kind::Deal, created, |property| match property {
            "dealname" => Some(format!("Consulta {specialty} - {name}")),
            "amount" => Some(money(consultation.amount)),
            "deal_currency_code" => Some("BRL".to_owned()),
            "valor_reembolsado" => (consultation.refund > 0).then(|| money(consultation.refund)),
            "pipeline" => Some(PIPELINE.to_owned()),
            "dealstage" => Some(stage.to_owned()),
            "closedate" => Some(iso(consultation.closed)),
            CALCULATED => Some("5".to_owned()),
            _ => None,
        });
        let pick = |ids: &[u64], rng: &mut ChaCha12Rng| ids[rng.random_range(0..ids.len())];
        let contact = pick(&network.patients[consultation.patient].contacts, &mut self.rng);
        let company = pick(&network.doctors[consultation.doctor].companies, &mut self.rng);
        network.link(Kind::Deal, deal, Kind::Contact, contact);
        if !consultation.unlinked {
            network.link(Kind::Deal, deal, Kind::Company, company);
        }
        network.consultations.push(Consultation { deal, ..consultation });
    }
}

/// The specialty as somebody spells it.
fn spelled(specialty: usize, misspelled: f64, rng: &mut ChaCha12Rng) -> &'static str {
    let (canonical, _, misspellings) = SPECIALTIES[specialty];
    if rng.random_bool(misspelled) { misspellings[rng.random_range(0..misspellings.len())] } else { canonical }
}

/// The first day of the 36 months.
pub(crate) fn first_day(options: &Options) -> Date {
    (options.until - 35.months()).first_of_month()
}

/// A time of that day, local hours from `earliest` to 23: late ones are the next day in UTC.
pub(crate) fn instant(day: Date, earliest: i8, rng: &mut impl Rng) -> i64 {
    let time = day.at(rng.random_range(earliest..24), rng.random_range(0..60), rng.random_range(0..60), 0);
    jiff::tz::offset(-3).to_timestamp(time).map_or(0, Timestamp::as_millisecond)
}

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
