//! What LTV and CAC really are, from the generator's own model: no SQL, no records, no dirt. A deal that lost its
//! company counts as of unknown specialty where nothing in the records says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::offset;

use crate::clinic::{CHANNELS, PAID, SPECIALTIES, UNKNOWN_MARGIN};
use crate::network::{Consultation, Network};
use crate::spend::Spend;

/// The horizons in months.
pub const HORIZONS: [i64; 4] = [3, 6, 12, 24];

/// A slice type (`overall`, `channel`, `cohort`, `specialty`), a slice of it, a horizon.
pub type Slice = (&'static str, String, i64);

/// The truth of one slice at one horizon. Money in millionths of a real.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Patients of cohorts that are complete at the horizon.
    pub new_patients: i128,
    /// Those of them who came by a paid channel.
    pub paid_patients: i128,
    /// Their cumulated margin.
    pub margin: i128,
    /// Media spend of paid channels in the cohorts' months.
    pub spend_paid: i128,
    /// All spend of the cohorts' months.
    pub spend_loaded: i128,
}

impl Truth {
    /// Margin a patient, in reais.
    #[must_use]
    pub fn ltv(&self) -> f64 {
        ratio(self.margin, self.new_patients * 1_000_000)
    }

    /// All spend a patient, in reais.
    #[must_use]
    pub fn cac_blended(&self) -> f64 {
        ratio(self.spend_loaded, self.new_patients * 1_000_000)
    }

    /// Paid spend a patient of paid channels, in reais.
    #[must_use]
    pub fn cac_paid(&self) -> f64 {
        ratio(self.spend_paid, self.paid_patients * 1_000_000)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to the cent")]
fn ratio(above: i128, below: i128) -> f64 {
    above as f64 / below as f64
}

/// The truth by slice and horizon; spend knows no specialty, so those slices have none.
#[must_use]
pub fn compute(network: &Network, spend: &[Spend]) -> BTreeMap<Slice, Truth> {
    let lost = lost(network);
    let mut by_patient: BTreeMap<usize, Vec<&Consultation>> = BTreeMap::new();
    for consultation in network.consultations.iter().filter(|consultation| consultation.stage != 0) {
        by_patient.entry(consultation.patient).or_default().push(consultation);
    }
    let last_closed = network.consultations.iter().filter(|consultation| consultation.stage != 0);
    let complete = last_complete(last_closed.map(|consultation| consultation.closed).max().unwrap_or_default());
    let mut truth: BTreeMap<Slice, Truth> = BTreeMap::new();
    for (patient, consultations) in &by_patient {
        let won = consultations.iter().filter(|consultation| consultation.stage == 1);
        let Some(first) = won.min_by_key(|consultation| (consultation.closed, consultation.deal)) else { continue };
        let cohort = month(first.closed);
        let (channel, ..) = CHANNELS[network.patients[*patient].channel];
        let (specialty, ..) = SPECIALTIES[network.doctors[first.doctor].specialty];
        let specialty = if lost.contains(&first.deal) { "Unknown" } else { specialty };
        let slices = [
            ("overall", "all".to_owned()),
            ("channel", channel.to_owned()),
            ("specialty", specialty.to_owned()),
            ("cohort", named(cohort)),
        ];
        for horizon in HORIZONS.into_iter().filter(|horizon| cohort + horizon - 1 <= complete) {
            let margin: i128 = consultations
                .iter()
                .filter(|consultation| [1, 3].contains(&consultation.stage))
                .filter(|consultation| (month(consultation.closed) - cohort).max(0) < horizon)
                .map(|consultation| margin(network, &lost, consultation))
                .sum();
            for (slice_type, slice) in slices.clone() {
                let truth = truth.entry((slice_type, slice, horizon)).or_default();
                truth.new_patients += 1;
                truth.paid_patients += i128::from(PAID.contains(&channel));
                truth.margin += margin;
            }
        }
    }
    for line in spend {
        let line_month = i64::from(line.month.year()) * 12 + i64::from(line.month.month()) - 1;
        for horizon in HORIZONS.into_iter().filter(|horizon| line_month + horizon - 1 <= complete) {
            let amount = i128::from(line.amount) * 10_000;
            let channel = if line.channel.is_empty() { "unallocated" } else { line.channel };
            let slices =
                [("overall", "all".to_owned()), ("channel", channel.to_owned()), ("cohort", named(line_month))];
            for (slice_type, slice) in slices {
                let truth = truth.entry((slice_type, slice, horizon)).or_default();
                truth.spend_loaded += amount;
                truth.spend_paid += if PAID.contains(&line.channel) && line.cost_type == "media" { amount } else { 0 };
            }
        }
    }
    truth
}

/// The truth of one month. Money in millionths of a real.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonthTruth {
    /// Amounts less refunds of consultations that took place.
    pub revenue: i128,
    /// Their margin.
    pub margin: i128,
    /// All spend.
    pub spend: i128,
    /// Patients whose first consultation it was.
    pub new_patients: i128,
}

/// The truth by month, `2026-10`.
#[must_use]
pub fn months(network: &Network, spend: &[Spend]) -> BTreeMap<String, MonthTruth> {
    let lost = lost(network);
    let mut months: BTreeMap<String, MonthTruth> = BTreeMap::new();
    let mut firsts: BTreeMap<usize, i64> = BTreeMap::new();
    for consultation in network.consultations.iter().filter(|consultation| [1, 3].contains(&consultation.stage)) {
        let truth = months.entry(named(month(consultation.closed))).or_default();
        truth.revenue += i128::from(consultation.amount - consultation.refund) * 10_000;
        truth.margin += margin(network, &lost, consultation);
        if consultation.stage == 1 {
            let first = firsts.entry(consultation.patient).or_insert(consultation.closed);
            *first = consultation.closed.min(*first);
        }
    }
    firsts.values().for_each(|first| months.entry(named(month(*first))).or_default().new_patients += 1);
    for line in spend {
        let month = line.month.strftime("%Y-%m").to_string();
        months.entry(month).or_default().spend += i128::from(line.amount) * 10_000;
    }
    months
}

/// Deals whose doctor nobody can tell: they lost their company, and of the patient's own doctor and those of the patient's
/// other deals not exactly one is of the specialty that the deal is named after.
fn lost(network: &Network) -> BTreeSet<u64> {
    let mut seen: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for consultation in network.consultations.iter().filter(|consultation| !consultation.unlinked) {
        seen.entry(consultation.patient).or_default().insert(consultation.doctor);
    }
    let specialty = |doctor: usize| network.doctors[doctor].specialty;
    let is_lost = |consultation: &&Consultation| {
        let own = network.patients[consultation.patient].doctor;
        let others = seen.get(&consultation.patient).into_iter().flatten().copied();
        let candidates: BTreeSet<_> = std::iter::once(own).chain(others).collect();
        let fitting = candidates.into_iter().filter(|doctor| specialty(*doctor) == specialty(consultation.doctor));
        consultation.unlinked && fitting.count() != 1
    };
    network.consultations.iter().filter(is_lost).map(|consultation| consultation.deal).collect()
}

/// In millionths of a real.
fn margin(network: &Network, lost: &BTreeSet<u64>, consultation: &Consultation) -> i128 {
    let specialty = SPECIALTIES[network.doctors[consultation.doctor].specialty].1;
    let basis_points = if lost.contains(&consultation.deal) { UNKNOWN_MARGIN } else { specialty };
    i128::from((consultation.amount - consultation.refund) * basis_points)
}

/// Months since year 0, in the network's time zone.
fn month(milliseconds: i64) -> i64 {
    let date = local(milliseconds);
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

/// `2026-10`.
fn named(month: i64) -> String {
    format!("{}-{:02}", month / 12, month % 12 + 1)
}

fn local(milliseconds: i64) -> jiff::civil::Date {
    let instant = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    offset(-3).to_datetime(instant).date()
}

/// The last month that is known to its end: the month of the last closed deal where that was its last day.
fn last_complete(milliseconds: i64) -> i64 {
    let date = local(milliseconds);
    if date == date.last_of_month() { month(milliseconds) } else { month(milliseconds) - 1 }
}
