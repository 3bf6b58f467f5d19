//! Renders what a recovery did.

use crate::run::RecoveryReport;

/// What a recovery did, ending in a newline.
#[must_use]
pub fn render_recovered(recovered: &RecoveryReport) -> String {
    let RecoveryReport { kept, last_run, lost, snapshots, erased } = recovered;
    if kept.is_empty() {
        return "the warehouse opens: nothing was discarded\n".to_owned();
    }
    let mut lines: Vec<_> = kept.iter().map(|file| format!("kept     {}", file.display())).collect();
    lines.push(match last_run {
        Some(run) => {
            let ended = run.finished_at.as_deref().map(|time| format!(", ended {time}")).unwrap_or_default();
            format!("opened   the last checkpoint; its last run is {} ({}{ended})", run.run, run.command)
        }
        None => "opened   the last checkpoint, which has no run".to_owned(),
    });
    match lost {
        None => {
            lines.push(
                "lost     nothing of the log can be read: every run and erasure since then may be lost".to_owned(),
            );
            lines.extend(snapshots.iter().map(|name| format!("lost     versions of snapshot {name} may be lost")));
        }
        Some(lost) => {
            let runs = lost.runs.iter();
            lines.extend(runs.map(|run| format!("lost     run {} ({}, {})", run.run, run.command, run.status.name())));
            if lost.erasures > 0 {
                lines.push(format!("lost     the erasure of {} records, which is applied again", lost.erasures));
            }
            let versions = lost.snapshots.iter();
            lines.extend(versions.map(|(name, versions)| format!("lost     {versions} versions of snapshot {name}")));
            lines.push("lost     whatever the log has after the damage".to_owned());
        }
    }
    lines.extend(erased.rows.iter().map(|(table, rows)| format!("erased   {rows} rows from {table}")));
    lines.push(
        "next: `host run PIPELINE` loads again what the sources have; erase the kept log once you do not need it"
            .to_owned(),
    );
    lines.join("\n") + "\n"
}
