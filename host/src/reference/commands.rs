//! The commands, from the definitions of the command line.

use clap::{Arg, Command, CommandFactory as _};

use super::{paragraph, table};
use crate::cli::Arguments;

/// The page of all commands.
pub(super) fn render() -> String {
    let mut root = Arguments::command();
    root.build();
    let mut page = String::from("# Commands\n\n`host COMMAND --help` prints the same text in a terminal.\n");
    write_after_help(&mut page, &root);
    page.push_str("\n## Options of every command\n\n");
    let global: Vec<_> = root.get_arguments().filter(|argument| argument.is_global_set()).filter_map(row).collect();
    page.push_str(&table(&["option", "default", "meaning"], &global));
    root.get_subcommands_mut().for_each(|command| write_command(&mut page, "host", command));
    page
}

/// Writes a command, or the commands below it.
fn write_command(page: &mut String, parent: &str, command: &mut Command) {
    if command.get_name() == "help" || command.is_hide_set() {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    if command.has_subcommands() {
        command.get_subcommands_mut().for_each(|inner| write_command(page, &name, inner));
        return;
    }
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    let about: String = about.split("\n\n").map(|text| paragraph(&sentence(text)) + "\n").collect();
    page.push_str(&format!("\n## `{name}`\n\n{about}    {usage}\n"));
    let own = command.get_arguments().filter(|argument| !argument.is_global_set());
    let rows: Vec<_> = own.filter_map(row).collect();
    if !rows.is_empty() {
        page.push_str(&format!("\n{}", table(&["argument", "default", "meaning"], &rows)));
    }
    write_after_help(page, command);
}

fn write_after_help(page: &mut String, command: &Command) {
    let Some(text) = command.get_after_long_help().or_else(|| command.get_after_help()) else { return };
    let lines =
        text.to_string().lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect::<String>();
    page.push_str(&format!("\n{lines}"));
}

/// An argument as a row; none for those that clap adds itself.
fn row(argument: &Arg) -> Option<Vec<String>> {
    if ["help", "version"].contains(&argument.get_id().as_str()) || argument.is_hide_set() {
        return None;
    }
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let value = value.filter(|_| argument.get_action().takes_values());
    let short = argument.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let name = match (argument.get_long(), value) {
        (Some(long), Some(value)) => format!("{short}`--{long} {value}`"),
        (Some(long), None) => format!("{short}`--{long}`"),
        (None, value) => format!("`{}`", value.unwrap_or_else(|| argument.get_id().to_string())),
    };
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let is_flag = !argument.get_action().takes_values();
    let default = match defaults.first() {
        _ if argument.is_required_set() => "required".to_owned(),
        Some(value) if !is_flag => format!("`{value}`"),
        _ => if is_flag { "off" } else { "none" }.to_owned(),
    };
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let choices =
        argument.get_possible_values().into_iter().filter(|_| !is_flag && !argument.is_hide_possible_values_set());
    let choices = choices.filter_map(|choice| {
        let meaning = choice.get_help().map(|help| format!(": {}", sentence(&help.to_string()))).unwrap_or_default();
        (!choice.is_hide_set()).then(|| format!("<br>`{}`{meaning}", choice.get_name()))
    });
    let variable = argument.get_env().map(|name| format!(" Environment variable: `{}`.", name.to_string_lossy()));
    let meaning = format!("{}{}{}", sentence(&help), variable.unwrap_or_default(), choices.collect::<String>());
    Some(vec![name, default, meaning])
}

/// A help text with its final period, which clap removes.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', ':', '?', '!']) { text.to_owned() } else { format!("{text}.") }
}
