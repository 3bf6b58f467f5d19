//! Responses that stay the same until a run ends or a file of the models changes. Nothing else changes them: a server
//! owns its warehouse.

use axum::body::Bytes;
use moka::sync::Cache;

/// The memory of all responses of the server, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// The memory of an entry beside its texts, in bytes: what the cache and the allocator need.
const ENTRY_BYTES: usize = 1_024;
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

/// What a response answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    /// The name of the pipeline.
    pub(super) pipeline: String,
    /// The state that the response depends on.
    pub(super) version: CacheVersion,
    /// What was asked. Requests that mean the same have the same text.
    pub(super) request: String,
}

/// The responses of all pipelines. The least used ones are dropped first.
pub(super) struct ResponseCache(Cache<CacheKey, Bytes>);

impl ResponseCache {
    pub(super) fn new() -> Self {
        let bytes = |key: &CacheKey, response: &Bytes| {
            let texts = key.pipeline.len() + key.request.len() + response.len();
            u32::try_from(ENTRY_BYTES + texts).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MAX_BYTES).weigher(bytes).build())
    }

    /// The response, if it was computed for the same version.
    pub(super) fn get(&self, key: &CacheKey) -> Option<Bytes> {
        self.0.get(key)
    }

    /// Keeps a response.
    pub(super) fn insert(&self, key: CacheKey, response: &Bytes) {
        if response.len() > MAX_RESPONSE_BYTES {
            return;
        }
        // The copy has no spare capacity.
        self.0.insert(key, Bytes::copy_from_slice(response));
        // The cache drops entries later otherwise, and would exceed its limit by all that are inserted meanwhile.
        self.0.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::{CacheKey, CacheVersion, ENTRY_BYTES, MAX_BYTES, MAX_RESPONSE_BYTES, ResponseCache};

    fn key(pipeline: &str, runs_ended: u64, request: &str) -> CacheKey {
        let version = CacheVersion { runs_ended, model_files: 1 };
        CacheKey { pipeline: pipeline.to_owned(), version, request: request.to_owned() }
    }

    #[test]
    fn a_response_is_kept_for_its_pipeline_and_version_only() {
        let cache = ResponseCache::new();
        assert_eq!(cache.get(&key("p", 1, "a")), None);
        cache.insert(key("p", 1, "a"), &Bytes::from_static(b"one"));
        assert_eq!(cache.get(&key("p", 1, "a")), Some(Bytes::from_static(b"one")));
        assert_eq!(cache.get(&key("p", 2, "a")), None, "a run ended");
        assert_eq!(cache.get(&key("q", 1, "a")), None, "another pipeline");
        cache.insert(key("p", 1, "a"), &Bytes::from_static(b"old"));
        assert_eq!(cache.get(&key("p", 2, "a")), None, "a response computed before the run ended");
    }

    #[test]
    fn a_large_response_is_not_kept() {
        let cache = ResponseCache::new();
        cache.insert(key("p", 0, "a"), &Bytes::from(vec![0; MAX_RESPONSE_BYTES + 1]));
        assert_eq!(cache.get(&key("p", 0, "a")), None);
    }

    #[test]
    fn many_small_responses_of_many_pipelines_stay_within_the_limit() {
        let cache = ResponseCache::new();
        let most = MAX_BYTES / u64::try_from(ENTRY_BYTES).expect("a number");
        for number in 0..most + 1_000 {
            let pipeline = format!("p{}", number % 100);
            cache.insert(key(&pipeline, 0, &number.to_string()), &Bytes::from_static(b"{}"));
        }
        assert!(cache.0.weighted_size() <= MAX_BYTES && cache.0.entry_count() < most);
        let large = Bytes::from(vec![0; MAX_RESPONSE_BYTES]);
        for number in 0..500 {
            cache.insert(key("p", 1, &number.to_string()), &large);
            assert!(cache.0.weighted_size() <= MAX_BYTES, "{number}");
        }
    }
}
