//! What is legal but probably not meant.

use super::Config;
use super::file::{File, Text};
use super::report::Report;
use super::secret;

/// Notes all of it. Where there are errors too, nobody is told.
pub(super) fn of(file: &File, config: &Config, report: &mut Report) {
    admin(file, config, report);
    let tokens = file.sites.items.iter().map(|site| &site.value.purge_token);
    for token in tokens.chain([&file.server.admin_token]) {
        literal(token, report);
    }
}

fn literal(token: &Text, report: &mut Report) {
    if let Some(token) = token.get()
        && secret::Source::of(&token.value) == secret::Source::Here
    {
        report.warn(token.place, "a secret in the file; write env:NAME or file:PATH");
    }
}

fn admin(file: &File, config: &Config, report: &mut Report) {
    if let (Some(given), Some(admin)) = (file.server.admin.get(), &config.admin)
        && admin.token.is_none()
        && !admin.address.ip().to_canonical().is_loopback()
    {
        let what = "not a loopback address: without admin_token only /livez, /readyz and /metrics are served";
        report.warn(given.place, what);
    }
}
