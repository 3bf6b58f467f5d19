//! Generates the clinic network from a seed, with its dirt, and keeps the truth beside it.

use fake::Fake;
use fake::faker::name::raw::{FirstName, LastName};
use fake::locales::PT_BR;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt, SeedableRng};

use crate::clinic::{CHANNELS, CITIES, PIPELINE, SPECIALTIES};
use crate::kinds::{CALCULATED, Kind};
use crate::network::{Consultation, Doctor, Network, Patient, iso};

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
            misspelled: 0.3,
            unlinked: 0.06,
            everything: false,
        }
    }
}

impl Network {
    /// The network of these options.
    #[must_use]
    pub fn generate(options: &Options) -> Self {
        let mut network = Self::default();
        let mut rng = ChaCha12Rng::seed_from_u64(options.seed);
        let doctors = (options.patients / 40).max(10);
        for _ in 0..doctors {
            network.doctor(options, &mut rng);
        }
        for index in 0..options.patients {
            network.patient(index, options, &mut rng);
        }
        if options.everything {
            network.beside_the_clinic(options);
        }
        network
    }

    fn doctor(&mut self, options: &Options, rng: &mut ChaCha12Rng) {
        let specialty = rng.random_range(0..SPECIALTIES.len());
        let (canonical, _, misspellings) = SPECIALTIES[specialty];
        let misspelled = rng.random_bool(options.misspelled);
        let spelled = if misspelled { misspellings[rng.random_range(0..misspellings.len())] } else { canonical };
        let first: String = FirstName(PT_BR).fake_with_rng(rng);
        let last: String = LastName(PT_BR).fake_with_rng(rng);
        let created = instant(first_day(options) - 30.days(), 9, rng);
        let owner = (7001 + rng.random_range(0..3)).to_string();
        let phone = phone(rng);
        let values = |property: &str| match property {
            "name" => Some(format!("Dr. {first} {last}")),
            "especialidade_medica" => Some(spelled.to_owned()),
            "phone" => Some(phone.clone()),
            "city" => Some(CITIES[specialty % CITIES.len()].to_owned()),
            "hubspot_owner_id" => Some(owner.clone()),
            _ => None,
        };
        let mut companies = vec![self.add(Kind::Company, created, values)];
        if rng.random_bool(options.duplicates) {
            companies.push(self.add(Kind::Company, created + 86_400_000, values));
        }
        self.doctors.push(Doctor { specialty, companies });
    }

    fn patient(&mut self, index: usize, options: &Options, rng: &mut ChaCha12Rng) {
        let first: String = FirstName(PT_BR).fake_with_rng(rng);
        let last: String = LastName(PT_BR).fake_with_rng(rng);
        let channel = pick_channel(rng);
        let (_, source, detail, _, retention) = CHANNELS[channel];
        let days = (options.until - first_day(options)).get_days();
        // More patients come later: the network grows.
        let day = f64::from(days) * rng.random_range(0.0f64..1.0).sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "a day within three years")]
        let came = first_day(options) + (day as i32).days();
        let created = instant(came, 8, rng);
        let email = format!("{}.{}{index}@exemplo.com.br", ascii(&first), ascii(&last));
        let shown_email = if rng.random_bool(0.1) { email.to_uppercase() } else { email };
        let (phone, city) = (phone(rng), CITIES[rng.random_range(0..CITIES.len())]);
        let nameless = rng.random_bool(options.missing_last_names);
        let shown_first = if rng.random_bool(0.05) { format!(" {first}  ") } else { first.clone() };
        let values = |property: &str| match property {
            "firstname" => Some(shown_first.clone()),
            "lastname" => (!nameless).then(|| last.clone()),
            "email" => Some(shown_email.clone()),
            "phone" => Some(phone.clone()),
            "city" => Some(city.to_owned()),
            "lifecyclestage" => Some("customer".to_owned()),
            "hs_analytics_source" => Some(source.to_owned()),
            "hs_analytics_source_data_1" => Some(detail.to_owned()),
            _ => None,
        };
        let mut contacts = vec![self.add(Kind::Contact, created, values)];
        if rng.random_bool(options.duplicates) {
            contacts.push(self.add(Kind::Contact, created + 3_600_000, values));
        }
        let doctor = rng.random_range(0..self.doctors.len());
        let company = self.doctors[doctor].companies[0];
        contacts.iter().for_each(|contact| self.link(Kind::Contact, *contact, Kind::Company, company));
        self.patients.push(Patient { channel, contacts });
        self.consultations(index, doctor, &first, came, retention, options, rng);
    }

    #[expect(clippy::too_many_arguments, reason = "one patient's facts")]
    fn consultations(
        &mut self,
        patient: usize,
        doctor: usize,
        name: &str,
        came: Date,
        retention: u32,
        options: &Options,
        rng: &mut ChaCha12Rng,
    ) {
        let mut day = came + rng.random_range(0..20).days();
        while day <= options.until {
            let doctor = if rng.random_bool(0.9) { doctor } else { rng.random_range(0..self.doctors.len()) };
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
            self.consultation(
                Consultation {
                    deal: 0,
                    patient,
                    doctor,
                    unlinked: rng.random_bool(options.unlinked),
                    closed: instant(day, 8, rng),
                    amount,
                    refund,
                    stage,
                },
                name,
                rng,
            );
            if rng.random_range(0..100) >= retention {
                break;
            }
            day += rng.random_range(20..75).days();
        }
    }

    fn consultation(&mut self, consultation: Consultation, name: &str, rng: &mut ChaCha12Rng) {
        let money = |centavos: i64| format!("{}.{:02}", centavos / 100, centavos % 100);
        let (specialty, ..) = SPECIALTIES[self.doctors[consultation.doctor].specialty];
        let (stage, ..) = crate::clinic::STAGES[consultation.stage];
        let created = consultation.closed - 5 * 86_400_000;
        let deal = self.add(Kind::Deal, created, |property| match property {
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
        let contact = pick(&self.patients[consultation.patient].contacts, rng);
        let company = pick(&self.doctors[consultation.doctor].companies, rng);
        self.link(Kind::Deal, deal, Kind::Contact, contact);
        if !consultation.unlinked {
            self.link(Kind::Deal, deal, Kind::Company, company);
        }
        self.consultations.push(Consultation { deal, ..consultation });
    }
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

fn phone(rng: &mut impl Rng) -> String {
    let area = [11, 21, 31, 41, 51, 81][rng.random_range(0..6)];
    let (a, b) = (rng.random_range(8000..9999), rng.random_range(0..10_000));
    match rng.random_range(0..3) {
        0 => format!("({area}) 9{a}-{b:04}"),
        1 => format!("+55 {area} 9{a}{b:04}"),
        _ => format!("{area}9{a}{b:04}"),
    }
}

fn ascii(text: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        'á' | 'â' | 'ã' | 'à' => Some('a'),
        'é' | 'ê' => Some('e'),
        'í' => Some('i'),
        'ó' | 'ô' | 'õ' => Some('o'),
        'ú' => Some('u'),
        'ç' => Some('c'),
        c if c.is_ascii_alphanumeric() => Some(c),
        _ => None,
    };
    text.chars().filter_map(plain).collect()
}
