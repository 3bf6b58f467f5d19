//! The engine: finds components, compiles each once, keeps the machine code in the user's cache, and runs stores
//! under memory and time limits.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Store};

use super::bindings::{rule_world, source_world};
use super::call::CallTime;
use super::state::{CALL_BYTES, Grants, MEMORY_LIMIT, State};
use crate::error::{Error, Result, nearest};

/// The contract's version that this host speaks.
const VERSION: &str = "0.1.0";
/// How often a computing guest yields.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// How long one call into a guest may take, unless the pipeline says otherwise; time in which it waits for requests is
/// given back.
const CALL_TIME: Duration = Duration::from_secs(600);

/// Where plugins named without a path are looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// Folders, in order.
    pub folders: Vec<PathBuf>,
}

impl Search {
    /// The given folder, else `plugins` at or above the pipeline's folder, then beside the executable.
    #[must_use]
    pub fn new(given: Option<PathBuf>, pipeline: &Path) -> Self {
        let mut folders: Vec<_> = given.into_iter().collect();
        let pipeline = pipeline.canonicalize().unwrap_or_else(|_| pipeline.to_path_buf());
        folders.extend(pipeline.ancestors().map(|folder| folder.join("plugins")).filter(|folder| folder.is_dir()));
        let executable = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join("plugins")));
        folders.extend(executable.filter(|folder| folder.is_dir()));
        let mut seen = HashSet::new();
        folders.retain(|folder| seen.insert(std::path::absolute(folder).unwrap_or_else(|_| folder.clone())));
        Self { folders }
    }

    /// The component's file: a path as it is, a name in the folders.
    pub fn find(&self, plugin: &str, relative_to: &Path) -> Result<PathBuf> {
        if plugin.contains(['/', '\\']) || plugin.ends_with(".wasm") {
            let path = relative_to.join(plugin);
            let missing = || Error::config(format!("plugin `{plugin}`: no file {}", path.display()));
            return if path.is_file() { Ok(path) } else { Err(missing()) };
        }
        let paths = self.folders.iter().map(|folder| folder.join(format!("{plugin}.wasm")));
        if let Some(path) = paths.into_iter().find(|path| path.is_file()) {
            return Ok(path);
        }
        let names: Vec<String> = self.folders.iter().flat_map(|folder| components(folder)).collect();
        let looked: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        let near = nearest(plugin, names.iter().map(String::as_str));
        let build = "build it with `host plugin build FOLDER`, or name a folder with `--plugins`".to_owned();
        Err(Error::config(format!("no plugin `{plugin}` in {}", looked.join(", "))).hint(near.unwrap_or(build)))
    }
}

fn components(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let wasm = entries.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    wasm.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

/// Which of the contract's worlds a component implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// It reads streams.
    Source,
    /// It cleans streams.
    Rule,
}

/// A compiled component.
#[derive(Clone)]
pub struct Component {
    /// How errors call it.
    pub name: String,
    /// SHA-256 of its file, in hex.
    pub sha256: String,
    /// What it implements.
    pub contract: Contract,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    pub(crate) compiled: wasmtime::component::Component,
}

impl Component {
    /// The contract's version that it was built against: both worlds import the contract's types.
    #[must_use]
    pub fn contract_version(&self) -> &str {
        let mut imports = self.imports.iter();
        let version = imports.find_map(|import| Some(import.strip_prefix("elt:plugin/")?.split_once('@')?.1));
        version.unwrap_or("unknown")
    }
}

/// Compiles and runs components.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    sources: Arc<Linker<State>>,
    rules: Arc<Linker<State>>,
    cache: Option<PathBuf>,
    call_time: Duration,
}

impl Engine {
    /// An engine that keeps compiled plugins in a cache folder, if given.
    pub fn new(cache: Option<PathBuf>) -> Result<Self> {
        let broken = |cause: wasmtime::Error| Error::internal(format!("wasmtime does not start: {cause:#}"));
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.compiler_inlining(wasmtime::Inlining::Yes);
        let engine = wasmtime::Engine::new(&config).map_err(broken)?;
        let mut sources = Linker::new(&engine);
        source_world::SourcePlugin::add_to_linker::<_, HasSelf<State>>(&mut sources, |state| state).map_err(broken)?;
        let mut rules = Linker::new(&engine);
        rule_world::RulePlugin::add_to_linker::<_, HasSelf<State>>(&mut rules, |state| state).map_err(broken)?;
        for linker in [&mut sources, &mut rules] {
            wasmtime_wasi::p2::add_to_linker_async(linker).map_err(broken)?;
        }
        let ticking = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = ticking.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        });
        Ok(Self { engine, sources: Arc::new(sources), rules: Arc::new(rules), cache, call_time: CALL_TIME })
    }

    /// The same engine, under which one call into a guest may take so long.
    #[must_use]
    pub fn with_call_time(self, call_time: Duration) -> Self {
        Self { call_time, ..self }
    }

    /// Reads, checks and compiles a component; with `pin`, another SHA-256 is refused.
    pub fn load(&self, path: &Path, pin: Option<&str>) -> Result<Component> {
        let shown = path.display();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plugin").to_owned();
        let bytes = std::fs::read(path).map_err(|cause| Error::config(format!("plugin `{name}`: {shown}: {cause}")))?;
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if let Some(pin) = pin.filter(|pin| !pin.eq_ignore_ascii_case(&sha256)) {
            let error =
                Error::plugin(format!("plugin `{name}`: {shown} has SHA-256 {sha256}, the pipeline pins {pin}"));
            return Err(error.hint("if you trust the new file, pin its hash"));
        }
        if !wasmparser::Parser::is_component(&bytes) {
            let error = Error::plugin(format!("plugin `{name}`: {shown} is no WebAssembly component"));
            return Err(error.hint("make one with `host plugin build FOLDER`"));
        }
        let compiled = self
            .compile(&bytes, &sha256)
            .map_err(|cause| Error::plugin(format!("plugin `{name}`: {shown} does not compile: {cause:#}")))?;
        let component_type = compiled.component_type();
        let exports: Vec<_> = component_type.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let imports: Vec<_> = component_type
            .imports(&self.engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentInstance(_)))
            .map(|(name, _)| name.to_owned())
            .collect();
        let contract = contract(&exports).map_err(|error| error.on(format!("plugin `{name}`")))?;
        Ok(Component { name, sha256, contract, imports, compiled })
    }

    fn compile(&self, bytes: &[u8], sha256: &str) -> wasmtime::Result<wasmtime::component::Component> {
        let Some(cache) = &self.cache else { return wasmtime::component::Component::new(&self.engine, bytes) };
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&self.engine.precompile_compatibility_hash(), &mut hasher);
        let compatibility = std::hash::Hasher::finish(&hasher);
        let path = cache.join(format!("{sha256}-{compatibility:016x}.cwasm"));
        if path.is_file() && is_private(cache) {
            #[expect(
                unsafe_code,
                reason = "the folder is writable by this user alone, who could as well replace the host"
            )]
            // SAFETY: only this code writes there, and the name holds the engine's compatibility hash.
            let cached = unsafe { wasmtime::component::Component::deserialize_file(&self.engine, &path) };
            if cached.is_ok() {
                return cached;
            }
        }
        let compiled = wasmtime::component::Component::new(&self.engine, bytes)?;
        // A cache that cannot be written costs time, not the run.
        let _ = store(&path, &compiled.serialize()?);
        Ok(compiled)
    }

    pub(crate) fn store(&self, grants: Grants) -> Store<State> {
        let mut store = Store::new(&self.engine, State::new(grants, self.call_time));
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(CALL_BYTES);
        // A guest that computes yields, so that its time can end, and others get theirs.
        store.epoch_deadline_async_yield_and_update(1);
        store
    }

    pub(crate) async fn source(
        &self,
        component: &Component,
        store: &mut Store<State>,
    ) -> Result<source_world::SourcePlugin> {
        let time = arm(store);
        let made = source_world::SourcePlugin::instantiate_async(&mut *store, &component.compiled, &self.sources);
        let made = time.within(made).await;
        made.map_err(|cause| trap(&component.name, "instantiate", store, &cause))
    }

    pub(crate) async fn rule(&self, component: &Component, store: &mut Store<State>) -> Result<rule_world::RulePlugin> {
        let time = arm(store);
        let made = rule_world::RulePlugin::instantiate_async(&mut *store, &component.compiled, &self.rules);
        let made = time.within(made).await;
        made.map_err(|cause| trap(&component.name, "instantiate", store, &cause))
    }
}

/// Gives the next call into the guest its limits; it is to run within the time.
pub(crate) fn arm(store: &mut Store<State>) -> CallTime {
    let state = store.data_mut();
    state.lines = 0;
    state.asked = state.under_way;
    state.call_time.clone()
}

/// The error of a guest that trapped: plugin, call, cause, its last log lines.
pub(crate) fn trap(plugin: &str, call: &str, store: &Store<State>, cause: &wasmtime::Error) -> Error {
    let mut message = format!("plugin `{plugin}` failed in `{call}`: {}", why(cause, store.data().call_time.limit()));
    for line in &store.data().log {
        message.push_str("\n         ");
        message.push_str(line);
    }
    Error::plugin(message)
}

/// Which limit a guest ran into, or how else it ended.
fn why(cause: &wasmtime::Error, call_time: Duration) -> String {
    if let Some(wasmtime::Trap::Interrupt) = cause.downcast_ref() {
        return format!("ran over its {} s", call_time.as_secs());
    }
    let text = format!("{:#}", cause.root_cause());
    // wasmtime has no types for these two.
    if text.starts_with("forcing trap when growing memory") {
        return format!("wants more than its {} MiB of memory", MEMORY_LIMIT >> 20);
    }
    if text.contains("fuel allocated for hostcalls") {
        return format!("hands over more than {} MiB in one call", CALL_BYTES >> 20);
    }
    text.lines().next().unwrap_or("trapped").to_owned()
}

/// Whether a component that was just made speaks the contract; nothing of it is compiled.
pub(super) fn check_contract(component: &[u8]) -> Result<()> {
    let mut exports = Vec::new();
    let mut depth = 0_u32;
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        match payload.map_err(|cause| Error::plugin(cause.to_string()))? {
            // What modules and components inside export is their own.
            wasmparser::Payload::ModuleSection { .. } | wasmparser::Payload::ComponentSection { .. } => depth += 1,
            wasmparser::Payload::End(_) => depth = depth.saturating_sub(1),
            wasmparser::Payload::ComponentExportSection(section) if depth == 0 => {
                let names = section.into_iter().flatten();
                exports.extend(names.map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    contract(&exports).map(drop)
}

fn contract(exports: &[String]) -> Result<Contract> {
    for (interface, contract) in [("source", Contract::Source), ("rule", Contract::Rule)] {
        let prefix = format!("elt:plugin/{interface}@");
        let Some(version) = exports.iter().find_map(|export| export.strip_prefix(&prefix)) else { continue };
        if version != VERSION {
            let error = Error::plugin(format!("it speaks contract {version}, this host speaks {VERSION}"));
            return Err(
                error.hint(format!("build it against `elt:plugin@{VERSION}`, or use a host that speaks {version}"))
            );
        }
        return Ok(contract);
    }
    let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    let error =
        Error::plugin(format!("it exports {exports}, but neither a source nor a rule of `elt:plugin@{VERSION}`"));
    Err(error.hint(
        "a crate exports its type at the end of `lib.rs`: `export_rule!(MyRule);` or `export_source!(MySource);`",
    ))
}

/// Whether this user alone may write into a folder.
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

#[cfg(test)]
mod tests {
    use super::{Contract, contract};

    #[test]
    fn another_version_of_the_contract_is_refused() {
        assert_eq!(contract(&["elt:plugin/rule@0.1.0".to_owned()]).ok(), Some(Contract::Rule));
        let error = contract(&["elt:plugin/source@0.2.0".to_owned()]).expect_err("another version");
        assert_eq!(error.message, "it speaks contract 0.2.0, this host speaks 0.1.0");
        let error = contract(&["wasi:cli/run@0.2.0".to_owned()]).expect_err("another world");
        assert!(error.message.starts_with("it exports wasi:cli/run@0.2.0, but neither"), "{error}");
    }
}
