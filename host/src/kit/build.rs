//! Builds plugin crates: a crate to a core module with cargo, the module to a component with `wit-component`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use host_core::error::{Error, Result, Subject, collect};
use host_core::files;
use host_plugin::PluginKind;
use wasmparser::{Parser, Payload};

/// The target of plugins. Its modules import nothing of a system.
const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the crates of these folders. Writes `FOLDER.wasm` for each into the output folder, and returns these files.
///
/// # Errors
/// A crate that does not build, or whose module does not implement the contract.
pub fn build(folders: &[PathBuf], profile: &str, output: &Path) -> Result<Vec<PathBuf>> {
    let crates = collect(folders.iter().map(|folder| PluginCrate::find(folder)))?;
    // Cargo builds the crates of one workspace at once; a crate outside of a workspace is one of its own.
    let mut workspaces: Vec<Vec<&PluginCrate<'_>>> = Vec::new();
    for member in &crates {
        match workspaces.iter_mut().find(|members| members[0].workspace == member.workspace) {
            Some(members) => members.push(member),
            None => workspaces.push(vec![member]),
        }
    }
    let mut modules = Vec::new();
    for members in &workspaces {
        modules.extend(compile(members, profile)?);
    }
    std::fs::create_dir_all(output).map_err(|cause| Error::config(format!("{}: {cause}", output.display())))?;
    let mut written = Vec::new();
    for PluginCrate { folder, name, .. } in &crates {
        let wanted = format!("{}.wasm", name.replace('-', "_"));
        let module = modules.iter().find(|path| path.file_name().is_some_and(|file| *file == *wanted));
        let module = module.ok_or_else(|| {
            let error = Error::config(format!("cargo built no module of `{name}`"));
            error.hint("add `[lib] crate-type = [\"cdylib\"]` to its Cargo.toml")
        })?;
        let stem = folder.file_name().unwrap_or(name.as_ref());
        let path = output.join(format!("{}.wasm", stem.display()));
        let component = componentize(module).and_then(|component| check_contract(&component).map(|()| component));
        let component = component.map_err(|error| error.about(&Subject::Plugin(name.clone())))?;
        files::replace(&path, component)?;
        written.push(path);
    }
    Ok(written)
}

/// A plugin's crate.
struct PluginCrate<'a> {
    folder: &'a Path,
    /// The package's name.
    name: String,
    /// The root folder of its workspace.
    workspace: PathBuf,
}

/// What `cargo metadata` reports, as far as it matters here.
#[derive(serde::Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(serde::Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

impl<'a> PluginCrate<'a> {
    fn find(folder: &'a Path) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let canonical = manifest.canonicalize().map_err(|cause| {
            Error::config(format!("{}: {cause}", manifest.display()))
                .hint("pass the folder of a crate; `host plugin new rule NAME` creates one")
        })?;
        let mut cargo = cargo(folder);
        let output = run(cargo.args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: Metadata = serde_json::from_slice(&output)
            .map_err(|cause| Error::internal(format!("the output of `cargo metadata` is not as expected: {cause}")))?;
        let is_own = |package: &Package| package.manifest_path.canonicalize().is_ok_and(|path| path == canonical);
        let own = metadata.packages.into_iter().find(is_own);
        let Package { name, .. } =
            own.ok_or_else(|| Error::config(format!("{} has no package", manifest.display())))?;
        Ok(Self { folder, name, workspace: metadata.workspace_root })
    }
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder).stderr(Stdio::inherit());
    cargo
}

/// Runs cargo, whose messages go to the terminal. Returns its standard output.
fn run(cargo: &mut Command) -> Result<Vec<u8>> {
    let run = cargo.output().map_err(|cause| Error::config(format!("cannot start cargo: {cause}")))?;
    if run.status.success() {
        return Ok(run.stdout);
    }
    let folder = cargo.get_current_dir().unwrap_or(Path::new(".")).display();
    let error = Error::config(format!("cargo failed in {folder}"));
    Err(error.hint(format!("see cargo's messages above; if the target is missing: `rustup target add {TARGET}`")))
}

/// Compiles crates of one workspace. Returns the files that cargo made.
fn compile(members: &[&PluginCrate<'_>], profile: &str) -> Result<Vec<PathBuf>> {
    let mut cargo = cargo(members[0].folder);
    cargo.args(["build", "--target", TARGET, "--profile", profile, "--message-format=json-render-diagnostics"]);
    for member in members {
        cargo.args(["--package", &member.name]);
    }
    Ok(artifacts(&run(&mut cargo)?))
}

fn artifacts(messages: &[u8]) -> Vec<PathBuf> {
    let messages = serde_json::Deserializer::from_slice(messages).into_iter::<serde_json::Value>().flatten();
    let files = messages.filter_map(|message| message.get("filenames").cloned());
    let files = files.flat_map(|files| files.as_array().cloned().unwrap_or_default());
    files.filter_map(|file| file.as_str().map(PathBuf::from)).collect()
}

fn componentize(module: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(module).map_err(|cause| Error::config(format!("{}: {cause}", module.display())))?;
    let failed = |cause: String| {
        Error::plugin(format!("the module does not make a component: {cause}")).hint(
            "a plugin exports itself with `export_source!` or `export_rule!`, and imports only what the contract has",
        )
    };
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(&bytes);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(|cause| failed(format!("{cause:#}")))
}

/// Checks that a component implements the contract, without compiling it.
fn check_contract(component: &[u8]) -> Result<()> {
    let mut exports = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|cause| Error::plugin(cause.to_string()))? {
            // The exports of nested modules and components are their own.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                let names = section.into_iter().flatten();
                exports.extend(names.map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    PluginKind::of_exports(&exports).map(drop)
}
