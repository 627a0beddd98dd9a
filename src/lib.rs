pub mod cli;
pub mod config;
pub mod domain;
pub mod edge;
pub mod engine;
pub mod error;
pub mod rehearsal;
