//! HTTP in, HTTP out. Knows nothing of Python: requests for the application go through
//! [`gateway::Gateway`].

pub mod gateway;
