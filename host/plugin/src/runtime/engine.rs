//! The engine: loads components and instantiates them in stores with their limits.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use host_core::error::{Error, Result, Subject};
use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Store};

use super::bindings::{rule_world, source_world};
use super::cache::CompilationCache;
use super::call::TICK;
use super::component::{Component, PluginKind};
use super::folders::FoundComponent;
use super::grants::Grants;
use super::guest::call_guest;
use super::limits::CALL_BYTES;
use super::state::State;
use crate::memory::MemoryBudget;

/// The time limit of a call, unless the pipeline sets another.
const DEFAULT_CALL_TIME: Duration = Duration::from_secs(600);
/// The largest file of a component, in bytes. A Python component with its interpreter has about 40 MB.
const MAX_COMPONENT: u64 = 256 << 20;
/// The first bytes of a component: the magic number of WebAssembly, then the version and layer of the component model.
const COMPONENT_HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// Compiles and runs components.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    sources: Arc<Linker<State>>,
    rules: Arc<Linker<State>>,
    cache: Option<CompilationCache>,
    call_time: Duration,
    budget: MemoryBudget,
}

impl Engine {
    /// An engine. It stores compiled components in the cache folder, if one is given.
    ///
    /// # Errors
    /// An internal error if wasmtime does not start on this machine.
    pub fn new(cache: Option<PathBuf>) -> Result<Self> {
        let failed = |cause: wasmtime::Error| Error::internal(format!("cannot start wasmtime: {cause:#}"));
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.compiler_inlining(wasmtime::Inlining::Yes);
        let engine = wasmtime::Engine::new(&config).map_err(failed)?;
        let mut sources = Linker::new(&engine);
        source_world::SourcePlugin::add_to_linker::<_, HasSelf<State>>(&mut sources, |state| state).map_err(failed)?;
        let mut rules = Linker::new(&engine);
        rule_world::RulePlugin::add_to_linker::<_, HasSelf<State>>(&mut rules, |state| state).map_err(failed)?;
        for linker in [&mut sources, &mut rules] {
            wasmtime_wasi::p2::add_to_linker_async(linker).map_err(failed)?;
        }
        let ticking = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = ticking.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        });
        let (sources, rules) = (Arc::new(sources), Arc::new(rules));
        let cache = cache.map(CompilationCache::new);
        Ok(Self { engine, sources, rules, cache, call_time: DEFAULT_CALL_TIME, budget: MemoryBudget::default() })
    }

    /// The same engine with another time limit of calls. The time in which a guest waits for requests does not count.
    #[must_use]
    pub fn with_call_time(self, call_time: Duration) -> Self {
        Self { call_time, ..self }
    }

    /// Sets the memory that all plugins may use together, with what the host holds for them: 2 GiB unless it is set. An
    /// engine and its clones have one limit, the largest that was set.
    pub fn limit_memory(&self, bytes: usize) {
        self.budget.set_limit(bytes);
    }

    /// Reads, checks and compiles the component of a file that the user names. With `pin`, a file with another SHA-256 is
    /// refused.
    ///
    /// # Errors
    /// A file that cannot be read or is not pinned, and a component that does not compile or does not implement the
    /// contract.
    pub fn load(&self, path: &Path, pin: Option<&str>) -> Result<Component> {
        self.load_opened(path, pin, || {
            File::open(path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))
        })
    }

    /// Same as [`Engine::load`], for a file that was searched for.
    ///
    /// # Errors
    /// Same as [`Engine::load`], and a file that others may have written.
    pub fn load_found(&self, found: &FoundComponent, pin: Option<&str>) -> Result<Component> {
        self.load_opened(found.path(), pin, || found.open())
    }

    fn load_opened(&self, path: &Path, pin: Option<&str>, open: impl FnOnce() -> Result<File>) -> Result<Component> {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plugin").to_owned();
        let read = || {
            let mut bytes = Vec::new();
            // A file that is larger, or has no end, is not read to its end.
            let mut file = open()?.take(MAX_COMPONENT + 1);
            file.read_to_end(&mut bytes).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?;
            if bytes.len() as u64 > MAX_COMPONENT {
                let (shown, limit) = (path.display(), MAX_COMPONENT >> 20);
                return Err(Error::plugin(format!("{shown} is larger than {limit} MiB")));
            }
            self.check(path, &name, &bytes, pin)
        };
        read().map_err(|error| error.about(&Subject::Plugin(name.clone())))
    }

    fn check(&self, path: &Path, name: &str, bytes: &[u8], pin: Option<&str>) -> Result<Component> {
        let shown = path.display();
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if let Some(pin) = pin.filter(|pin| !pin.eq_ignore_ascii_case(&sha256)) {
            let error = Error::plugin(format!("{shown} has SHA-256 {sha256}, but the pipeline pins {pin}"));
            return Err(error.hint(format!("if you trust the new file, set `sha256 = \"{sha256}\"`")));
        }
        if !bytes.starts_with(COMPONENT_HEADER) {
            let error = Error::plugin(format!("{shown} is not a WebAssembly component"));
            return Err(error.hint("make one with `host plugin build FOLDER`"));
        }
        let compiled = match &self.cache {
            Some(cache) => cache.compile(&self.engine, bytes, &sha256),
            None => wasmtime::component::Component::new(&self.engine, bytes),
        };
        let compiled = compiled.map_err(|cause| Error::plugin(format!("{shown} does not compile: {cause:#}")))?;
        let component_type = compiled.component_type();
        let exports: Vec<_> = component_type.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let imports: Vec<_> = component_type
            .imports(&self.engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentInstance(_)))
            .map(|(name, _)| name.to_owned())
            .collect();
        let kind = PluginKind::of_exports(&exports)?;
        Ok(Component { name: name.to_owned(), sha256, kind, imports, compiled })
    }

    /// A store with the limits of a plugin.
    pub(super) fn store(&self, component: &Component, grants: Grants) -> Store<State> {
        let state = State::new(component.name.clone(), grants, self.call_time, &self.budget);
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(CALL_BYTES);
        // A guest that computes yields, so that its time can run out and other tasks get theirs.
        store.epoch_deadline_async_yield_and_update(1);
        store
    }

    pub(super) async fn source(
        &self,
        component: &Component,
        store: &mut Store<State>,
    ) -> Result<source_world::SourcePlugin> {
        let (compiled, linker) = (&component.compiled, &self.sources);
        call_guest!(store, "instantiate", source_world::SourcePlugin::instantiate_async(&mut *store, compiled, linker))
    }

    pub(super) async fn rule(&self, component: &Component, store: &mut Store<State>) -> Result<rule_world::RulePlugin> {
        let (compiled, linker) = (&component.compiled, &self.rules);
        call_guest!(store, "instantiate", rule_world::RulePlugin::instantiate_async(&mut *store, compiled, linker))
    }
}
