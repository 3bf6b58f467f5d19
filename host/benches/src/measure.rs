//! What a command costs: wall time, CPU of the process and peak memory, from the operating system's own accounts.

use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4 as _;

use crate::Result;

/// The cost of one command.
pub(crate) struct Cost {
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds, user and system.
    pub(crate) cpu: f64,
    /// Peak resident memory.
    pub(crate) peak_mb: f64,
}

/// Runs a command below a small process of its own.
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
        _ => Err(format!("no measures in `{text}`").into()),
    }
}

/// The wrapper: runs the command and prints `wall cpu peak`. A child's peak begins at what its parent held when it was
/// made, which here is little.
pub(crate) fn child(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or("no command to measure")?;
    let started = Instant::now();
    let ended = Command::new(program).args(arguments).spawn()?.wait4()?;
    let wall = started.elapsed().as_secs_f64();
    if !ended.status.success() {
        return Err(format!("{program} ended with {}", ended.status).into());
    }
    let usage = ended.rusage;
    let cpu = (usage.utime + usage.stime).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "shown in megabytes")]
    let peak = usage.maxrss as f64 / f64::from(1 << 20);
    println!("{wall} {cpu} {peak}");
    Ok(())
}
