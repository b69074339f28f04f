//! The admin listener: health, metrics, and the JSON API. Apart from the threads that serve clients.

mod api;
mod explain;
mod guard;
mod http;
mod metrics;
mod object;
mod purge;
mod routes;
mod url;

pub use guard::WRITING;
pub use http::{Admin, bind};
pub use purge::{Purge, Purged};
pub use routes::{OPENAPI, ROUTES};
pub use url::Url;
