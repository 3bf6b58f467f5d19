//! Fuzzers: one file for each reader of text or bytes of others. `cargo test -p fuzz` runs the corpus in
//! `__fuzz__/NAME/corpus` and a second of random inputs each; `make soak` runs each for ten minutes.

mod codec;
mod condition;
mod csv;
mod json;
mod model;
mod pipeline;
mod wire;
