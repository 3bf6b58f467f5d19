//! Makes a plugin's crate from a template. It builds to a component and passes its tests.

use std::path::{Path, PathBuf};

use host_core::error::{Error, Result};
use host_core::files::NewFiles;
use host_core::project::Owners;
use host_plugin::PluginKind;

/// Names that a crate cannot have: Rust's keywords, and the crates that every crate has.
/// <https://doc.rust-lang.org/reference/keywords.html>
const RESERVED: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern \
    false final fn for gen if impl in let loop macro match mod move mut override priv proc_macro pub ref return self static \
    std struct super test trait true try type typeof unsafe unsized use virtual where while yield";
/// The folder of the SDK in this repository.
const SDK: &str = "plugins/sdk";

/// Writes a new crate into a new folder, and returns its files. `sdk` is the folder of the SDK; without it, the SDK is
/// looked for above the new folder.
///
/// # Errors
/// A name that a crate cannot have, a folder that exists, an SDK that is not found.
pub fn scaffold(kind: PluginKind, folder: &Path, sdk: Option<&Path>) -> Result<Vec<PathBuf>> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_valid = |name: &str| {
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
        starts
            && !RESERVED.split_whitespace().any(|word| word == name)
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    };
    if !is_valid(name) {
        let error = Error::config(format!("`{name}` is not a valid plugin name"));
        return Err(error.hint(
            "use lowercase letters, digits, `-` and `_`, start with a letter, and use no Rust keyword: `my-rule`",
        ));
    }
    if folder.symlink_metadata().is_ok() {
        return Err(Error::config(format!("{} already exists", folder.display())).hint("pass the path of a new folder"));
    }
    let sdk = find_sdk(folder, sdk)?;
    let (manifest, code) = match kind {
        PluginKind::Rule => {
            (include_str!("../../templates/rule/Cargo.toml.txt"), include_str!("../../templates/rule/src/lib.rs.txt"))
        }
        PluginKind::Source => (
            include_str!("../../templates/source/Cargo.toml.txt"),
            include_str!("../../templates/source/src/lib.rs.txt"),
        ),
    };
    let manifest = manifest.replace("NAME", name).replace("SDK", &sdk.display().to_string());
    let readme = match kind {
        PluginKind::Rule => include_str!("../../templates/rule/README.md.txt"),
        PluginKind::Source => include_str!("../../templates/source/README.md.txt"),
    };
    let readme = readme.replace("NAME", name);
    let files = [
        ("Cargo.toml", manifest.as_str()),
        ("src/lib.rs", code),
        ("README.md", readme.as_str()),
        // The SDK's compiler, with the target of components.
        ("rust-toolchain.toml", include_str!("../../../rust-toolchain.toml")),
        (".gitignore", "/target/\n*.wasm\n"),
    ];
    let mut new = NewFiles::default();
    for (file, text) in files {
        new.file(&folder.join(file), text)?;
    }
    Ok(new.keep())
}

/// The named SDK, or that of the repository that the new folder is in.
fn find_sdk(folder: &Path, named: Option<&Path>) -> Result<PathBuf> {
    let is_sdk = |path: &Path| path.join("Cargo.toml").is_file();
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())));
    if let Some(named) = named {
        return if is_sdk(named) {
            absolute(named)
        } else {
            Err(Error::config(format!("{} is not the SDK: it has no Cargo.toml", named.display()))
                .hint("pass the folder `plugins/sdk`"))
        };
    }
    let folder = absolute(folder)?;
    let above: Vec<_> = folder.ancestors().skip(1).collect();
    let found = above.iter().find(|above| is_sdk(&above.join(SDK)));
    let missing =
        || Error::config("no SDK found at or above this folder").hint(format!("pass it: `--sdk PATH/TO/{SDK}`"));
    let (root, sdk) = found.map(|root| (root, root.join(SDK))).ok_or_else(missing)?;
    // The code of the SDK runs when the crate is built. Whoever owns the folder that the crate is made in may own it.
    let beside = above.iter().find(|above| above.is_dir()).unwrap_or(root);
    let owners = Owners::new().and_of(beside);
    let opened = owners.open(&sdk.join("Cargo.toml"), root);
    opened.map(|_| sdk).map_err(|error| error.hint("if you trust it, pass it with `--sdk`"))
}
