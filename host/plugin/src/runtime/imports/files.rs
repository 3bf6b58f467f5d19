//! Files that the pipeline grants.

use std::io::{Read as _, Seek as _, SeekFrom};

use host_core::error::Error;
use wasmtime::component::Resource;

use super::Answer;
use crate::runtime::bindings::source_world::elt::plugin::files;
use crate::runtime::bindings::types as wit;
use crate::runtime::resources::GrantedFile;
use crate::runtime::state::State;

/// The most bytes of one read.
const MAX_READ: u32 = 16 << 20;

impl files::Host for State {
    async fn open(&mut self, name: String) -> Answer<Resource<GrantedFile>> {
        let Some(path) = self.grants.files.get(&name).cloned() else {
            let error = Error::config(format!("file `{name}` is not granted"));
            let error = wit::Error::from(error.hint(format!("add `files = {{ {name} = \"PATH\" }}`")));
            return Ok(Err(wit::Error { code: "not_granted".to_owned(), ..error }));
        };
        let open = self.open_file()?;
        // A pipe may block for ever.
        let is_file = std::fs::metadata(&path).is_ok_and(|kind| kind.is_file());
        let opened = if is_file { std::fs::File::open(&path) } else { Err(std::io::ErrorKind::NotFound.into()) };
        Ok(match opened {
            Ok(file) => Ok(self.handles.push(GrantedFile { path, file, _open: open })?),
            Err(cause) => Err(Error::config(format!("file `{name}`: {}: {cause}", path.display())).into()),
        })
    }
}

impl files::HostFile for State {
    async fn size(&mut self, this: Resource<GrantedFile>) -> wasmtime::Result<u64> {
        Ok(self.handles.get(&this)?.file.metadata().map_or(0, |metadata| metadata.len()))
    }

    async fn read(&mut self, this: Resource<GrantedFile>, offset: u64, len: u32) -> Answer<Vec<u8>> {
        let GrantedFile { path, file, .. } = self.handles.get_mut(&this)?;
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let most = u64::from(len.min(MAX_READ)).min(size.saturating_sub(offset));
        let copy = self.memory.budget().share(usize::try_from(most)?)?;
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(offset));
        let read = read.and_then(|_| file.by_ref().take(most).read_to_end(&mut bytes));
        let read = read.map_err(|cause| Error::config(format!("{}: {cause}", path.display())));
        self.keep_copy(copy);
        Ok(read.map(|_| bytes).map_err(Into::into))
    }

    async fn drop(&mut self, this: Resource<GrantedFile>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}
