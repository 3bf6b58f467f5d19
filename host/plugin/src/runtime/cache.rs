//! The cache of compiled components, in a folder that only this user can write to.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use wasmtime::component::Component;

/// Compiled components, by the hash of their file and the engine's compatibility.
#[derive(Clone)]
pub(super) struct CompilationCache {
    folder: PathBuf,
}

impl CompilationCache {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The compiled component. It is compiled and stored if the cache does not have it.
    pub(super) fn compile(&self, engine: &wasmtime::Engine, bytes: &[u8], sha256: &str) -> wasmtime::Result<Component> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let path = self.folder.join(format!("{sha256}-{:016x}.cwasm", hasher.finish()));
        if path.is_file() && is_private(&self.folder) {
            #[expect(
                unsafe_code,
                reason = "only this user can write to the folder, and this user could replace the host as well"
            )]
            // SAFETY: only this code writes there, and the name contains the engine's compatibility hash.
            let cached = unsafe { Component::deserialize_file(engine, &path) };
            if cached.is_ok() {
                return cached;
            }
        }
        let compiled = Component::new(engine, bytes)?;
        // A run works without the cache, only slower.
        let _ = store(&path, &compiled.serialize()?);
        Ok(compiled)
    }
}

/// Whether only this user can write to a folder.
fn is_private(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let own = std::fs::metadata("/proc/self").or_else(|_| std::fs::metadata(".")).map(|own| own.uid());
    std::fs::metadata(folder)
        .is_ok_and(|folder| folder.mode() & 0o022 == 0 && own.as_ref().is_ok_and(|own| *own == folder.uid()))
}

fn store(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let partial = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&partial, bytes)?;
    std::fs::rename(&partial, path)
}
