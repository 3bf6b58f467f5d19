//! What a command costs: wall time, CPU of the process and peak memory, from the operating system's own accounts.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

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

/// Runs a command below a process of its own, whose only child it is: the accounts of children are then its alone.
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

/// The wrapper: runs the command and prints `wall cpu peak`.
pub(crate) fn child(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or("no command to measure")?;
    let started = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let wall = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{program} ended with {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| {
        std::time::Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()).unsigned_abs()).as_secs_f64()
    };
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    // Kilobytes on Linux.
    #[expect(clippy::cast_precision_loss, reason = "shown in megabytes")]
    let peak = usage.max_rss() as f64 / 1024.0;
    println!("{wall} {cpu} {peak}");
    Ok(())
}
