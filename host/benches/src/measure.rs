//! Measures a command: wall time, CPU time and peak memory, as the operating system reports them.

use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4 as _;

use crate::Result;

/// The cost of one command.
pub(crate) struct Cost {
    /// Wall time in seconds.
    pub(crate) wall: f64,
    /// CPU time in seconds, user and system.
    pub(crate) cpu: f64,
    /// Peak resident memory in MiB.
    pub(crate) peak_mb: f64,
}

/// Runs a command in a small wrapper process and reads its cost.
pub(crate) fn measured(command: &mut Command) -> Result<Cost> {
    let mut wrapper = Command::new(std::env::current_exe()?);
    wrapper.arg("--measure").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        wrapper.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        wrapper.current_dir(folder);
    }
    let output = wrapper.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{} failed", command.get_program().display()).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> =
        text.lines().last().unwrap_or_default().split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
    match numbers.as_slice() {
        [wall, cpu, peak_mb] => Ok(Cost { wall: *wall, cpu: *cpu, peak_mb: *peak_mb }),
        _ => Err(format!("expected `wall cpu peak`, got `{text}`").into()),
    }
}

/// The wrapper process: runs the command and prints `wall cpu peak`. A child inherits its parent's peak at the fork, so
/// the parent has to be small.
pub(crate) fn child(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or("no command to measure")?;
    let started = Instant::now();
    let exit = Command::new(program).args(arguments).spawn()?.wait4()?;
    let wall = started.elapsed().as_secs_f64();
    if !exit.status.success() {
        return Err(format!("{program} failed: {}", exit.status).into());
    }
    let usage = exit.rusage;
    let cpu = (usage.utime + usage.stime).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "shown in megabytes")]
    let peak = usage.maxrss as f64 / f64::from(1 << 20);
    println!("{wall} {cpu} {peak}");
    Ok(())
}
