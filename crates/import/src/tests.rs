//! Whole configurations, and damaged ones.

mod access;
mod any_bytes;
mod deployments;
mod mounts;
mod responses;
mod servers;
