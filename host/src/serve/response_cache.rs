//! Responses that stay the same until a run ends or a file of the models changes. Nothing else changes them: a server
//! owns its warehouse.

use axum::body::Bytes;
use moka::sync::Cache;

/// The memory of all responses of a pipeline, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// The largest response that is kept, in bytes.
const MAX_RESPONSE_BYTES: usize = 256 << 10;

/// The state that responses depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CacheVersion {
    /// How many runs ended.
    pub(super) runs_ended: u64,
    /// A hash of the names, times and sizes of the models' files.
    pub(super) model_files: u64,
}

/// The responses of one pipeline by version, path and query. The least used ones are dropped first.
pub(super) struct ResponseCache(Cache<(CacheVersion, String), Bytes>);

impl ResponseCache {
    pub(super) fn new() -> Self {
        let bytes = |(_, key): &(CacheVersion, String), response: &Bytes| {
            u32::try_from(key.len() + response.len()).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MAX_BYTES).weigher(bytes).build())
    }

    /// The response to this path and query, if it was computed for this version.
    pub(super) fn get(&self, version: CacheVersion, path_and_query: &str) -> Option<Bytes> {
        self.0.get(&(version, path_and_query.to_owned()))
    }

    /// Keeps a response that was computed for this version.
    pub(super) fn insert(&self, version: CacheVersion, path_and_query: &str, response: &Bytes) {
        if response.len() <= MAX_RESPONSE_BYTES {
            self.0.insert((version, path_and_query.to_owned()), response.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::{CacheVersion, MAX_RESPONSE_BYTES, ResponseCache};

    #[test]
    fn a_response_is_kept_for_its_version_only() {
        let cache = ResponseCache::new();
        let before = CacheVersion { runs_ended: 1, model_files: 1 };
        let after = CacheVersion { runs_ended: 2, model_files: 1 };
        assert_eq!(cache.get(before, "/a"), None);
        cache.insert(before, "/a", &Bytes::from_static(b"one"));
        assert_eq!(cache.get(before, "/a"), Some(Bytes::from_static(b"one")));
        assert_eq!(cache.get(after, "/a"), None, "a run ended");
        cache.insert(before, "/a", &Bytes::from_static(b"old"));
        assert_eq!(cache.get(after, "/a"), None, "a response computed before the run ended");
    }

    #[test]
    fn a_large_response_is_not_kept() {
        let cache = ResponseCache::new();
        let version = CacheVersion { runs_ended: 0, model_files: 0 };
        cache.insert(version, "/a", &Bytes::from(vec![0; MAX_RESPONSE_BYTES + 1]));
        assert_eq!(cache.get(version, "/a"), None);
    }
}
