//! `host plugin new`: a crate that builds to a component and passes its tests, from templates.

use std::path::{Path, PathBuf};

use super::Contract;
use crate::error::{Error, Result};

/// Words that no crate may be named: Rust's keywords, and the crates that each crate has.
/// <https://doc.rust-lang.org/reference/keywords.html>
const RESERVED: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern \
    false final fn for gen if impl in let loop macro match mod move mut override priv proc_macro pub ref return self static \
    std struct super test trait true try type typeof unsafe unsized use virtual where while yield";
/// Where the SDK lies in this repository.
const SDK: &str = "plugins/sdk";

/// Writes a new plugin crate; gives back its files.
pub fn scaffold(contract: Contract, folder: &Path, sdk: Option<&Path>) -> Result<Vec<PathBuf>> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_good = |name: &str| {
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
        starts
            && !RESERVED.split_whitespace().any(|word| word == name)
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    };
    if !is_good(name) {
        let error = Error::config(format!("`{name}` is no name for a plugin"));
        return Err(
            error.hint("lowercase letters, digits, `-` and `_`, first a letter, and no word of Rust's own: `my-rule`")
        );
    }
    if folder.exists() {
        return Err(Error::config(format!("{} is there already", folder.display())).hint("name a new folder"));
    }
    let sdk = find_sdk(folder, sdk)?;
    let (manifest, code) = match contract {
        Contract::Rule => {
            (include_str!("../../templates/rule/Cargo.toml.txt"), include_str!("../../templates/rule/src/lib.rs.txt"))
        }
        Contract::Source => (
            include_str!("../../templates/source/Cargo.toml.txt"),
            include_str!("../../templates/source/src/lib.rs.txt"),
        ),
    };
    let manifest = manifest.replace("NAME", name).replace("SDK", &sdk.display().to_string());
    let page = match contract {
        Contract::Rule => include_str!("../../templates/rule/README.md.txt"),
        Contract::Source => include_str!("../../templates/source/README.md.txt"),
    };
    let page = page.replace("NAME", name);
    let files = [
        ("Cargo.toml", manifest.as_str()),
        ("src/lib.rs", code),
        ("README.md", page.as_str()),
        // The compiler that the SDK is built with, and the target of components.
        ("rust-toolchain.toml", include_str!("../../../rust-toolchain.toml")),
        (".gitignore", "/target/\n*.wasm\n"),
    ];
    let mut written = Vec::new();
    for (file, text) in files {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        let made = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        made.map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?;
        written.push(path);
    }
    Ok(written)
}

/// The SDK that is named, or the one of the repository that the folder will stand in.
fn find_sdk(folder: &Path, named: Option<&Path>) -> Result<PathBuf> {
    let is_sdk = |path: &Path| path.join("Cargo.toml").is_file();
    let absolute = |path: &Path| std::path::absolute(path).map_err(|cause| Error::config(cause.to_string()));
    if let Some(named) = named {
        return if is_sdk(named) {
            absolute(named)
        } else {
            Err(Error::config(format!("no SDK in {}", named.display())).hint("name the folder `plugins/sdk`"))
        };
    }
    let folder = absolute(folder)?;
    let found = folder.ancestors().skip(1).map(|above| above.join(SDK)).find(|path| is_sdk(path));
    found.ok_or_else(|| {
        let error = Error::config("the SDK is not found at or above this folder");
        error.hint(format!("name it: `--sdk PATH/TO/{SDK}`"))
    })
}
