//! The log of plugins.

use crate::runtime::bindings::source_world::elt::plugin::log;
use crate::runtime::state::{PluginLogLevel, State};

impl log::Host for State {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => PluginLogLevel::Debug,
            log::Level::Info => PluginLogLevel::Info,
            log::Level::Warn => PluginLogLevel::Warn,
            log::Level::Error => PluginLogLevel::Error,
        };
        Ok(self.log(level, &message)?)
    }
}
