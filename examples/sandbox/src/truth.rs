//! Ground truth for LTV and CAC, computed from the generator's patients, doctors and consultations: without SQL and
//! without the records and their data errors. A deal without a company counts as unknown specialty unless the other
//! records determine its doctor.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::offset;

use crate::clinic::{CHANNELS, PAID_CHANNELS, SPECIALTIES, UNKNOWN_MARGIN};
use crate::network::{Consultation, Network};
use crate::portal::system_time;
use crate::spend::SpendLine;

/// The horizons, in months.
pub const HORIZONS: [i64; 4] = [3, 6, 12, 24];

/// A slice type (`overall`, `channel`, `cohort` or `specialty`), the slice, and a horizon.
pub type Slice = (&'static str, String, i64);

/// The true figures of one slice at one horizon. Money is in millionths of a real.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SliceTruth {
    /// Patients of the cohorts that are complete at the horizon.
    pub new_patients: i128,
    /// Those who came by a paid channel.
    pub paid_patients: i128,
    /// The cumulative margin of all these patients.
    pub margin: i128,
    /// Media spend of the paid channels in the cohorts' months.
    pub spend_paid: i128,
    /// All spend of the cohorts' months.
    pub spend_loaded: i128,
}

impl SliceTruth {
    /// Margin per patient, in reais.
    #[must_use]
    pub fn ltv(&self) -> f64 {
        ratio(self.margin, self.new_patients * 1_000_000)
    }

    /// All spend per patient, in reais.
    #[must_use]
    pub fn cac_blended(&self) -> f64 {
        ratio(self.spend_loaded, self.new_patients * 1_000_000)
    }

    /// Paid spend per patient of the paid channels, in reais.
    #[must_use]
    pub fn cac_paid(&self) -> f64 {
        ratio(self.spend_paid, self.paid_patients * 1_000_000)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to the cent")]
fn ratio(numerator: i128, denominator: i128) -> f64 {
    numerator as f64 / denominator as f64
}

/// Computes the figures by slice and horizon. Slices by specialty have no spend, since spend has no specialty.
#[must_use]
pub fn compute(network: &Network, spend: &[SpendLine]) -> BTreeMap<Slice, SliceTruth> {
    let unattributable = unattributable_deals(network);
    let mut by_patient: BTreeMap<usize, Vec<&Consultation>> = BTreeMap::new();
    for consultation in network.consultations.iter().filter(|consultation| consultation.stage != 0) {
        by_patient.entry(consultation.patient).or_default().push(consultation);
    }
    let last_closed = network.consultations.iter().filter(|consultation| consultation.stage != 0);
    let complete = last_complete(last_closed.map(|consultation| consultation.closed).max().unwrap_or_default());
    let mut truth: BTreeMap<Slice, SliceTruth> = BTreeMap::new();
    for (patient, consultations) in &by_patient {
        let won = consultations.iter().filter(|consultation| consultation.stage == 1);
        let Some(first) = won.min_by_key(|consultation| (consultation.closed, consultation.deal)) else { continue };
        let cohort = month(first.closed);
        let (channel, ..) = CHANNELS[network.patients[*patient].channel];
        let (specialty, ..) = SPECIALTIES[network.doctors[first.doctor].specialty];
        let specialty = if unattributable.contains(&first.deal) { "Unknown" } else { specialty };
        let slices = [
            ("overall", "all".to_owned()),
            ("channel", channel.to_owned()),
            ("specialty", specialty.to_owned()),
            ("cohort", month_name(cohort)),
        ];
        for horizon in HORIZONS.into_iter().filter(|horizon| cohort + horizon - 1 <= complete) {
            let margin: i128 = consultations
                .iter()
                .filter(|consultation| [1, 3].contains(&consultation.stage))
                .filter(|consultation| (month(consultation.closed) - cohort).max(0) < horizon)
                .map(|consultation| margin(network, &unattributable, consultation))
                .sum();
            for (slice_type, slice) in slices.clone() {
                let truth = truth.entry((slice_type, slice, horizon)).or_default();
                truth.new_patients += 1;
                truth.paid_patients += i128::from(PAID_CHANNELS.contains(&channel));
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
                [("overall", "all".to_owned()), ("channel", channel.to_owned()), ("cohort", month_name(line_month))];
            for (slice_type, slice) in slices {
                let truth = truth.entry((slice_type, slice, horizon)).or_default();
                truth.spend_loaded += amount;
                truth.spend_paid +=
                    if PAID_CHANNELS.contains(&line.channel) && line.cost_type == "media" { amount } else { 0 };
            }
        }
    }
    truth
}

/// The true figures of one month. Money is in millionths of a real.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonthTruth {
    /// Amounts minus refunds of the consultations that took place.
    pub revenue: i128,
    /// The margin of these consultations.
    pub margin: i128,
    /// All spend.
    pub spend: i128,
    /// Patients who had their first consultation in the month.
    pub new_patients: i128,
}

/// Computes the figures by month, such as `2026-10`.
#[must_use]
pub fn months(network: &Network, spend: &[SpendLine]) -> BTreeMap<String, MonthTruth> {
    let unattributable = unattributable_deals(network);
    let mut months: BTreeMap<String, MonthTruth> = BTreeMap::new();
    let mut firsts: BTreeMap<usize, i64> = BTreeMap::new();
    for consultation in network.consultations.iter().filter(|consultation| [1, 3].contains(&consultation.stage)) {
        let truth = months.entry(month_name(month(consultation.closed))).or_default();
        truth.revenue += i128::from(consultation.amount - consultation.refund) * 10_000;
        truth.margin += margin(network, &unattributable, consultation);
        if consultation.stage == 1 {
            let first = firsts.entry(consultation.patient).or_insert(consultation.closed);
            *first = consultation.closed.min(*first);
        }
    }
    firsts.values().for_each(|first| months.entry(month_name(month(*first))).or_default().new_patients += 1);
    for line in spend {
        let month = line.month.strftime("%Y-%m").to_string();
        months.entry(month).or_default().spend += i128::from(line.amount) * 10_000;
    }
    months
}

/// Deals whose doctor cannot be determined: they have no company, and the doctors of the patient and of the patient's
/// other deals do not include exactly one of the specialty in the deal's name.
fn unattributable_deals(network: &Network) -> BTreeSet<u64> {
    let mut linked_doctors: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for consultation in network.consultations.iter().filter(|consultation| !consultation.unlinked) {
        linked_doctors.entry(consultation.patient).or_default().insert(consultation.doctor);
    }
    let specialty = |doctor: usize| network.doctors[doctor].specialty;
    let is_unattributable = |consultation: &&Consultation| {
        let own = network.patients[consultation.patient].doctor;
        let others = linked_doctors.get(&consultation.patient).into_iter().flatten().copied();
        let candidates: BTreeSet<_> = std::iter::once(own).chain(others).collect();
        let matching = candidates.into_iter().filter(|doctor| specialty(*doctor) == specialty(consultation.doctor));
        consultation.unlinked && matching.count() != 1
    };
    network.consultations.iter().filter(is_unattributable).map(|consultation| consultation.deal).collect()
}

/// The margin of a consultation, in millionths of a real.
fn margin(network: &Network, unattributable: &BTreeSet<u64>, consultation: &Consultation) -> i128 {
    let specialty = SPECIALTIES[network.doctors[consultation.doctor].specialty].1;
    let basis_points = if unattributable.contains(&consultation.deal) { UNKNOWN_MARGIN } else { specialty };
    i128::from((consultation.amount - consultation.refund) * basis_points)
}

/// Months since year 0, in the network's time zone.
fn month(milliseconds: i64) -> i64 {
    let date = local(milliseconds);
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

/// Formats a month as `2026-10`.
fn month_name(month: i64) -> String {
    format!("{}-{:02}", month / 12, month % 12 + 1)
}

/// The date in the network's time zone.
fn local(milliseconds: i64) -> jiff::civil::Date {
    let instant = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    offset(-3).to_datetime(instant).date()
}

/// The last complete month: that of the last closed deal if it is over by now, otherwise the one before it.
fn last_complete(milliseconds: i64) -> i64 {
    let is_over = local(milliseconds).last_of_month() < local(system_time());
    if is_over { month(milliseconds) } else { month(milliseconds) - 1 }
}
