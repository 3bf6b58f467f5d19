//! What of the followed files is synced, and what is not yet; and the cut, which leaves on disk what a power loss would.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{c_int, c_void};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::ChaCha12Rng;

use crate::settings::{BROKEN, EXIT_CODE, Settings, settings};
use crate::survivors::{Change, Cut, survivors};

/// Bytes of a block whose synced content is kept.
const BLOCK: u64 = 512;

unsafe extern "C" {
    /// Calls a function with the exit code when the process ends.
    fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

extern "C" fn at_exit(code: c_int, _: *mut c_void) {
    if let Some(settings) = settings().filter(|_| code == 0) {
        crate::calls::alone(|disk| disk.end(settings, 0));
    }
}

/// A file by device and number.
pub(crate) type FileId = (u64, u64);

/// A followed file.
struct Followed {
    /// A descriptor of this library, which stays open: closing it would drop DuckDB's lock.
    file: File,
    /// Its length when it was synced.
    synced_length: u64,
    /// The synced bytes of blocks that were changed since.
    before: BTreeMap<u64, Vec<u8>>,
    changes: Vec<Change>,
}

impl Followed {
    fn new(file: File) -> std::io::Result<Self> {
        let synced_length = file.metadata()?.len();
        Ok(Self { file, synced_length, before: BTreeMap::new(), changes: Vec::new() })
    }

    /// Keeps the synced bytes of a range before it is changed.
    fn keep(&mut self, from: u64, to: u64) -> std::io::Result<()> {
        for block in from / BLOCK..to.min(self.synced_length).div_ceil(BLOCK) {
            if !self.before.contains_key(&block) {
                let start = block * BLOCK;
                let mut bytes = vec![0; usize::try_from(BLOCK.min(self.synced_length - start)).unwrap_or_default()];
                self.file.read_exact_at(&mut bytes, start)?;
                self.before.insert(block, bytes);
            }
        }
        Ok(())
    }

    /// The synced bytes.
    fn synced(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.synced_length).unwrap_or_default()];
        let present = usize::try_from(self.file.metadata()?.len().min(self.synced_length)).unwrap_or_default();
        self.file.read_exact_at(&mut bytes[..present], 0)?;
        for (block, before) in &self.before {
            let start = usize::try_from(block * BLOCK).unwrap_or_default();
            bytes[start..start + before.len()].copy_from_slice(before);
        }
        Ok(bytes)
    }
}

/// A change of names since the last sync of any file.
enum NameChange {
    Created(PathBuf),
    /// A file was removed; the second path is a link that keeps it.
    Removed(PathBuf, PathBuf),
    /// A file was renamed, and perhaps replaced another, which a link keeps.
    Renamed(PathBuf, PathBuf, Option<PathBuf>),
}

/// The followed files of this process.
pub(crate) struct Disk {
    files: HashMap<FileId, Followed>,
    names: Vec<NameChange>,
    operations: u64,
    links: u64,
    trace: Option<File>,
    rng: Option<ChaCha12Rng>,
}

/// The disk of this process. Whoever holds it is alone in changing files.
pub(crate) fn disk() -> MutexGuard<'static, Disk> {
    static DISK: LazyLock<Mutex<Disk>> = LazyLock::new(|| {
        Mutex::new(Disk { files: HashMap::new(), names: Vec::new(), operations: 0, links: 0, trace: None, rng: None })
    });
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// Counts an operation, adds it to the file `trace`, and cuts the power if it is the one.
    pub(crate) fn count(&mut self, settings: &Settings, what: std::fmt::Arguments<'_>) -> std::io::Result<()> {
        self.operations += 1;
        if self.trace.is_none() {
            self.trace = Some(File::create(settings.work.join("trace"))?);
            if settings.at_exit {
                // SAFETY: the function lives as long as the process.
                unsafe { on_exit(at_exit, std::ptr::null_mut()) };
            }
        }
        if let Some(trace) = &mut self.trace {
            trace.write_all(format!("{what}\n").as_bytes())?;
        }
        if settings.cut_at == Some(self.operations) {
            self.end(settings, EXIT_CODE);
        }
        Ok(())
    }

    /// Cuts the power and ends the process.
    pub(crate) fn end(&mut self, settings: &Settings, code: i32) -> ! {
        let cut = self.cut(settings);
        let _ = std::fs::write(settings.work.join("cut"), format!("{cut:?}\n"));
        // SAFETY: the process ends here, without destructors, as without power.
        unsafe { libc::_exit(if cut.is_ok() { code } else { BROKEN }) }
    }

    /// Follows a file from its present bytes on.
    pub(crate) fn follow(&mut self, path: &Path) -> std::io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let metadata = file.metadata()?;
        let id = (metadata.dev(), metadata.ino());
        if metadata.is_file() && !self.files.contains_key(&id) {
            self.files.insert(id, Followed::new(file)?);
        } else {
            // Closing a second descriptor would drop the locks of the first.
            let _ = std::os::fd::IntoRawFd::into_raw_fd(file);
        }
        Ok(())
    }

    pub(crate) fn is_followed(&self, id: FileId) -> bool {
        self.files.contains_key(&id)
    }

    /// Before bytes are written.
    pub(crate) fn will_write(&mut self, id: FileId, offset: u64, bytes: Vec<u8>) -> std::io::Result<()> {
        let Some(file) = self.files.get_mut(&id) else { return Ok(()) };
        file.keep(offset, offset + bytes.len() as u64)?;
        file.changes.push(Change::Write(offset, bytes));
        Ok(())
    }

    /// Before a file gets another length.
    pub(crate) fn will_resize(&mut self, id: FileId, length: u64) -> std::io::Result<()> {
        let Some(file) = self.files.get_mut(&id) else { return Ok(()) };
        file.keep(length, u64::MAX)?;
        file.changes.push(Change::Length(length));
        Ok(())
    }

    /// A file was synced, and with it the names that changed before.
    pub(crate) fn synced(&mut self, id: FileId) -> std::io::Result<()> {
        if let Some(file) = self.files.get_mut(&id) {
            file.synced_length = file.file.metadata()?.len();
            file.before.clear();
            file.changes.clear();
        }
        for change in self.names.drain(..) {
            if let NameChange::Removed(_, link) | NameChange::Renamed(_, _, Some(link)) = change {
                std::fs::remove_file(link)?;
            }
        }
        Ok(())
    }

    pub(crate) fn created(&mut self, path: PathBuf) {
        self.names.push(NameChange::Created(path));
    }

    /// A link to a file whose name is about to disappear.
    fn link(&mut self, path: &Path, settings: &Settings) -> std::io::Result<PathBuf> {
        self.links += 1;
        let link = settings.work.join(format!("link-{}-{}", std::process::id(), self.links));
        std::fs::hard_link(path, &link)?;
        Ok(link)
    }

    pub(crate) fn will_remove(&mut self, path: PathBuf, settings: &Settings) -> std::io::Result<()> {
        if path.is_file() {
            let link = self.link(&path, settings)?;
            self.names.push(NameChange::Removed(path, link));
        }
        Ok(())
    }

    pub(crate) fn will_rename(&mut self, from: PathBuf, to: PathBuf, settings: &Settings) -> std::io::Result<()> {
        if from.is_file() {
            let replaced = if to.is_file() { Some(self.link(&to, settings)?) } else { None };
            self.names.push(NameChange::Renamed(from, to, replaced));
        }
        Ok(())
    }

    /// The next random number for a delay, below a thousand.
    pub(crate) fn chance(&mut self, settings: &Settings) -> u32 {
        let rng = self.rng.get_or_insert_with(|| ChaCha12Rng::seed_from_u64(settings.seed ^ 0x5eed));
        rng.random_range(0..1000)
    }

    /// Leaves on disk what a power loss would. Returns how it was cut.
    fn cut(&mut self, settings: &Settings) -> std::io::Result<Cut> {
        let mut rng = ChaCha12Rng::seed_from_u64(settings.seed);
        let cut = Cut::random(&mut rng);
        let durable = match cut {
            Cut::Nothing => 0,
            Cut::Everything => self.names.len(),
            _ => rng.random_range(0..=self.names.len()),
        };
        // Files in the order of their numbers, so that a seed decides the same for the same files.
        let mut ids: Vec<_> = self.files.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(file) = self.files.get(&id) else { continue };
            let left = survivors(file.synced()?, &file.changes, cut, &mut rng);
            file.file.set_len(0)?;
            file.file.write_all_at(&left, 0)?;
        }
        for change in self.names.drain(durable..).rev() {
            match change {
                NameChange::Created(path) => {
                    if path.exists() {
                        std::fs::remove_file(path)?;
                    }
                }
                NameChange::Removed(path, link) => {
                    if let Some(folder) = path.parent() {
                        std::fs::create_dir_all(folder)?;
                    }
                    std::fs::rename(link, path)?;
                }
                NameChange::Renamed(from, to, replaced) => {
                    std::fs::rename(&to, from)?;
                    if let Some(link) = replaced {
                        std::fs::rename(link, to)?;
                    }
                }
            }
        }
        Ok(cut)
    }
}
