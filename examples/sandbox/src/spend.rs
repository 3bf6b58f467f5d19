//! Generates the marketing spend file: month, channel, campaign, cost type, amount, currency.

use std::io::Write;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::generate::GeneratorOptions;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendLine {
    /// The first day of the month.
    pub month: Date,
    /// The channel; empty if the cost belongs to none.
    pub channel: &'static str,
    /// The campaign; empty if the cost belongs to none.
    pub campaign: &'static str,
    /// `media`, `salary` or `tools`.
    pub cost_type: &'static str,
    /// The amount in centavos.
    pub amount: i64,
}

/// Generates the spend of 36 months. It grows with the network.
#[must_use]
pub fn generate(options: &GeneratorOptions) -> Vec<SpendLine> {
    let last = options.until.first_of_month();
    let size = i64::try_from(options.patients).unwrap_or(i64::MAX / 1_000_000);
    let mut lines = Vec::new();
    for age in (0..36).rev() {
        let month = last - age.months();
        let growth = i64::from(36 - age);
        let mut line = |channel, campaign, cost_type, centavos_per_patient: i64| {
            // The growth factors 1 to 36 add up to 666.
            let amount = size * centavos_per_patient * growth / 666 + 7 * i64::from(month.month());
            lines.push(SpendLine { month, channel, campaign, cost_type, amount });
        };
        line("google_ads", "marca", "media", 4_000);
        line("google_ads", "sintomas", "media", 6_500);
        line("meta_ads", "video", "media", 9_000);
        line("email", "newsletter", "tools", 350);
        line("", "", "salary", 8_000);
        line("", "", "tools", 900);
    }
    lines
}

/// Writes the file as CSV.
///
/// # Errors
/// If the file cannot be written.
pub fn write(lines: &[SpendLine], file: impl Write) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(["month", "channel", "campaign", "cost_type", "amount", "currency"])?;
    for line in lines {
        let amount = format!("{}.{:02}", line.amount / 100, line.amount % 100);
        let month = line.month.strftime("%Y-%m").to_string();
        writer.write_record([&month, line.channel, line.campaign, line.cost_type, &amount, "BRL"])?;
    }
    writer.flush()?;
    Ok(())
}
