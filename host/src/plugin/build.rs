//! `host plugin build`: a crate to a core module with cargo, the module to a component with `wit-component`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// The target that imports nothing but what the contract gives.
const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the crates of these folders and writes `FOLDER.wasm` for each into a folder; gives back the files.
pub fn build(folders: &[PathBuf], profile: &str, output: &Path) -> Result<Vec<PathBuf>> {
    let names = folders.iter().map(|folder| package_name(folder)).collect::<Result<Vec<_>>>()?;
    // Cargo builds the crates of one workspace at once, and a new crate is a workspace of its own.
    let mut workspaces: Vec<(PathBuf, &Path, Vec<&str>)> = Vec::new();
    for (folder, name) in folders.iter().zip(&names) {
        let root = workspace(folder)?;
        match workspaces.iter_mut().find(|(known, ..)| *known == root) {
            Some((.., of_it)) => of_it.push(name),
            None => workspaces.push((root, folder, vec![name])),
        }
    }
    let mut modules = Vec::new();
    for (_, folder, names) in &workspaces {
        modules.extend(compile(folder, names, profile)?);
    }
    std::fs::create_dir_all(output).map_err(|cause| Error::config(format!("{}: {cause}", output.display())))?;
    let mut written = Vec::new();
    for (folder, name) in folders.iter().zip(&names) {
        let wanted = format!("{}.wasm", name.replace('-', "_"));
        let module = modules.iter().find(|path| path.file_name().is_some_and(|file| *file == *wanted));
        let module = module.ok_or_else(|| {
            Error::config(format!("`{name}` made no module"))
                .hint("its Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`")
        })?;
        let stem = folder.file_name().unwrap_or(name.as_ref());
        let path = output.join(format!("{}.wasm", stem.display()));
        let component = componentize(module).map_err(|error| error.on(format!("plugin `{name}`")))?;
        super::engine::check_contract(&component).map_err(|error| error.on(format!("plugin `{name}`")))?;
        std::fs::write(&path, component).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?;
        written.push(path);
    }
    Ok(written)
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder).stderr(Stdio::inherit());
    cargo
}

/// The manifest of the workspace that a crate is of.
fn workspace(folder: &Path) -> Result<PathBuf> {
    let found = cargo(folder).args(["locate-project", "--workspace", "--message-format", "plain"]).output();
    let found = found.map_err(|cause| Error::config(format!("cargo does not start: {cause}")))?;
    if !found.status.success() {
        return Err(Error::config(format!("cargo finds no workspace of {}", folder.display())));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()))
}

/// Compiles crates of one workspace; gives back cargo's files.
fn compile(folder: &Path, names: &[&str], profile: &str) -> Result<Vec<PathBuf>> {
    let mut cargo = cargo(folder);
    cargo.args(["build", "--target", TARGET, "--profile", profile, "--message-format=json-render-diagnostics"]);
    for name in names {
        cargo.args(["--package", name]);
    }
    let run = cargo.output().map_err(|cause| Error::config(format!("cargo does not start: {cause}")))?;
    if !run.status.success() {
        let error = Error::config(format!("cargo could not build {}", names.join(", ")));
        return Err(error.hint(format!("cargo says above why; if the target is missing: `rustup target add {TARGET}`")));
    }
    Ok(artifacts(&run.stdout))
}

fn package_name(folder: &Path) -> Result<String> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).map_err(|cause| {
        Error::config(format!("{}: {cause}", path.display()))
            .hint("name a crate's folder; `host plugin new rule NAME` makes one")
    })?;
    // The manifest's one line that matters; cargo itself judges the rest.
    let name = text.lines().skip_while(|line| line.trim() != "[package]").find_map(|line| {
        let value = line.trim().strip_prefix("name")?.trim_start().strip_prefix('=')?;
        Some(value.trim().trim_matches('"').to_owned())
    });
    name.ok_or_else(|| Error::config(format!("{}: no package name", path.display())))
}

fn artifacts(messages: &[u8]) -> Vec<PathBuf> {
    let messages = serde_json::Deserializer::from_slice(messages).into_iter::<serde_json::Value>().flatten();
    let files = messages.filter_map(|message| message.get("filenames").cloned());
    let files = files.flat_map(|files| files.as_array().cloned().unwrap_or_default());
    files.filter_map(|file| file.as_str().map(PathBuf::from)).collect()
}

fn componentize(module: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(module).map_err(|cause| Error::config(format!("{}: {cause}", module.display())))?;
    let broken = |cause: String| {
        Error::plugin(format!("the module does not make a component: {cause}")).hint(
            "a plugin exports itself with `export_source!` or `export_rule!`, and imports nothing but the contract",
        )
    };
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(&bytes);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(|cause| broken(format!("{cause:#}")))
}
