//! The cache of compiled components. Compiled code runs with the rights of the host, so an entry is used only if a key of
//! this user authenticates it.

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use host_core::error::{Error, Result};
use host_core::files;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use wasmtime::component::Component;

/// The most bytes of all entries. The entries that were not used for longest are removed first.
const MAX_BYTES: u64 = 512 << 20;
/// The file of the key.
const KEY: &str = "key";
/// The length of the key, and of the tag before each entry, in bytes.
const TAG_BYTES: usize = 32;

/// Compiled components, by the hash of their file and the engine's compatibility. Whatever is wrong with the cache, the
/// component is compiled: a run works without it, only slower.
#[derive(Clone)]
pub(super) struct CompilationCache {
    folder: PathBuf,
    max_bytes: u64,
}

/// The key, with which an entry is bound to its name and to this folder: a folder that was copied, packed or cloned has
/// no valid entries.
struct Key {
    key: hmac::Key,
    folder: String,
}

impl CompilationCache {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, max_bytes: MAX_BYTES }
    }

    /// The compiled component. It is compiled and stored if the cache does not have it.
    pub(super) fn compile(&self, engine: &wasmtime::Engine, bytes: &[u8], sha256: &str) -> wasmtime::Result<Component> {
        let key = match self.key() {
            Ok(key) => key,
            Err(error) => {
                tracing::debug!("compiled plugins are not cached: {error}");
                return Component::new(engine, bytes);
            }
        };
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let name = format!("{sha256}-{:016x}.cwasm", hasher.finish());
        if let Some(entry) = self.read(&key, &name) {
            #[expect(unsafe_code, reason = "only this user has the key, and this user could replace the host as well")]
            // SAFETY: the tag shows that a host of this user serialized exactly these bytes for this name, which contains
            // the engine's compatibility hash. They are in memory, where no other process can change them.
            let cached = unsafe { Component::deserialize(engine, &entry[TAG_BYTES..]) };
            if cached.is_ok() {
                return cached;
            }
        }
        let compiled = Component::new(engine, bytes)?;
        let stored = self.store(&key, &name, &compiled.serialize()?).and_then(|()| self.evict(&name));
        if let Err(error) = stored {
            tracing::debug!("a compiled plugin is not cached: {error}");
        }
        Ok(compiled)
    }

    /// The key of this folder, which is made if there is none.
    fn key(&self) -> Result<Key> {
        let failed = |cause: std::io::Error| Error::config(format!("{}: {cause}", self.folder.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let folder = std::fs::metadata(&self.folder).map_err(failed)?;
        if !is_own(&folder, 0o022) {
            return Err(Error::config(format!("{} may be written to by other users", self.folder.display())));
        }
        let path = self.folder.join(KEY);
        if let Some(key) = read_key(&path) {
            return Ok(key);
        }
        let mut secret = [0; TAG_BYTES];
        let no_secret = |_| Error::internal("the system has no random numbers");
        SystemRandom::new().fill(&mut secret).map_err(no_secret)?;
        // Whatever is there is not a key of this user.
        let _ = std::fs::remove_file(&path);
        // Another process may be faster: then its key counts.
        let created = files::create_private(&path, secret);
        read_key(&path)
            .ok_or_else(|| created.err().unwrap_or_else(|| Error::config(format!("{}: no key", path.display()))))
    }

    /// An entry with its tag, if it is authentic.
    fn read(&self, key: &Key, name: &str) -> Option<Vec<u8>> {
        let path = self.folder.join(name);
        let found = std::fs::metadata(&path).ok()?;
        if !found.is_file() || found.len() > self.max_bytes {
            return None;
        }
        let entry = std::fs::read(&path).ok()?;
        let (tag, serialized) = entry.split_at_checked(TAG_BYTES)?;
        hmac::verify(&key.key, &key.message(name, serialized), tag).ok()?;
        mark_as_used(&path);
        Some(entry)
    }

    fn store(&self, key: &Key, name: &str, serialized: &[u8]) -> Result<()> {
        let tag = hmac::sign(&key.key, &key.message(name, serialized));
        let entry = [tag.as_ref(), serialized].concat();
        if entry.len() as u64 > self.max_bytes {
            return Ok(());
        }
        files::replace_private(&self.folder.join(name), entry)
    }

    /// Removes files until the rest fits, but not the entry of this name.
    fn evict(&self, newest: &str) -> Result<()> {
        let failed = |cause: std::io::Error| Error::config(format!("{}: {cause}", self.folder.display()));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Another process may remove files too.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() && entry.file_name() != KEY {
                let is_newest = entry.file_name() == newest;
                found.push((is_newest, metadata.mtime(), metadata.mtime_nsec(), entry.path(), metadata.len()));
            }
        }
        found.sort();
        let mut bytes: u64 = found.iter().map(|(.., length)| length).sum();
        for (is_newest, .., path, length) in found {
            if bytes <= self.max_bytes || is_newest {
                break;
            }
            bytes -= length;
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }
}

impl Key {
    /// What a tag authenticates.
    fn message(&self, name: &str, serialized: &[u8]) -> Vec<u8> {
        let hash = digest(&SHA256, serialized);
        [self.folder.as_bytes(), b"\0", name.as_bytes(), b"\0", hash.as_ref()].concat()
    }
}

/// Whether something belongs to this user, and others have none of these permissions on it.
fn is_own(found: &Metadata, permissions: u32) -> bool {
    found.uid() == rustix::process::geteuid().as_raw() && found.mode() & permissions == 0
}

/// The key in a file, unless others can read it.
fn read_key(path: &Path) -> Option<Key> {
    let found = std::fs::symlink_metadata(path).ok()?;
    let is_key = found.is_file() && is_own(&found, 0o077) && found.len() == TAG_BYTES as u64;
    let secret = std::fs::read(path).ok().filter(|_| is_key)?;
    Some(Key { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), folder: format!("{}:{}", found.dev(), found.ino()) })
}

/// Sets the time of a file, by which the cache knows what was used last.
fn mark_as_used(path: &Path) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    let _ = File::open(path).map(|file| rustix::fs::futimens(&file, &times));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::{Path, PathBuf};
    use std::time::{Duration, SystemTime};

    use super::{CompilationCache, KEY, MAX_BYTES};
    use tempfile::TempDir;

    /// A component that contains nothing.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    struct Cached {
        folder: TempDir,
        engine: wasmtime::Engine,
        cache: CompilationCache,
    }

    impl Cached {
        fn new(max_bytes: u64) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let cache = CompilationCache { folder: folder.path().join("plugins"), max_bytes };
            Self { folder, engine: wasmtime::Engine::default(), cache }
        }

        fn compile(&self, sha256: &str) {
            self.cache.compile(&self.engine, EMPTY, sha256).expect("a compiled component");
        }

        /// The entries, without the key.
        fn entries(&self) -> Vec<PathBuf> {
            let entries = std::fs::read_dir(&self.cache.folder).expect("a folder");
            let paths = entries.map(|entry| entry.expect("an entry").path());
            paths.filter(|path| path.file_name().is_some_and(|name| name != KEY)).collect()
        }

        fn is_authentic(&self, entry: &Path) -> bool {
            let name = entry.file_name().and_then(|name| name.to_str()).expect("a name");
            self.cache.read(&self.cache.key().expect("a key"), name).is_some()
        }
    }

    fn bytes(path: &Path) -> Vec<u8> {
        std::fs::read(path).expect("a file")
    }

    #[test]
    fn an_entry_is_authentic_under_its_own_name_in_its_own_folder() {
        let cached = Cached::new(MAX_BYTES);
        cached.compile("a");
        let [entry] = cached.entries().try_into().expect("an entry");
        assert!(cached.is_authentic(&entry));
        for private in [&entry, &cached.cache.folder.join(KEY)] {
            assert_eq!(private.metadata().expect("a file").mode() & 0o777, 0o600);
        }
        let renamed =
            entry.with_file_name(entry.file_name().and_then(|name| name.to_str()).expect("a name").replace('a', "b"));
        std::fs::copy(&entry, &renamed).expect("a copy");
        assert!(!cached.is_authentic(&renamed));
        let copy = Cached::new(MAX_BYTES);
        std::fs::create_dir(&copy.cache.folder).expect("a folder");
        for file in [entry.file_name().expect("a name"), KEY.as_ref()] {
            std::fs::copy(cached.cache.folder.join(file), copy.cache.folder.join(file)).expect("a copy");
        }
        assert!(!copy.is_authentic(&entry) && bytes(&entry) == bytes(&copy.entries()[0]));
    }

    #[test]
    fn flipped_bits_and_short_entries_are_not_used() {
        let cached = Cached::new(MAX_BYTES);
        cached.compile("a");
        let [entry] = cached.entries().try_into().expect("an entry");
        let whole = bytes(&entry);
        for part in 0..64 {
            let at = part * (whole.len() - 1) / 63;
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (part % 8);
            for damaged in [flipped, whole[..at].to_vec()] {
                std::fs::write(&entry, damaged).expect("a file");
                assert!(!cached.is_authentic(&entry), "byte {at}");
            }
        }
        cached.compile("a");
        assert!(cached.is_authentic(&entry));
    }

    #[test]
    fn a_key_that_others_can_read_is_replaced() {
        let cached = Cached::new(MAX_BYTES);
        cached.compile("a");
        let (key, [entry]) = (cached.cache.folder.join(KEY), cached.entries().try_into().expect("an entry"));
        let before = bytes(&key);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("permissions");
        assert!(!cached.is_authentic(&entry));
        assert_ne!(bytes(&key), before);
        for damaged in ["", "short"] {
            std::fs::write(&key, damaged).expect("a file");
            cached.compile("a");
            assert!(cached.is_authentic(&entry));
        }
    }

    #[test]
    fn entries_that_were_not_used_for_longest_are_removed() {
        let one = {
            let cached = Cached::new(MAX_BYTES);
            cached.compile("a");
            bytes(&cached.entries()[0]).len() as u64
        };
        let cached = Cached::new(2 * one);
        for (age, sha256) in [(3, "a"), (1, "b"), (2, "c")] {
            cached.compile(sha256);
            for entry in
                cached.entries().iter().filter(|entry| entry.to_string_lossy().contains(&format!("/{sha256}-")))
            {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age);
                std::fs::File::options()
                    .write(true)
                    .open(entry)
                    .and_then(|file| file.set_modified(time))
                    .expect("a time");
            }
        }
        let kept = |sha256: &str| {
            cached.entries().iter().any(|entry| entry.to_string_lossy().contains(&format!("/{sha256}-")))
        };
        assert!(!kept("a") && kept("b") && kept("c"), "{:?}", cached.entries());
        // A use counts as well.
        cached.compile("c");
        cached.compile("d");
        assert!(!kept("b") && kept("c") && kept("d"), "{:?}", cached.entries());
        // What would not fit is not stored.
        let small = Cached::new(one - 1);
        small.compile("a");
        assert_eq!(small.entries(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_that_is_missing_or_open_to_others_is_not_used() {
        let cached = Cached::new(MAX_BYTES);
        std::fs::create_dir(&cached.cache.folder).expect("a folder");
        std::fs::set_permissions(&cached.cache.folder, std::fs::Permissions::from_mode(0o777)).expect("permissions");
        cached.compile("a");
        assert_eq!(cached.entries(), Vec::<PathBuf>::new());
        std::fs::write(cached.folder.path().join("file"), "").expect("a file");
        let below_a_file = CompilationCache { folder: cached.folder.path().join("file/plugins"), max_bytes: MAX_BYTES };
        below_a_file.compile(&cached.engine, EMPTY, "a").expect("a compiled component");
    }
}
