//! The marketing spend file: month, channel, campaign, cost type, amount, currency.

use std::io::Write;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::generate::Options;

/// One line of the file; amounts in centavos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// The month's first day.
    pub month: Date,
    /// The channel; empty where the cost cannot be split.
    pub channel: &'static str,
    /// The campaign.
    pub campaign: &'static str,
    /// `media`, `salary` or `tools`.
    pub cost_type: &'static str,
    /// In centavos.
    pub amount: i64,
}

/// The spend of 36 months, growing with the network.
#[must_use]
pub fn generate(options: &Options) -> Vec<Spend> {
    let last = options.until.first_of_month();
    let size = i64::try_from(options.patients).unwrap_or(i64::MAX / 1_000_000);
    let mut lines = Vec::new();
    for age in (0..36).rev() {
        let month = last - age.months();
        let growth = i64::from(36 - age);
        let mut line = |channel, campaign, cost_type, centavos_a_patient: i64| {
            let amount = size * centavos_a_patient * growth / 666 + 7 * i64::from(month.month());
            lines.push(Spend { month, channel, campaign, cost_type, amount });
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

/// Writes the file.
pub fn write(lines: &[Spend], file: impl Write) -> csv::Result<()> {
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
